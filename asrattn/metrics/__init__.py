"""Metrics: WER and CER, confidence intervals, significance tests, ROVER, calibration. Without models and torch."""

from asrattn.metrics.bootstrap import error_rate_interval, rate_interval, resampling_unit
from asrattn.metrics.normalize import NORMALIZERS, Normalizer
from asrattn.metrics.result import (
    ScoredUtterance,
    SetResult,
    confusions,
    score_utterance,
    summarize,
    worst_utterances,
)
from asrattn.metrics.significance import Comparison, compare
from asrattn.metrics.wer import (
    AlignedPair,
    ErrorCounts,
    align,
    count_char_errors,
    count_errors,
    count_word_errors,
    sum_counts,
)

__all__ = [
    "NORMALIZERS",
    "AlignedPair",
    "Comparison",
    "ErrorCounts",
    "Normalizer",
    "ScoredUtterance",
    "SetResult",
    "align",
    "compare",
    "confusions",
    "count_char_errors",
    "count_errors",
    "count_word_errors",
    "error_rate_interval",
    "rate_interval",
    "resampling_unit",
    "score_utterance",
    "sum_counts",
    "summarize",
    "worst_utterances",
]
