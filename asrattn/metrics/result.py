"""Scored utterances, and what a set of them comes to."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from asrattn.errors import DataError
from asrattn.metrics.bootstrap import (
    Interval,
    ResamplingUnit,
    error_rate_interval,
    rate_interval,
    resampling_unit,
)
from asrattn.metrics.normalize import NORMALIZERS, Normalizer, none
from asrattn.metrics.wer import (
    ErrorCounts,
    align,
    count_char_errors,
    count_word_errors,
    split_words,
    sum_counts,
)


@dataclass(frozen=True)
class ScoredUtterance:
    """One utterance, scored: `words` and `chars` count errors over words and over characters."""

    id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    chars: ErrorCounts
    speaker: str = ""


def score_utterance(
    utterance_id: str,
    reference: str,
    hypothesis: str,
    speaker: str = "",
    normalizer: Callable[[str], str] = none,
) -> ScoredUtterance:
    """Score one utterance; both texts pass through the normaliser first."""
    said, heard = normalizer(reference), normalizer(hypothesis)
    return ScoredUtterance(
        utterance_id, said, heard, count_word_errors(said, heard), count_char_errors(said, heard), speaker
    )


@dataclass(frozen=True)
class SetResult:
    """Error rates of one set, with 95 % intervals from resampling `unit`.

    wrong_utterances  utterances with at least one word error; of all of them, the sentence error rate
    error_type_intervals  of the rates of substitutions, deletions and insertions, all of the reference's words
    rtf      seconds of work for a second of audio, None where nothing was timed
    normalizer  fingerprint of the normaliser both texts went through
    """

    name: str
    utterances: int
    wrong_utterances: int
    word_counts: ErrorCounts
    char_counts: ErrorCounts
    wer_interval: Interval
    cer_interval: Interval
    ser_interval: Interval
    error_type_intervals: tuple[Interval, Interval, Interval]
    unit: ResamplingUnit
    rtf: float | None = None
    normalizer: str = NORMALIZERS["none"].fingerprint

    @property
    def words(self) -> int:
        return self.word_counts.words

    @property
    def wer(self) -> float:
        return self.word_counts.rate

    @property
    def cer(self) -> float:
        return self.char_counts.rate

    @property
    def ser(self) -> float:
        return self.wrong_utterances / self.utterances

    def line(self) -> str:
        """The result line, the same words everywhere."""
        parts = [
            self.name,
            f"{self.utterances} utterances",
            f"{self.words} words",
            _rate("WER", self.word_counts, self.wer_interval),
            _rate("CER", self.char_counts, self.cer_interval),
            format_rate("SER", self.ser, self.ser_interval),
        ]
        if self.words:
            parts += [
                format_rate(n, rate, ends)
                for n, (rate, ends) in zip("SDI", self._error_type_rates(), strict=True)
            ]
        parts.append(f"text {self.normalizer}")
        if self.rtf is not None:
            parts.append(f"RTF {self.rtf:.3f}")
        return "   ".join(parts)

    def to_plain(self) -> dict[str, object]:
        """The same as plain values, for JSON: rates are shares, counts whole numbers."""
        counts, chars = self.word_counts, self.char_counts
        named = {"wer": (self.wer, self.wer_interval), "cer": (self.cer, self.cer_interval)}
        named["ser"] = (self.ser, self.ser_interval)
        named |= dict(
            zip(
                ("substitution_rate", "deletion_rate", "insertion_rate"),
                self._error_type_rates(),
                strict=True,
            )
        )
        return {
            "set": self.name,
            "utterances": self.utterances,
            "wrong_utterances": self.wrong_utterances,
            "words": asdict(counts) | {"reference": counts.words},
            "characters": asdict(chars) | {"reference": chars.words},
            **{name: {"rate": rate, "interval": list(ends)} for name, (rate, ends) in named.items()},
            "resampled": self.unit,
            "rtf": self.rtf,
            "normalizer": self.normalizer,
        }

    def _error_type_rates(self) -> list[tuple[float, Interval]]:
        """Rates of substitutions, deletions and insertions with their intervals."""
        counts, of = self.word_counts, max(self.words, 1)
        rates = (counts.substitutions / of, counts.deletions / of, counts.insertions / of)
        return list(zip(rates, self.error_type_intervals, strict=True))


def summarize(
    name: str,
    rows: Sequence[ScoredUtterance],
    rtf: float | None = None,
    seed: int = 0,
    normalizer: Normalizer = NORMALIZERS["none"],
) -> SetResult:
    """The result of a set whose rows went through this normaliser. Raises DataError where there is no utterance."""
    if not rows:
        raise DataError(f"{name}: no utterance to score")
    speakers = [row.speaker for row in rows]
    words = [row.words.words for row in rows]

    def of_words(errors: Iterable[int]) -> Interval:
        return rate_interval(list(errors), words, speakers, seed)

    return SetResult(
        name=name,
        utterances=len(rows),
        wrong_utterances=sum(row.words.errors > 0 for row in rows),
        word_counts=sum_counts(row.words for row in rows),
        char_counts=sum_counts(row.chars for row in rows),
        wer_interval=of_words(row.words.errors for row in rows),
        cer_interval=error_rate_interval([row.chars for row in rows], speakers, seed),
        ser_interval=rate_interval([row.words.errors > 0 for row in rows], [1] * len(rows), speakers, seed),
        error_type_intervals=(
            of_words(row.words.substitutions for row in rows),
            of_words(row.words.deletions for row in rows),
            of_words(row.words.insertions for row in rows),
        ),
        unit=resampling_unit(speakers),
        rtf=rtf,
        normalizer=normalizer.fingerprint,
    )


def worst_utterances(rows: Sequence[ScoredUtterance], n: int) -> list[ScoredUtterance]:
    """The n utterances with most word errors, among equals the shorter one first; faultless ones never."""
    wrong = [row for row in rows if row.words.errors]
    return sorted(wrong, key=lambda row: (-row.words.errors, row.words.words, row.id))[:n]


def confusions(
    rows: Sequence[ScoredUtterance], n: int, split: Callable[[str], Sequence[str]] = split_words
) -> list[tuple[str, str, int]]:
    """The n most frequent (said, heard, times) of words, or what else `split` cuts texts into; "" on a side: deleted
    or inserted."""
    pairs = (pair for row in rows for pair in align(split(row.reference), split(row.hypothesis)))
    counted = Counter((p.reference, p.hypothesis) for p in pairs if p.kind != "equal")
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(said, heard, times) for (said, heard), times in ordered[:n]]


def _rate(name: str, counts: ErrorCounts, ends: Interval) -> str:
    if counts.words == 0:
        return f"{name} undefined ({counts.insertions} insertions, empty reference)"
    return format_rate(name, counts.rate, ends)


def format_rate(name: str, rate: float, ends: Interval) -> str:
    """A rate as it stands in every line: "WER 6.9 % [5.1, 8.8]"."""
    return f"{name} {100 * rate:.1f} % [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
