"""Durations against texts."""

import tiny

from asrattn.checking import pace
from asrattn.checking.finding import Case
from asrattn.checking.looks import measured
from asrattn.manifest import Utterance


def case(text: str, seconds: float, split: str = "train", heard: bool = False) -> Case:
    look = measured(tiny.wave(seconds), tiny.RATE) if heard else None
    return Case(split, 1, Utterance("u", "a.wav", text, seconds), look)


def kinds(*cases: Case, planned: bool = False) -> list[str]:
    return [found.kind.name for found in pace.examine(cases, planned)]


def test_ctc_needs_a_frame_for_each_token_and_one_between_equal_ones() -> None:
    assert kinds(case("abcde", 0.201)) == []  # five frames of 40 ms
    assert kinds(case("abcdef", 0.201)) == ["too few frames"]
    assert kinds(case("abccd", 0.201)) == ["too few frames"]


def test_only_what_is_trained_on_must_fit() -> None:
    assert kinds(case("abcdef", 0.201, "test")) == []
    assert kinds(case("abcdef", 0.201), planned=True) == []  # a recipe knows better


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
    silent = measured(0 * tiny.wave(1.0), tiny.RATE)
    assert kinds(Case("train", 1, Utterance("u", "a.wav", "GO ON AND ON", 1.0), silent)) == []
