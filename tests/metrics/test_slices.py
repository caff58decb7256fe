import pytest

from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from asrattn.metrics import score_utterance
from asrattn.metrics.slices import worst_slices

UTTERANCES = [
    Utterance(f"u{i}", "x.wav", " ".join("w" * n), 2.0, f"s{i % 2}", tags={"snr": i / 2} if i < 90 else {})
    for i, n in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 9, 10] * 10)
]
ROWS = [
    score_utterance(u.id, u.text, "" if u.speaker == "s1" and i % 3 else u.text, u.speaker)
    for i, u in enumerate(UTTERANCES)
]


def test_the_worst_part_comes_first() -> None:
    found = worst_slices("test", UTTERANCES, ROWS, "speaker")
    assert [(s.label, s.result.utterances) for s in found] == [("s1", 50), ("s0", 50)]
    assert found[0].result.wer > found[1].result.wer == 0


def test_numbers_are_cut_into_parts_that_hold_everything() -> None:
    found = worst_slices("test", UTTERANCES, ROWS, "length")
    assert {s.label for s in found} == {
        "1–2 words",
        "2–4 words",
        "4–6 words",
        "6–8 words",
        "8–10 words",
    } or len(found) == 5
    assert sum(s.result.utterances for s in found) == 100
    assert sum(s.result.word_counts.errors for s in found) == sum(r.words.errors for r in ROWS)


def test_a_few_numbers_are_a_part_each() -> None:
    short = [(u, r) for u, r in zip(UTTERANCES, ROWS, strict=True) if len(u.text.split()) <= 3]
    found = worst_slices("test", *zip(*short, strict=True), "length")
    assert {s.label for s in found} == {"1 words", "2 words", "3 words"}


def test_what_is_not_known_is_a_part_of_its_own() -> None:
    found = {s.label: s for s in worst_slices("test", UTTERANCES, ROWS, "snr")}
    assert found["unknown"].result.utterances == 10
    assert len(found) == 6
    assert all(label.endswith(" dB") for label in found if label != "unknown")


def test_parts_of_few_words_say_so() -> None:
    found = worst_slices("test", UTTERANCES, ROWS, "snr")
    assert {s.has_few_words for s in found} == {True, False}
    assert all(s.line().endswith("   few words") == s.has_few_words == (s.result.words < 100) for s in found)


def test_speaking_rate_is_in_words_a_second() -> None:
    assert all(s.label.endswith("words/s") for s in worst_slices("test", UTTERANCES, ROWS, "rate"))


def test_a_field_that_is_none_is_told() -> None:
    with pytest.raises(DataError, match=r"no utterance has 'accent'; there are length, rate, .*, snr"):
        worst_slices("test", UTTERANCES, ROWS, "accent")
    with pytest.raises(DataError, match="no utterance has 'tags'"):
        worst_slices("test", UTTERANCES, ROWS, "tags")
