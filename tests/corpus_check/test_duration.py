"""Durations against texts."""

import tiny

from asrattn.corpus_check import duration
from asrattn.corpus_check.audio_stats import measure_wave
from asrattn.corpus_check.finding import CheckedUtterance
from asrattn.data.manifest import Utterance


def case(text: str, seconds: float, split: str = "train", heard: bool = False) -> CheckedUtterance:
    look = measure_wave(tiny.wave(seconds), tiny.RATE) if heard else None
    return CheckedUtterance(split, 1, Utterance("u", "a.wav", text, seconds), look)


def kinds(*cases: CheckedUtterance, planned: bool = False) -> list[str]:
    return [found.kind.name for found in duration.check_durations(cases, planned)]


def test_ctc_needs_a_frame_for_each_token_and_one_between_equal_ones() -> None:
    """A decoder learns from half as many frames too; training drops what has less."""
    assert kinds(case("abcdefghij", 0.201)) == []  # five frames of 40 ms
    assert kinds(case("abcdefghijk", 0.201)) == ["too few frames"]
    assert kinds(case("abcdefghii", 0.201)) == ["too few frames"]


def test_trimmed_words_are_long_enough() -> None:
    digits = {"three": 0.24, "seven": 0.25, "eight": 0.2, "zero": 0.2, "six": 0.15}
    assert [kinds(case(word, seconds)) for word, seconds in digits.items()] == [[]] * 5


def test_only_what_is_trained_on_must_fit() -> None:
    assert kinds(case("abcdefghijk", 0.201, "test")) == []
    assert kinds(case("abcdefghijk", 0.201), planned=True) == []  # a recipe knows better


def test_lengths_that_recipes_drop() -> None:
    assert kinds(case("a", 0.09)) == ["unusual length"]
    assert kinds(case("a", 30.1)) == ["unusual length"]
    assert kinds(case("a", 30.1), planned=True) == []


def test_rates_are_those_of_the_sound_without_pauses() -> None:
    usual = [case("GO ON AND ON", 1.0 + i / 100, heard=True) for i in range(60)]
    assert kinds(*usual) == []
    assert kinds(*usual, case("GO ON AND ON AND TELL US EVERYTHING YOU KNOW", 2.0, heard=True)) == []
    assert "text too long" in kinds(
        *usual, case("GO ON AND ON AND TELL US EVERYTHING YOU KNOW", 1.0, heard=True)
    )
    assert "text too short" in kinds(*usual, case("GO", 8.0, heard=True))


def test_silence_is_told_elsewhere() -> None:
    silent = measure_wave(0 * tiny.wave(1.0), tiny.RATE)
    assert kinds(CheckedUtterance("train", 1, Utterance("u", "a.wav", "GO ON AND ON", 1.0), silent)) == []
