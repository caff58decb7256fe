"""The page's section on confidence."""

import re

from markup import Page

from asrattn import confidence
from asrattn.scoring.report import sureness

TOLD = [((i % 10 + 0.5) / 10, i % 3 == 0) for i in range(100)]


def test_bins_hold_as_many_words_each() -> None:
    bins = sureness._bins(TOLD)
    assert [count for _, _, count in bins] == [10] * confidence.BINS
    assert [round(sure, 2) for sure, _, _ in bins] == [
        0.05,
        0.15,
        0.25,
        0.35,
        0.45,
        0.55,
        0.65,
        0.75,
        0.85,
        0.95,
    ]
    assert round(sum(right * count for _, right, count in bins)) == sum(truth for _, truth in TOLD)


def test_the_section_says_and_draws_it() -> None:
    heading, html = sureness.section(TOLD)
    assert heading == "Confidence"
    assert Page(html).open == []
    assert confidence.judge(TOLD).line() in html
    heights = [float(y) for y in re.findall(r'<circle cx="[^"]+" cy="([^"]+)"', html)]
    shares = [right for _, right, _ in sureness._bins(TOLD)]
    assert len(heights) == len(shares) == confidence.BINS
    assert all(
        (a < b) == (x > y)
        for a, x in zip(heights, shares, strict=True)
        for b, y in zip(heights, shares, strict=True)
        if x != y
    )


def test_without_words_there_is_no_section() -> None:
    assert sureness.section([]).html == ""
    assert sureness.section([(0.9, True)]).html == ""
