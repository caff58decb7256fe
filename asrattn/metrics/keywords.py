"""How many of the phrases that matter were heard: names, commands, slots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrattn.errors import DataError
from asrattn.metrics.bootstrap import Interval, rate_interval
from asrattn.metrics.normalize import Normalizer
from asrattn.metrics.result import ScoredUtterance, format_rate
from asrattn.metrics.wer import split_words


@dataclass(frozen=True)
class KeywordResult:
    """Of one phrase or of all: how often said, how often heard where it was said, how often heard where it was not."""

    phrase: str
    said: int
    heard: int
    false: int
    interval: Interval

    @property
    def recall(self) -> float:
        return self.heard / max(self.said, 1)

    def line(self, name: str) -> str:
        recall = (
            format_rate("recall", self.recall, self.interval)
            if self.said
            else "recall undefined (never said)"
        )
        return f"{name}   {self.said} said   {recall}   {self.false} heard where not said"


def read(path: Path, normalizer: Normalizer) -> list[str]:
    """The phrases of a file, one a line, through the normaliser; empty lines and comments (#) are passed over.

    Raises DataError for a file that cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a text file, one phrase a line") from None
    phrases = [" ".join(normalizer(line).split()) for line in lines if not line.startswith("#")]
    found = list(dict.fromkeys(phrase for phrase in phrases if phrase))
    if not found:
        raise DataError(f"{path}: holds no phrase; give one a line")
    return found


def keyword_recall(
    phrases: Sequence[str], rows: Sequence[ScoredUtterance], seed: int = 0
) -> tuple[KeywordResult, list[KeywordResult]]:
    """The recall of all phrases together, and of each that was said or heard, the worst first.

    An utterance in which a phrase is said twice and heard once holds one hit and one miss; where in it does not matter.
    The interval is that of a rate over the utterances (`rate_interval`).
    """
    texts = [(split_words(row.reference), split_words(row.hypothesis)) for row in rows]
    speakers = [row.speaker for row in rows]
    tables = {
        phrase: [(_times(said, phrase.split()), _times(heard, phrase.split())) for said, heard in texts]
        for phrase in phrases
    }
    all_of = [
        [sum(each) for each in zip(*column, strict=True)]
        for column in zip(*map(_hits, tables.values()), strict=True)
    ]
    each = [_result(phrase, _hits(table), speakers, seed) for phrase, table in tables.items()]
    shown = [result for result in each if result.said or result.false]
    shown.sort(key=lambda r: (r.recall if r.said else 1.0, -r.said, r.phrase))
    return _result("all", all_of, speakers, seed), shown


def _hits(table: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Said, heard where said and heard where not, one of each an utterance."""
    return [
        [said for said, _ in table],
        [min(said, heard) for said, heard in table],
        [max(heard - said, 0) for said, heard in table],
    ]


def _result(phrase: str, hits: Sequence[Sequence[int]], speakers: Sequence[str], seed: int) -> KeywordResult:
    said, heard, false = hits
    missed = [s - h for s, h in zip(said, heard, strict=True)]
    low, high = rate_interval(missed, said, speakers, seed) if sum(said) else (0.0, 1.0)
    ends = (max(1 - high, 0.0), 1 - low)
    return KeywordResult(phrase, sum(said), sum(heard), sum(false), ends)


def _times(text: Sequence[str], phrase: Sequence[str]) -> int:
    """How often the words of a phrase stand in a row in a text."""
    n = len(phrase)
    return sum(list(text[at : at + n]) == list(phrase) for at in range(len(text) - n + 1))
