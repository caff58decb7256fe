"""Two processes do what one does; a run that dies is taken up again to the bit; a dead process ends the others."""

import os
import random
import signal
import time
from pathlib import Path

import launch
import pytest
import torch
import torch.distributed as dist

from asrattn import checkpoint
from asrattn.layers.norm import BatchNorm
from asrattn.training import distributed
from data_prep import shards

pytestmark = pytest.mark.multi
LOSSES = ("train_total", "train_attention", "train_ctc", "dev_loss")
RATES = ("dev_wer", "dev_cer", "dev_ctc_wer")


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """An uninterrupted run, on one and on two processes."""
    folder = tmp_path_factory.mktemp("whole")
    for devices in (1, 2):
        status, told = launch.run(folder, corpus, str(devices), devices=devices)
        assert status == 0, told
    return {devices: folder / str(devices) for devices in (1, 2)}


@pytest.mark.parametrize(("strategy", "kind"), [("ddp", "adamw"), ("fsdp", "adamw"), ("fsdp", "muon")])
def test_two_processes_lose_and_decode_as_one(corpus: Path, tmp_path: Path, strategy: str, kind: str) -> None:
    """Also where one process has nothing to decode: 100 s is all of dev."""
    settings = ("--set", "data.batch_seconds=100", "--set", f"train.optimizer.kind={kind}")
    for name, devices, words in (("one", 1, ()), ("two", 2, ("--strategy", strategy))):
        status, told = launch.run(tmp_path, corpus, name, *words, *settings, devices=devices, still=True)
        assert status == 0, told
    one, two = launch.rows(tmp_path / "one"), launch.rows(tmp_path / "two")
    assert len(one) == len(two) == 3
    for ours, theirs in zip(one, two, strict=True):
        assert ours["step"] == theirs["step"]
        for name in LOSSES:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name
        for name in RATES:
            assert ours[name] == theirs[name]
    saved = [checkpoint.load(tmp_path / run / "model.safetensors").card for run in ("one", "two")]
    assert saved[0]["dev_utterances"] == saved[1]["dev_utterances"] == 7


def test_two_processes_fine_tune_as_one(corpus: Path, tmp_path: Path, whole: dict[int, Path]) -> None:
    """With adapters, weights frozen at first, rates by depth, and the start validated."""
    settings = {
        "lora.rank": "2",
        "lora.train": "ctc,decoder.out",
        "freeze": "ctc",
        "freeze_updates": "3",
        "layer_decay": "0.8",
        "validate_start": "true",
    }
    words = ["--init", str(whole[1] / "model.safetensors"), "--set", "data.batch_utterances=5"]
    words += [word for name, value in settings.items() for word in ("--set", f"train.{name}={value}")]
    for name, devices in (("one", 1), ("two", 2)):
        status, told = launch.run(tmp_path, corpus, name, *words, devices=devices, still=True)
        assert status == 0, told
        assert told.count("start: dev WER") == 1
    one, two = launch.rows(tmp_path / "one"), launch.rows(tmp_path / "two")
    for ours, theirs in zip(one, two, strict=True):
        assert ours["step"] == theirs["step"]
        for name in LOSSES:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name
    status, told = launch.run(tmp_path, corpus, "three", *words, "--strategy", "fsdp", devices=2)
    assert status == 1
    assert "train.lora and train.freeze_updates need whole weights; use --strategy ddp" in told


@pytest.mark.parametrize(("devices", "rank"), [(1, 0), (2, 0), (2, 1)])
def test_after_a_kill_in_the_middle_of_an_epoch_resuming_is_exact(
    corpus: Path, tmp_path: Path, whole: dict[int, Path], devices: int, rank: int
) -> None:
    status, _ = launch.run(tmp_path, corpus, "parts", devices=devices, fault=f"{rank} 1 3 SIGKILL")
    assert status != 0
    status, told = launch.run(tmp_path, corpus, "parts", "--resume", devices=devices)
    assert status == 0, told
    assert launch.same(tmp_path / "parts", whole[devices])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_ten_kills_at_random_points(corpus: Path, tmp_path: Path, devices: int) -> None:
    """Wherever it happens, also while a checkpoint is being written, which is half of the time here."""
    epochs, draw = ("--set", "train.epochs=60"), random.Random(devices)
    status, told = launch.run(tmp_path, corpus, "whole", *epochs, devices=devices)
    assert status == 0, told
    out, kills = tmp_path / "parts", 0
    while kills < 10:
        process = launch.start(
            tmp_path, corpus, "parts", *epochs, *["--resume"][: kills > 0], devices=devices
        )
        before = time.time()
        process.wait_for(out / "last.ckpt", seconds=600, newer=before)  # then it is under way
        time.sleep(draw.uniform(0, 1.5))
        assert process.running(), "it ended before it was killed; more epochs are needed"
        process.kill()
        kills += 1
    status, told = launch.run(tmp_path, corpus, "parts", *epochs, "--resume", devices=devices)
    assert status == 0, told
    assert launch.same(out, tmp_path / "whole")


@pytest.mark.parametrize(
    ("devices", "rank", "name"), [(1, 0, "SIGTERM"), (2, 1, "SIGTERM"), (2, 0, "SIGUSR1")]
)
def test_preemption_saves_the_step_and_leaves_in_one_line(
    corpus: Path, tmp_path: Path, whole: dict[int, Path], devices: int, rank: int, name: str
) -> None:
    """One process is told, all stop after the same step; nothing of the epoch is done twice."""
    words = ("--set", "train.save_minutes=60")
    status, told = launch.run(tmp_path, corpus, "parts", *words, devices=devices, fault=f"{rank} 1 2 {name}")
    assert status == 130, told
    assert told.strip().splitlines()[-1].startswith("asrattn: stopped by ")
    assert "Traceback" not in told
    content = launch.checkpointing.load(tmp_path / "parts" / "last.ckpt")
    assert '"steps": 3' in content["epoch_so_far"]
    status, told = launch.run(tmp_path, corpus, "parts", *words, "--resume", devices=devices)
    assert status == 0, told
    assert launch.same(tmp_path / "parts", whole[devices])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_dead_process_ends_the_run_with_its_reason(corpus: Path, tmp_path: Path, rank: int) -> None:
    """As it is typed: Lightning, which started the second process, watches it."""
    status, told = launch.run_typed(tmp_path, corpus, "out", devices=2, fault=f"{rank} 0 2 SIGKILL")
    assert status != 0
    if rank == 1:  # the first one is there to say so
        assert "asrattn: another process of the run is gone" in told
        assert "--resume" in told


def check_batch_norm(rank: int, meeting: Path) -> None:
    """In a process of its own, one of two."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    layer = BatchNorm(3)
    torch.manual_seed(rank)
    layer(torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool))
    running = distributed.all_gather_objects(layer.running_mean)
    assert not torch.equal(*running)
    assert torch.equal(distributed.broadcast_from_rank0(layer.running_mean), running[0])
    assert torch.equal(layer.running_mean, running[rank])
    dist.destroy_process_group()


def test_batch_norm_statistics_are_those_of_rank_0(tmp_path: Path) -> None:
    """Else each process would judge another model."""
    processes = [launch.fork(check_batch_norm, rank, tmp_path / "meeting") for rank in (0, 1)]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_second_signal_stops_at_once(corpus: Path, tmp_path: Path) -> None:
    process = launch.start(tmp_path, corpus, "out", "--set", "train.epochs=500")
    process.wait_for(tmp_path / "out" / "metrics.csv")
    os.kill(process.pid, signal.SIGTERM)
    status, told = process.finish()
    assert status == 130
    assert "stopped by SIGTERM" in told


@pytest.fixture(scope="module")
def sharded(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus, train in shards."""
    data = tmp_path_factory.mktemp("sharded")
    list(shards.write_shards(corpus / "train.jsonl", data / "train", hours=0.001))
    text = (corpus / "dev.jsonl").read_text(encoding="utf-8")
    (data / "dev.jsonl").write_text(text.replace('"audio": "', f'"audio": "{corpus}/'), encoding="utf-8")
    return data


STREAM = ("--set", "data.workers=2", "--set", "data.window=2")


def test_from_shards_two_processes_lose_what_one_does(sharded: Path, tmp_path: Path) -> None:
    for name, devices in (("one", 1), ("two", 2)):
        status, told = launch.run(
            tmp_path, sharded, name, "--set", "data.window=2", devices=devices, still=True
        )
        assert status == 0, told
    for ours, theirs in zip(launch.rows(tmp_path / "one"), launch.rows(tmp_path / "two"), strict=True):
        assert ours["step"] == theirs["step"]
        for name in LOSSES:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name


def test_from_shards_resuming_is_exact(sharded: Path, tmp_path: Path) -> None:
    status, told = launch.run(tmp_path, sharded, "whole", *STREAM)
    assert status == 0, told
    status, _ = launch.run(tmp_path, sharded, "parts", *STREAM, fault="0 1 3 SIGKILL")
    assert status != 0
    status, told = launch.run(tmp_path, sharded, "parts", *STREAM, "--resume")
    assert status == 0, told
    assert launch.same(tmp_path / "parts", tmp_path / "whole")
