"""Error counts, intervals, paired tests, the report: no models here, and no torch."""

from asrattn.scoring.compare import Comparison, compare
from asrattn.scoring.counts import ErrorCounts, Pair, align, count, count_chars, count_words, total
from asrattn.scoring.interval import interval, rate_interval, unit_of
from asrattn.scoring.normalize import NORMALIZERS, Normalizer
from asrattn.scoring.result import Row, SetResult, confusions, score, summarize, worst

__all__ = [
    "NORMALIZERS",
    "Comparison",
    "ErrorCounts",
    "Normalizer",
    "Pair",
    "Row",
    "SetResult",
    "align",
    "compare",
    "confusions",
    "count",
    "count_chars",
    "count_words",
    "interval",
    "rate_interval",
    "score",
    "summarize",
    "total",
    "unit_of",
    "worst",
]
