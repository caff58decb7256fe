"""Keyword recall and false alarms: phrases such as names, commands, slots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrattn import files
from asrattn.errors import DataError
from asrattn.metrics.bootstrap import Interval, rate_interval
from asrattn.metrics.normalize import Normalizer
from asrattn.metrics.result import ScoredUtterance, format_rate
from asrattn.metrics.wer import split_words


@dataclass(frozen=True)
class KeywordResult:
    """Of one phrase or of all: occurrences in the references, hits among them, false alarms."""

    phrase: str
    occurrences: int
    hits: int
    false_alarms: int
    interval: Interval

    @property
    def recall(self) -> float:
        return self.hits / max(self.occurrences, 1)

    def to_plain(self) -> dict[str, object]:
        """For JSON, with the keys of asrattn 0.1."""
        return {
            "phrase": self.phrase,
            "said": self.occurrences,
            "heard": self.hits,
            "false": self.false_alarms,
            "interval": self.interval,
        }

    def line(self, name: str) -> str:
        recall = (
            format_rate("recall", self.recall, self.interval)
            if self.occurrences
            else "recall undefined (never in the references)"
        )
        return f"{name}   {self.occurrences} occurrences   {recall}   {self.false_alarms} false alarms"


def read(path: Path, normalizer: Normalizer) -> list[str]:
    """The normalised phrases of a file, one per line; empty lines and comments (#) are skipped.

    Raises DataError for a file that cannot be read or has no phrase.
    """
    try:
        lines = files.read_text(path).removeprefix("\ufeff").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); give a text file, one phrase a line") from None
    phrases = [" ".join(normalizer(line).split()) for line in lines if not line.startswith("#")]
    found = list(dict.fromkeys(phrase for phrase in phrases if phrase))
    if not found:
        raise DataError(f"{path}: holds no phrase; give one a line")
    return found


def keyword_recall(
    phrases: Sequence[str], rows: Sequence[ScoredUtterance], seed: int = 0
) -> tuple[KeywordResult, list[KeywordResult]]:
    """The recall of all phrases together, and of each with an occurrence or false alarm, the worst first.

    Two occurrences in a reference and one in its hypothesis are one hit and one miss; positions do not matter.
    The interval is that of a rate over the utterances (`rate_interval`).
    """
    texts = [(split_words(row.reference), split_words(row.hypothesis)) for row in rows]
    speakers = [row.speaker for row in rows]
    tables = {
        phrase: [(_count(ref, phrase.split()), _count(hyp, phrase.split())) for ref, hyp in texts]
        for phrase in phrases
    }
    all_of = [
        [sum(each) for each in zip(*column, strict=True)]
        for column in zip(*map(_hits, tables.values()), strict=True)
    ]
    each = [_result(phrase, _hits(table), speakers, seed) for phrase, table in tables.items()]
    shown = [result for result in each if result.occurrences or result.false_alarms]
    shown.sort(key=lambda r: (r.recall if r.occurrences else 1.0, -r.occurrences, r.phrase))
    return _result("all", all_of, speakers, seed), shown


def _hits(table: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Occurrences, hits and false alarms of each utterance, as three columns."""
    return [
        [ref for ref, _ in table],
        [min(ref, hyp) for ref, hyp in table],
        [max(hyp - ref, 0) for ref, hyp in table],
    ]


def _result(
    phrase: str, columns: Sequence[Sequence[int]], speakers: Sequence[str], seed: int
) -> KeywordResult:
    occurrences, hits, false_alarms = columns
    missed = [n - h for n, h in zip(occurrences, hits, strict=True)]
    low, high = rate_interval(missed, occurrences, speakers, seed) if sum(occurrences) else (0.0, 1.0)
    ends = (max(1 - high, 0.0), 1 - low)
    return KeywordResult(phrase, sum(occurrences), sum(hits), sum(false_alarms), ends)


def _count(text: Sequence[str], phrase: Sequence[str]) -> int:
    """How often a phrase occurs in a text."""
    n = len(phrase)
    return sum(list(text[at : at + n]) == list(phrase) for at in range(len(text) - n + 1))
