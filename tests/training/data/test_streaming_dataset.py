"""Training from shards: every utterance once, the same for everyone, from any step on, in bounded memory."""

import io
import itertools
import json
import logging
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tones
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn import checkpoint
from asrattn.data.shards import ShardReader, Shards
from asrattn.errors import DataError
from asrattn.training.data import corpus as corpora
from asrattn.training.data import datamodule
from asrattn.training.data.corpus import Corpus
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.sampler import (
    Batch,
    EpochPlan,
    micro_batches_of_rank,
    padding_ratio,
    shard_batches,
)
from asrattn.training.fit import fit
from asrattn.training.recipe import DataConfig
from data_prep import shards

SIZES = [9, 1, 12, 5, 7, 3, 10, 8, 2, 11, 6, 4]
CONFIG = DataConfig(batch_seconds=4, cache=0.0, window=2)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """Twelve shards of utterances whose sound is their number, two bytes each."""
    folder, number = tmp_path_factory.mktemp("stored"), 0
    for shard, size in enumerate(SIZES):
        archive = folder / f"shard-{shard:05}.tar"
        lines = []
        with tarfile.open(archive, "w") as tar:
            for i in range(size):
                member = tarfile.TarInfo(f"{i}.flac")
                member.size = 2
                tar.addfile(member, io.BytesIO(number.to_bytes(2, "big")))
                line = {
                    "id": f"{number}",
                    "audio": f"{archive.name}/{i}.flac",
                    "text": "a",
                    "seconds": 1 + number % 7,
                }
                lines.append(json.dumps(line) + "\n")
                number += 1
        archive.with_suffix(".jsonl").write_text("".join(lines))
    return Shards.open(folder)


@given(
    world=st.integers(1, 4),
    workers=st.integers(1, 4),
    window=st.integers(1, 5),
    bound=st.floats(1, 60),
    epoch=st.integers(0, 9),
    done=st.integers(0, 5),
)
def test_all_readers_together_read_every_utterance_once_in_bounded_memory(
    stored: Shards, world: int, workers: int, window: int, bound: float, epoch: int, done: int
) -> None:
    """Also from step `done` on, when what came before is left out."""
    plan = shard_batches(stored.seconds, stored.starts, bound, 3, epoch, window)
    heard = [i for step in plan[:done] for i in step]
    for rank in range(world):
        for worker in range(workers):
            heard += read(stored, plan, range(done + worker, len(plan), workers), world, rank, window)
    assert sorted(heard) == list(range(len(stored.seconds)))


def read(stored: Shards, plan: EpochPlan, own: range, world: int, rank: int, window: int) -> Iterator[int]:
    """What one reader reads; it never keeps more than a window."""
    wanted = np.zeros(len(stored.seconds), bool)
    wanted[plan.indices_of_rank(own, world, rank)] = True
    reader = ShardReader(stored, wanted)
    largest = sum(sorted(SIZES)[-window:])
    for number in own:
        for i in itertools.chain.from_iterable(
            micro_batches_of_rank(plan[number], stored.seconds, 9.0, world, rank)
        ):
            utterance, sound = reader.read(i)
            assert utterance.id == str(int.from_bytes(sound, "big")) == str(i)
            assert len(reader.buffer) < largest
            yield i
    assert reader.buffer == {}


def test_all_processes_together_keep_a_window(stored: Shards) -> None:
    plan = shard_batches(stored.seconds, stored.starts, 12.0, 0, 0, 4)
    for world in (1, 2, 4):
        peaks = []
        for rank in range(world):
            wanted = np.zeros(len(stored.seconds), bool)
            wanted[plan.indices_of_rank(range(len(plan)), world, rank)] = True
            reader = ShardReader(stored, wanted)
            kept = []
            for step in plan:
                for i in step[rank::world]:
                    reader.read(i)
                    kept.append(len(reader.buffer))
            peaks.append(max(kept))
        assert sum(peaks) < sum(sorted(SIZES)[-4:])


def test_the_plan_follows_from_seed_and_epoch(stored: Shards) -> None:
    def plan(seed: int, epoch: int) -> EpochPlan:
        return shard_batches(stored.seconds, stored.starts, 20.0, seed, epoch, 2)

    assert plan(1, 0) == plan(1, 0)
    for other in (plan(1, 1), plan(2, 0)):
        assert {frozenset(b) for b in other} != {frozenset(b) for b in plan(1, 0)}


@pytest.mark.parametrize("bound", [60.0, 200.0])
def test_little_is_padding(bound: float) -> None:
    """Lengths of read speech, half an hour in a shard, as the command makes them."""
    draw = np.random.default_rng(0)
    seconds = np.clip(draw.lognormal(2.1, 0.5, 8000), 0.6, 30.0)
    starts = np.append(np.searchsorted(np.cumsum(seconds), np.arange(0, seconds.sum(), 1800)), len(seconds))
    plan = shard_batches(seconds, starts, bound, 0, 0, DataConfig().window)
    assert padding_ratio(seconds, plan) < 0.05


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1), max_size=20), st.data())
def test_a_plan_is_its_batches(batches: list[list[int]], drawn: st.DataObject) -> None:
    plan = EpochPlan(batches)
    assert list(plan) == batches
    assert plan[1:] == batches[1:]
    numbers = range(drawn.draw(st.integers(0, 5)), len(batches), drawn.draw(st.integers(1, 3)))
    world = drawn.draw(st.integers(1, 4))
    shares = [plan.indices_of_rank(numbers, world, rank).tolist() for rank in range(world)]
    assert shares == [[i for n in numbers for i in batches[n][rank::world]] for rank in range(world)]


@pytest.fixture
def sharded(corpus: Path, tmp_path: Path) -> Path:
    """The corpus of tones, train in shards of about four utterances."""
    list(shards.write_shards(corpus / "train.jsonl", tmp_path / "data" / "train", hours=0.001))
    listed = (corpus / "dev.jsonl").read_text().replace('"audio": "', f'"audio": "{corpus}/')
    (tmp_path / "data" / "dev.jsonl").write_text(listed)
    return tmp_path / "data"


def data_of(
    corpus: Corpus, config: DataConfig, epoch: int, rank: int = 0, world: int = 1
) -> SpeechDataModule:
    found = SpeechDataModule(corpus, config, tones.RATE, 0.1, seed=0)
    found.trainer = SimpleNamespace(current_epoch=epoch, world_size=world, global_rank=rank)  # type: ignore[assignment]
    return found


def served(
    folder: Path,
    config: DataConfig,
    epoch: int,
    rank: int = 0,
    world: int = 1,
    start: tuple[int, int] = (0, 0),
) -> list[list[Batch]]:
    """The steps of one process."""
    found = data_of(corpora.load(folder, config, tones.RATE), config, epoch, rank, world)
    found.resume_position = start
    return list(found.train_dataloader())


def same(ours: list[list[Batch]], theirs: list[list[Batch]]) -> bool:
    def equal(a: Batch, b: Batch) -> bool:
        tensors = all(
            torch.equal(getattr(a, name), getattr(b, name)) for name in ("wave", "tokens", "stretch")
        )
        return tensors and (a.utterances, a.normalizer) == (b.utterances, b.normalizer)

    return [len(step) for step in ours] == [len(step) for step in theirs] and all(
        equal(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_from_shards_come_the_same_sounds_and_texts(corpus: Path, sharded: Path) -> None:
    kept = {i.utterance.id: i for i in corpora.load(corpus, DataConfig(), tones.RATE).train}  # type: ignore[attr-defined]
    for (batch,) in served(sharded, CONFIG, 0):
        assert batch.normalizer == (len(batch.utterances), int(batch.token_lens.sum()))
        for b, utterance in enumerate(batch.utterances):
            item = kept.pop(utterance.id)
            assert utterance.text == item.utterance.text
            assert batch.tokens[b, : batch.token_lens[b]].tolist() == list(item.tokens)
            np.testing.assert_allclose(batch.wave[b, : batch.wave_lens[b]].numpy(), item.wave, atol=1e-4)
    assert kept == {}


@pytest.mark.parametrize("world", [1, 2])
def test_workers_change_nothing_and_a_loader_can_begin_anywhere(sharded: Path, world: int) -> None:
    for rank in range(world):
        whole = served(sharded, CONFIG, 1, rank, world)
        assert same(served(sharded, replace(CONFIG, workers=2), 1, rank, world), whole)
        assert same(served(sharded, CONFIG, 1, rank, world, start=(1, 2)), whole[2:])
        assert same(served(sharded, CONFIG, 1, rank, world, start=(0, 2)), whole)  # that was another epoch
    assert not same(whole, served(sharded, CONFIG, 2, rank, world)[: len(whole)])


def test_the_parts_of_a_step_are_the_whole_step(sharded: Path) -> None:
    """Whoever reads them, and however many passes it takes."""
    (whole, *_), ours, theirs = (
        served(sharded, CONFIG, 0, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    ids = {u.id for u in whole[0].utterances}
    parts = ours[0] + theirs[0]
    assert {u.id for part in parts for u in part.utterances} == ids
    assert all(part.normalizer == whole[0].normalizer for part in parts)
    small = served(sharded, replace(CONFIG, max_device_seconds=1.5), 0)[0]
    assert len(small) > 1
    assert {u.id for part in small for u in part.utterances} == ids


def test_a_process_without_a_part_of_a_step_has_silence_that_does_not_count(sharded: Path) -> None:
    parts = [served(sharded, replace(CONFIG, batch_seconds=0.1), 0, rank, 2) for rank in (0, 1)]
    for (ours,), (theirs,) in zip(*parts, strict=True):
        assert len(ours.utterances) == ours.normalizer.utterances == theirs.normalizer.utterances == 1
        assert theirs.utterances == ()
        assert theirs.wave.shape == (1, 16000)


def test_a_loader_can_be_read_twice(sharded: Path) -> None:
    loader = data_of(corpora.load(sharded, CONFIG, tones.RATE), CONFIG, 0).train_dataloader()
    assert same(list(loader), list(loader))


def damage(folder: Path) -> set[str]:
    """Break the sound of one utterance, the line of a second, the text of a third; their names in a report."""
    first, second, third = sorted(folder.glob("*.jsonl"))[:3]
    archive = first.with_suffix(".tar")
    whole = bytearray(archive.read_bytes())
    whole[512:1024] = bytes(512)  # content of the first member
    archive.write_bytes(whole)
    second.write_text(second.read_text().replace('"text"', '"words"', 1))
    third.write_text(third.read_text().replace('"text": "', '"text": "?', 1))
    return {f"{first.stem}:1", f"{second.stem}:1", json.loads(third.read_text().splitlines()[0])["id"]}


def test_what_is_broken_is_told_and_the_run_goes_on(
    sharded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = corpora.load(sharded, CONFIG, tones.RATE).tokenizer
    broken = damage(sharded / "train")
    found = data_of(corpora.load(sharded, CONFIG, tones.RATE, tokenizer), CONFIG, 0)
    steps = [found.on_before_batch_transfer(step, 0) for step in list(found.train_dataloader()) * 2]
    assert {each[0] for (batch,) in steps for each in batch.dropped} == broken
    assert sum(len(batch.utterances) for (batch,) in steps) == 2 * 21
    assert (
        len([r for r in caplog.records if r.message.startswith("dropped: ")]) == 3
    )  # once, not in each epoch
    assert all(any(name in record.message for record in caplog.records) for name in broken)


def test_a_step_of_which_nothing_is_left_is_taken_all_the_same(sharded: Path) -> None:
    for archive in (sharded / "train").glob("*.tar"):
        archive.unlink()
    found = data_of(corpora.load(sharded, CONFIG, tones.RATE), CONFIG, 0)
    steps = list(found.train_dataloader())
    assert len(steps) == len(found.epoch_plan(0))
    assert all(b.utterances == () and not b.wave.any() and b.normalizer.tokens > 0 for (b,) in steps)
    assert sum(len(b.dropped) for (b,) in steps) == 24


def test_when_more_is_broken_than_whole_the_run_ends(
    sharded: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datamodule, "MAX_DROPPED_UTTERANCES", 5)
    recipe = replace(tones.recipe(epochs=1), data=CONFIG)
    before = SpeechDataModule.train_dataloader

    def unplugged(self: SpeechDataModule) -> object:
        for archive in (sharded / "train").glob("*.tar"):
            archive.unlink()
        return before(self)

    monkeypatch.setattr(SpeechDataModule, "train_dataloader", unplugged)
    with pytest.raises(
        DataError, match=r"utterances could not be used \(the last: shard-.*No such file.*--resume"
    ):
        fit(recipe, sharded, tmp_path / "run")


def test_what_is_too_long_by_the_manifest_is_not_even_read(sharded: Path) -> None:
    corpus = corpora.load(sharded, replace(CONFIG, max_seconds=0.6), tones.RATE)
    seconds = Shards.open(sharded / "train").seconds
    assert len(corpus.train) == (seconds <= 0.6).sum() < len(seconds)
    assert [d.reason for d in corpus.dropped] == ["too long"] * int((seconds > 0.6).sum())
    with pytest.raises(DataError, match=r"train: none of 24 utterances can be trained on \(24 too long"):
        corpora.load(sharded, replace(CONFIG, max_seconds=0.2), tones.RATE)


def test_a_run_from_shards_learns(sharded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damage(sharded / "train")
    (sharded / "train" / "shard-00002.jsonl").write_text(
        (sharded / "train" / "shard-00002.jsonl").read_text().replace("?", "")
    )
    recipe = replace(tones.recipe(epochs=3, validate_every=3), data=replace(CONFIG, workers=1))
    with caplog.at_level(logging.INFO):
        saved = checkpoint.load(fit(recipe, sharded, tmp_path / "run"))
    assert saved.card["epochs"] == 3
    assert "in shards: read and checked during training" in caplog.text
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("train_total")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert losses[2] < losses[1] < losses[0]


def test_steps_and_dev_batches_hold_at_most_so_many_utterances(sharded: Path) -> None:
    config = replace(CONFIG, batch_seconds=1000.0, batch_utterances=3)
    steps = served(sharded, config, 0)
    assert max(sum(len(part.utterances) for part in step) for step in steps) == 3
    found = data_of(corpora.load(sharded, config, tones.RATE), config, 0)
    assert max(len(batch.utterances) for batch in found.val_dataloader()) <= 3
    assert len(found.largest_batch().utterances) == found.max_utterances(1.0) == 3
    assert found.max_utterances(500.0) == 2
