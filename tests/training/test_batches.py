"""Batches: complete, bounded, equal for any number of processes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import DataError
from asrattn.training.batches import JITTER, Batch, cut, epoch_batches, level, padding, seed_of

lengths = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60)


def flat(batches: list[list[int]]) -> list[int]:
    return sorted(i for batch in batches for i in batch)


@given(lengths, st.floats(1.0, 60.0), st.integers(0, 5))
def test_every_utterance_is_in_exactly_one_batch(seconds: list[float], bound: float, epoch: int) -> None:
    for world in (1, 2, 3):
        if world <= len(seconds):
            batches = epoch_batches(seconds, bound, world, seed=1, epoch=epoch)
            assert flat(batches) == list(range(len(seconds)))


@given(lengths, st.floats(1.0, 60.0))
def test_padded_batches_keep_to_the_bound_unless_one_utterance_passes_it(
    seconds: list[float], bound: float
) -> None:
    for batch in epoch_batches(seconds, bound, world=1, seed=0, epoch=0):
        padded = len(batch) * max(seconds[i] for i in batch)
        assert padded <= bound * (1 + 1e-9) or len(batch) == 1


@given(lengths, st.floats(1.0, 60.0), st.integers(1, 4))
def test_all_processes_take_equally_many_steps(seconds: list[float], bound: float, world: int) -> None:
    if world <= len(seconds):
        batches = epoch_batches(seconds, bound, world, seed=0, epoch=3)
        assert len({len(batches[rank::world]) for rank in range(world)}) == 1
        assert all(batches)


def test_too_few_utterances_for_the_processes_are_told() -> None:
    with pytest.raises(DataError, match="2 utterances cannot feed 3 processes; use fewer devices"):
        level([[0], [1]], 3)


def test_levelling_halves_the_fullest_batch_and_joins_only_where_nothing_can_be_halved() -> None:
    assert sorted(level([[0, 1, 2, 3], [4], [5, 6]], 2), key=min) == [[0, 1], [2, 3], [4], [5, 6]]
    assert sorted(map(len, level([[0], [1], [2], [3]], 3))) == [1, 1, 2]


def test_the_same_epoch_gives_the_same_batches_and_another_epoch_others() -> None:
    seconds = [1 + i / 10 for i in range(80)]
    first = epoch_batches(seconds, 20, 1, seed=5, epoch=0)
    assert first == epoch_batches(seconds, 20, 1, seed=5, epoch=0)
    for other in (epoch_batches(seconds, 20, 1, 5, 1), epoch_batches(seconds, 20, 1, 6, 0)):
        assert other != first
        assert {frozenset(b) for b in other} != {frozenset(b) for b in first}  # not only shuffled


def test_two_processes_see_the_batches_of_one_when_their_number_is_even() -> None:
    seconds = [2.0] * 40
    alone = epoch_batches(seconds, 20, 1, seed=0, epoch=2)
    assert len(alone) % 2 == 0
    assert alone == epoch_batches(seconds, 20, 2, seed=0, epoch=2)


def test_like_lengths_stand_together_and_little_is_padding() -> None:
    draw = torch.Generator().manual_seed(0)
    seconds = (torch.rand(1000, generator=draw) * 6 + 0.5).tolist()
    assert padding(seconds, epoch_batches(seconds, 25, 1, seed=0, epoch=0)) < 0.04 + JITTER
    assert padding(seconds, cut(seconds, 25)) < 0.02
    assert padding([1.0, 3.0], [[0, 1]]) == pytest.approx(2 / 6)
    assert padding([], []) == 0


def test_seeds_are_stable_and_differ_by_purpose() -> None:
    assert seed_of("step", 1, 2) == seed_of("step", 1, 2)
    assert len({seed_of("step", 1, 2), seed_of("step", 2, 1), seed_of("batches", 1, 2)}) == 3
    assert 0 <= seed_of("x") < 2**63


def test_a_batch_moves_its_tensors_and_keeps_its_utterances() -> None:
    batch = Batch(
        torch.zeros(1, 4), torch.tensor([4]), torch.zeros(1, 2), torch.tensor([2]), torch.ones(1), ()
    )
    moved = batch.to("meta")
    assert moved.wave.device.type == moved.token_lens.device.type == "meta"
    assert batch.wave.device.type == "cpu"
