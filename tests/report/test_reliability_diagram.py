"""The section on confidence of the report."""

import re

import pytest
from markup import Page

from asrattn.metrics import calibration
from asrattn.report import reliability_diagram

TOLD = [((i % 10 + 0.5) / 10, i % 3 == 0) for i in range(100)]


def test_bins_hold_as_many_words_each() -> None:
    bins = calibration.calibration_bins(*zip(*TOLD, strict=True))
    assert [count for _, _, count in bins] == [10] * calibration.NUM_BINS
    assert [sure for sure, _, _ in bins] == pytest.approx([0.05 + 0.1 * i for i in range(10)])
    assert round(sum(right * count for _, right, count in bins)) == sum(truth for _, truth in TOLD)


def test_the_section_says_and_draws_it() -> None:
    heading, html = reliability_diagram.reliability_section(TOLD)
    assert heading == "Confidence"
    assert Page(html).open == []
    assert calibration.evaluate_confidence(TOLD).line() in html
    heights = [float(y) for y in re.findall(r'<circle cx="[^"]+" cy="([^"]+)"', html)]
    pairs = sorted(
        (right, -height)
        for (_, right, _), height in zip(
            calibration.calibration_bins(*zip(*TOLD, strict=True)), heights, strict=True
        )
    )
    assert [up for _, up in pairs] == sorted(-height for height in heights), "higher up is more often right"


def test_without_words_there_is_no_section() -> None:
    assert reliability_diagram.reliability_section([]).html == ""
    assert reliability_diagram.reliability_section([(0.9, True)]).html == ""
