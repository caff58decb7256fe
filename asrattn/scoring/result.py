"""Scored utterances, and what a set of them comes to."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asrattn.errors import DataError
from asrattn.scoring.counts import ErrorCounts, align, count_chars, count_words, total, words
from asrattn.scoring.interval import Unit, interval, unit_of
from asrattn.scoring.normalize import none


@dataclass(frozen=True)
class Row:
    """One utterance, scored: `words` and `chars` count errors over words and over characters."""

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    chars: ErrorCounts
    speaker: str = ""


def score(
    utterance_id: str,
    reference: str,
    hypothesis: str,
    speaker: str = "",
    normalizer: Callable[[str], str] = none,
) -> Row:
    """Score one utterance; both texts pass through the normaliser first."""
    said, heard = normalizer(reference), normalizer(hypothesis)
    return Row(utterance_id, said, heard, count_words(said, heard), count_chars(said, heard), speaker)


@dataclass(frozen=True)
class SetResult:
    """Error rates of one set, with 95 % intervals from resampling `unit`.

    rtf: seconds of work for a second of audio, None where nothing was timed.
    """

    name: str
    utterances: int
    word_counts: ErrorCounts
    char_counts: ErrorCounts
    wer_interval: tuple[float, float]
    cer_interval: tuple[float, float]
    unit: Unit
    rtf: float | None = None

    @property
    def words(self) -> int:
        return self.word_counts.words

    @property
    def wer(self) -> float:
        return self.word_counts.rate

    @property
    def cer(self) -> float:
        return self.char_counts.rate

    def line(self) -> str:
        """The result line, the same words everywhere."""
        parts = [
            self.name,
            f"{self.utterances} utterances",
            f"{self.words} words",
            _rate("WER", self.word_counts, self.wer_interval),
            _rate("CER", self.char_counts, self.cer_interval),
        ]
        if self.rtf is not None:
            parts.append(f"RTF {self.rtf:.3f}")
        return "   ".join(parts)


def summarize(name: str, rows: Sequence[Row], rtf: float | None = None, seed: int = 0) -> SetResult:
    """The result of a set. Raises DataError where there is no utterance."""
    if not rows:
        raise DataError(f"{name}: no utterance to score")
    speakers = [row.speaker for row in rows]
    return SetResult(
        name=name,
        utterances=len(rows),
        word_counts=total(row.words for row in rows),
        char_counts=total(row.chars for row in rows),
        wer_interval=interval([row.words for row in rows], speakers, seed),
        cer_interval=interval([row.chars for row in rows], speakers, seed),
        unit=unit_of(speakers),
        rtf=rtf,
    )


def worst(rows: Sequence[Row], n: int) -> list[Row]:
    """The n utterances with most word errors, among equals the shorter one first; faultless ones never."""
    wrong = [row for row in rows if row.words.errors]
    return sorted(wrong, key=lambda row: (-row.words.errors, row.words.words, row.id))[:n]


def confusions(rows: Sequence[Row], n: int) -> list[tuple[str, str, int]]:
    """The n most frequent (said, heard, times) of words; "" on a side: deleted or inserted."""
    pairs = (pair for row in rows for pair in align(words(row.reference), words(row.hypothesis)))
    counted = Counter((p.reference, p.hypothesis) for p in pairs if p.kind != "equal")
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(said, heard, times) for (said, heard), times in ordered[:n]]


def by_speaker(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each speaker, in the order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.speaker, []).append(row)
    return groups


def _rate(name: str, counts: ErrorCounts, ends: tuple[float, float]) -> str:
    if counts.words == 0:
        return f"{name} undefined ({counts.insertions} insertions, empty reference)"
    return f"{name} {100 * counts.rate:.1f} % [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
