"""Held-out splits: disjoint speakers, nothing lost, the same for the same seed."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from data_prep.split import hold_out_shares, hold_out_speakers


def _corpus(sizes: list[int]) -> list[Utterance]:
    return [
        Utterance(f"s{speaker}-{n}", "a.wav", "a", 1.0, f"s{speaker}")
        for speaker, size in enumerate(sizes)
        for n in range(size)
    ]


def _speakers(utterances: list[Utterance]) -> set[str]:
    return {u.speaker for u in utterances}


SHARES = {"dev": 0.1, "test": 0.1}


@given(st.lists(st.integers(1, 30), min_size=3, max_size=20), st.integers(0, 9))
def test_shares_keep_speakers_apart_and_lose_nothing(sizes: list[int], seed: int):
    corpus = _corpus(sizes)
    splits = hold_out_shares({"train": corpus}, SHARES, seed)
    assert sorted(u.id for part in splits.values() for u in part) == sorted(u.id for u in corpus)
    speakers = [_speakers(part) for part in splits.values()]
    assert all(speakers)
    assert sum(map(len, speakers)) == len(sizes)
    backwards = hold_out_shares({"train": corpus[::-1]}, SHARES, seed)
    assert {name: part[::-1] for name, part in backwards.items()} == splits


@given(st.integers(3, 400), st.sampled_from(["", "me"]))
def test_few_recordings_of_nobody_or_of_one_speaker_fill_every_split(count: int, speaker: str):
    corpus = [Utterance(f"{n}", "a.wav", "a", 1.0, speaker) for n in range(count)]
    splits = hold_out_shares({"train": corpus}, SHARES, 0)
    assert len(splits["dev"]) == len(splits["test"]) == max(1, round(count / 10))
    assert len(splits["train"]) == count - 2 * len(splits["dev"])


def test_two_speakers_cannot_make_three_splits_and_a_warning_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        splits = hold_out_shares({"train": _corpus([50, 50])}, SHARES, 0)
    assert [len(part) for part in splits.values()] == [80, 10, 10]
    assert "2 speaker(s) cannot be kept apart in 3 splits" in caplog.text


def test_shares_are_near_what_is_asked():
    splits = hold_out_shares({"train": _corpus([20] * 60)}, {"dev": 0.05, "test": 0.2}, 0)
    assert len(splits["dev"]) == 60
    assert len(splits["test"]) == 240


def test_given_splits_stay_and_a_share_of_zero_makes_none():
    corpus = _corpus([10] * 10)
    splits = hold_out_shares({"train": corpus[:90], "dev": [], "test": corpus[90:]}, SHARES, 0)
    assert splits["test"] == corpus[90:]
    assert len(splits["dev"]) == 10
    assert hold_out_shares({"train": corpus}, {"dev": 0.0, "test": 0.0}, 0) == {"train": corpus}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_recordings_are_told(count: int):
    with pytest.raises(DataError, match=f"{count} usable utterances are too few for train, dev, test"):
        hold_out_shares({"train": _corpus([1] * count)}, SHARES, 0)


@given(st.integers(0, 9), st.integers(0, 5))
def test_whole_speakers_are_held_out_by_count(count: int, seed: int):
    corpus = _corpus([3] * 10)
    splits = hold_out_speakers({"train": corpus, "test": []}, count, seed)
    assert len(_speakers(splits["dev"])) == count
    assert not _speakers(splits["dev"]) & _speakers(splits["train"])
    assert sorted(splits["dev"] + splits["train"], key=corpus.index) == corpus


def test_another_seed_draws_other_speakers():
    drawn = {
        frozenset(_speakers(hold_out_speakers({"train": _corpus([2] * 30)}, 5, seed)["dev"]))
        for seed in range(5)
    }
    assert len(drawn) == 5


def test_all_speakers_cannot_be_held_out():
    with pytest.raises(DataError, match="10 speakers cannot be held out of 10"):
        hold_out_speakers({"train": _corpus([1] * 10)}, 10, 0)
