"""Batches: complete, bounded, equal for any number of processes."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.data.manifest import Utterance
from asrattn.model.losses import LossNormalizer
from asrattn.training.data.sampler import (
    LENGTH_JITTER_RATIO,
    Batch,
    bucket_by_duration,
    derive_seed,
    epoch_batches,
    micro_batches_of_rank,
    padding_ratio,
    shard_batches,
)

lengths = st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60)


def flat(batches: list[list[int]]) -> list[int]:
    return sorted(i for batch in batches for i in batch)


@given(lengths, st.floats(1.0, 60.0), st.integers(0, 5))
def test_every_utterance_is_in_exactly_one_step(seconds: list[float], bound: float, epoch: int) -> None:
    assert flat(epoch_batches(seconds, bound, seed=1, epoch=epoch)) == list(range(len(seconds)))


@given(lengths, st.floats(1.0, 60.0))
def test_padded_steps_keep_to_the_bound_unless_one_utterance_passes_it(
    seconds: list[float], bound: float
) -> None:
    for batch in epoch_batches(seconds, bound, seed=0, epoch=0):
        padded = len(batch) * max(seconds[i] for i in batch)
        assert padded <= bound * (1 + 1e-9) or len(batch) == 1


@given(lengths, st.floats(1.0, 200.0), st.integers(1, 5))
def test_a_step_holds_at_most_so_many_utterances(seconds: list[float], bound: float, most: int) -> None:
    plans = [
        list(epoch_batches(seconds, bound, 0, 0, max_utterances=most)),
        list(shard_batches(seconds, np.array([0, len(seconds)]), bound, 0, 0, 1, max_utterances=most)),
        bucket_by_duration(seconds, bound, max_utterances=most),
    ]
    for batches in plans:
        assert flat(batches) == list(range(len(seconds)))
        assert max(map(len, batches)) <= most
    assert len(bucket_by_duration(seconds, 1e9, max_utterances=most)) == -(-len(seconds) // most)


@given(lengths, st.floats(0.5, 60.0), st.integers(1, 5))
def test_processes_share_a_step_in_equally_many_passes_within_the_bound(
    seconds: list[float], bound: float, world: int
) -> None:
    step = list(range(len(seconds)))
    parts = [micro_batches_of_rank(step, seconds, bound, world, rank) for rank in range(world)]
    assert flat([p for part in parts for p in part]) == step
    assert len({len(part) for part in parts}) == 1
    assert parts[0][0]  # the first process always has something to do
    longest = max(seconds)
    for portion in (p for part in parts for p in part):
        assert len(portion) * longest <= bound or len(portion) <= 1


def test_a_step_that_fits_is_one_pass_and_sizes_differ_by_one_at_most() -> None:
    step, seconds = [5, 3, 0, 1, 2], [1.0] * 6
    assert micro_batches_of_rank(step, seconds, 5.0, 1, 0) == [step]
    assert [micro_batches_of_rank(step, seconds, 5.0, 2, rank) for rank in (0, 1)] == [[[5, 0, 2]], [[3, 1]]]
    assert micro_batches_of_rank(step, seconds, 3.5, 1, 0) == [[5, 0, 2], [3, 1]]
    assert [micro_batches_of_rank([4], seconds, 5.0, 2, rank) for rank in (0, 1)] == [[[4]], [[]]]


def test_the_same_epoch_gives_the_same_batches_and_another_epoch_others() -> None:
    seconds = [1 + i / 10 for i in range(80)]
    first = epoch_batches(seconds, 20, seed=5, epoch=0)
    assert first == epoch_batches(seconds, 20, seed=5, epoch=0)
    for other in (epoch_batches(seconds, 20, 5, 1), epoch_batches(seconds, 20, 6, 0)):
        assert other != first
        assert {frozenset(b) for b in other} != {frozenset(b) for b in first}  # not only shuffled


def test_short_utterances_can_come_first() -> None:
    """The same steps, in another order; with shards, within each window."""
    seconds = [0.5 + (7 * i % 40) / 4 for i in range(40)]
    rising, mixed = (epoch_batches(seconds, 8.0, 0, 0, ascending=each) for each in (True, False))
    assert sorted(map(tuple, rising)) == sorted(map(tuple, mixed))
    longest = [max(seconds[i] for i in step) for step in rising]
    assert all(
        a <= b * (1 + LENGTH_JITTER_RATIO) / (1 - LENGTH_JITTER_RATIO) for a, b in itertools.pairwise(longest)
    )
    starts = np.arange(0, 41, 10)
    read = shard_batches(seconds, starts, 8.0, 0, 0, window=4, ascending=True)
    assert max(seconds[i] for i in read[0]) < 2
    assert max(seconds[i] for i in read[-1]) >= max(seconds) * (1 - LENGTH_JITTER_RATIO) / (
        1 + LENGTH_JITTER_RATIO
    )


def test_like_lengths_stand_together_and_little_is_padding() -> None:
    draw = torch.Generator().manual_seed(0)
    seconds = (torch.rand(1000, generator=draw) * 6 + 0.5).tolist()
    assert padding_ratio(seconds, epoch_batches(seconds, 25, seed=0, epoch=0)) < 0.04 + LENGTH_JITTER_RATIO
    assert padding_ratio(seconds, bucket_by_duration(seconds, 25)) < 0.02
    assert padding_ratio([1.0, 3.0], [[0, 1]]) == pytest.approx(2 / 6)
    assert padding_ratio([], []) == 0


def test_seeds_are_stable_and_differ_by_purpose() -> None:
    assert derive_seed("step", 1, 2) == derive_seed("step", 1, 2)
    assert len({derive_seed("step", 1, 2), derive_seed("step", 2, 1), derive_seed("batches", 1, 2)}) == 3
    assert 0 <= derive_seed("x") < 2**63


def batch(n: int) -> Batch:
    ids = tuple(Utterance(f"u{i}", "x.wav", "a", 1.0) for i in range(n))
    lens = torch.arange(n)
    return Batch(torch.zeros(n, 4), lens, torch.zeros(n, 2), lens, torch.ones(n), ids, LossNormalizer(n, 9))


def test_a_batch_moves_its_tensors_and_keeps_its_utterances() -> None:
    here = batch(1)
    moved = here.to("meta")
    assert moved.wave.device.type == moved.token_lens.device.type == "meta"
    assert here.wave.device.type == "cpu"
    assert moved.utterances == here.utterances


def test_halves_are_parts_of_the_same_whole() -> None:
    first, second = batch(5).halves()
    assert [len(first.wave), len(second.wave)] == [2, 3]
    assert [u.id for u in first.utterances + second.utterances] == [f"u{i}" for i in range(5)]
    assert torch.cat((first.wave_lens, second.wave_lens)).tolist() == list(range(5))
    assert first.normalizer == second.normalizer == LossNormalizer(5, 9)
