"""What occurs twice, and what a manifest without it would lack."""

from dataclasses import replace

import numpy as np
import pytest
import tiny

from asrattn.corpus_check import splits
from asrattn.corpus_check.audio_stats import measure_wave
from asrattn.corpus_check.finding import CheckedUtterance, Finding
from asrattn.data.manifest import Utterance


def case(
    split: str, line: int, seed: int, text: str = "GO ON", speaker: str = "", gain: float = 1.0
) -> CheckedUtterance:
    """With the sound of the seed."""
    look = measure_wave((gain * tiny.wave(2.0, seed)).astype(np.float32), tiny.RATE)
    return CheckedUtterance(split, line, Utterance(f"{split}{line}", "a.wav", text, 2.0, speaker), look)


def droppable(*cases: CheckedUtterance) -> list[tuple[str, str, tuple[int, ...]]]:
    found: list[Finding] = list(splits.check_splits(cases))
    return [
        (f.kind.name, f.where, tuple(line for _, line in f.lines_to_drop)) for f in found if f.lines_to_drop
    ]


def test_the_second_of_two_equal_ones_is_to_go() -> None:
    assert droppable(case("train", 1, 0), case("train", 2, 1), case("train", 3, 0)) == [
        ("identical audio", "train:train3", (3,))
    ]


def test_of_two_texts_nobody_knows_which_is_right() -> None:
    assert droppable(case("train", 1, 0), case("train", 2, 0, "STOP")) == [
        ("one audio, two texts", "train:train2", (1, 2))
    ]


@pytest.mark.parametrize("text", ["GO ON", "STOP"])
def test_what_is_tested_is_taken_out_of_train(text: str) -> None:
    """Also where the test comes first."""
    expected = [("audio of train", "test:test7", (1,))]
    assert droppable(case("train", 1, 0), case("test", 7, 0, text)) == expected
    assert droppable(case("test", 7, 0, text), case("train", 1, 0)) == [
        ("audio of train", "train:train1", (1,))
    ]


def test_the_same_at_another_level_is_like() -> None:
    assert droppable(case("dev", 1, 0), case("train", 2, 0, gain=0.3)) == [
        ("like audio", "train:train2", (2,))
    ]


def test_silence_is_no_twin_of_silence() -> None:
    assert droppable(case("train", 1, 0, gain=0), case("train", 2, 1, gain=0)) == []


def test_likeness_is_found_over_the_borders_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the comparison of all pairs."""
    monkeypatch.setattr(splits, "_BLOCK", 2)
    cases = [case("train", i, seed, gain=1 / (i + 1)) for i, seed in enumerate([0, 1, 2, 0, 1, 3, 0])]
    outlines = np.stack([c.stats.envelope.astype(np.float32) for c in cases if c.stats])
    pairs = {
        (i, j)
        for i, j in np.argwhere(np.triu(outlines @ outlines.T, 1) > splits.MIN_ENVELOPE_CORRELATION).tolist()
    }
    found = [f for f in splits.check_splits(cases) if f.kind is splits.SIMILAR_AUDIO]
    assert len(found) == len(pairs) == 4


def test_speakers_texts_and_ids_of_train() -> None:
    train = [case("train", i, i, f"TEXT {i}", speaker="ann") for i in range(4)]
    said = [("TEXT 0", "ann"), ("TEXT 1", "bob"), ("OTHER 2", ""), ("OTHER 3", "")]
    test = [case("test", i, 10 + i, *each) for i, each in enumerate(said)]
    test[3] = replace(test[3], utterance=replace(test[3].utterance, id="train0"))
    found = {f.kind.name: f.detail for f in splits.check_splits([*train, *test])}
    assert found["speakers of train"] == "1 of 4 utterances are of speakers of train: ann (1)"
    assert found["texts of train"].startswith("2 of 4 utterances")
    assert found["id in two splits"] == "is in train too"


def test_without_speakers_none_is_shared() -> None:
    assert {
        f.kind.name for f in splits.check_splits([case("train", 1, 0), case("test", 1, 1, "STOP")])
    } == set()


def test_fewer_speakers_than_splits_are_noted() -> None:
    """Nobody could keep them apart."""
    said = [
        case(split, i, i, f"TEXT {i}", "ann") for i, split in enumerate(["train", "train", "dev", "test"])
    ]
    found = [f for f in splits.check_splits(said) if "speakers" in f.kind.name]
    assert [(f.kind.name, f.kind.severity, f.where) for f in found] == [
        ("few speakers", "note", "dev"),
        ("few speakers", "note", "test"),
    ]
    two = replace(said[0], utterance=replace(said[0].utterance, speaker="bob"))
    three = replace(said[1], utterance=replace(said[1].utterance, speaker="cy"))
    kinds = {f.kind.name for f in splits.check_splits([two, said[1], *said[2:]]) if "speakers" in f.kind.name}
    assert kinds == {"few speakers"}
    assert "few speakers" not in {f.kind.name for f in splits.check_splits([two, three, *said[2:]])}


def test_commands_are_the_same_in_all_splits() -> None:
    def words(split: str, count: int) -> list[CheckedUtterance]:
        return [
            CheckedUtterance(
                split, i, Utterance(f"{split}{i}", "a.wav", ["GO", "ON", "STOP", "BACK"][i % 4], 1.0)
            )
            for i in range(count)
        ]

    kinds = {f.kind.name for f in splits.check_splits([*words("train", 40), *words("test", 8)])}
    assert kinds == {"texts of train"}
    kinds = {f.kind.name for f in splits.check_splits([*words("train", 8), *words("test", 8)])}
    assert kinds == {"most texts of train"}
