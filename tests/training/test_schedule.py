"""The contract of schedules over every member of the union, and an oracle for each."""

import csv
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import tones
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from asrattn.errors import ConfigError, StoppedError
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule
from asrattn.training.schedule import (
    CosineConfig,
    NoamConfig,
    OneCycleConfig,
    PlateauConfig,
    ScheduleConfig,
    ValidationRecord,
    WSDConfig,
    count_plateaus,
    lr_factor,
)

MEMBERS = get_args(ScheduleConfig)
shares = st.floats(0, 0.95)
finds = st.lists(
    st.builds(ValidationRecord, st.floats(0, 1), st.floats(0, 9) | st.just(math.nan), st.floats(0, 2)),
    max_size=30,
)
STRATEGIES = {
    CosineConfig: st.builds(CosineConfig, warmup=shares, floor=st.floats(0, 1)),
    NoamConfig: st.builds(NoamConfig, warmup=st.floats(1e-6, 0.95)),
    OneCycleConfig: st.builds(OneCycleConfig, warmup=shares, start=st.floats(0, 1), floor=st.floats(0, 1)),
    WSDConfig: st.builds(WSDConfig, warmup=st.floats(0, 0.5), decay=st.floats(0, 0.5), floor=st.floats(0, 1)),
    PlateauConfig: st.builds(
        PlateauConfig,
        warmup=shares,
        monitor=st.sampled_from(["loss", "wer"]),
        patience=st.integers(1, 4),
        factor=st.floats(0.01, 0.99),
        floor=st.floats(0, 1),
    ),
}
configs = st.one_of(*(STRATEGIES[member] for member in MEMBERS))


@given(configs, st.floats(0, 1), finds)
def test_the_share_lies_between_nothing_and_all(
    config: ScheduleConfig, progress: float, judged: list[ValidationRecord]
) -> None:
    share = lr_factor(config, progress, judged)
    assert 0 <= share <= 1
    assert share == lr_factor(config, progress, list(judged))


@given(configs)
def test_it_rises_in_the_warm_up_and_never_again(config: ScheduleConfig) -> None:
    points = [i / 200 for i in range(201)]
    found = [lr_factor(config, p) for p in points]
    for (p, a), b in zip(zip(points, found, strict=True), found[1:], strict=False):
        if p + 1 / 200 < config.warmup:
            assert b >= a - 1e-12
        elif p >= config.warmup:
            assert b <= a + 1e-12


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: m.kind)
def test_the_full_rate_is_reached_at_the_end_of_the_warm_up(member: type) -> None:
    assert lr_factor(member(warmup=0.25), 0.25) == pytest.approx(1.0)


def test_cosine_from_its_formula() -> None:
    config = CosineConfig(warmup=0.08)
    for progress, share in ((0.04, 0.5), (0.08, 1.0), (0.54, 0.5), (1.0, 0.0)):
        assert lr_factor(config, progress) == pytest.approx(share)
    assert lr_factor(CosineConfig(warmup=0.0), 0.0) == 1.0  # without warm-up it begins in full
    for progress, share in ((0.54, 0.6), (1.0, 0.2)):
        assert lr_factor(replace(config, floor=0.2), progress) == pytest.approx(share)


def test_noam_from_its_formula() -> None:
    """d^-½ · min(step^-½, step · warmup^-1½), over its value at step = warmup."""
    steps, warmup, d = 1000, 40, 256
    peak = d**-0.5 * warmup**-0.5
    for step in (1, 10, 40, 41, 300, 1000):
        rate = d**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert lr_factor(NoamConfig(warmup=warmup / steps), step / steps) == pytest.approx(rate / peak)


def test_one_cycle_as_torch_has_it() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    steps, warmup = 101, 30  # torch's cycle turns at step 29 and ends at step 100
    torchs = OneCycleLR(optimizer, 1.0, steps, pct_start=warmup / steps, cycle_momentum=False)
    config = OneCycleConfig(warmup=29 / 100, start=1 / 25, floor=1 / 25e4)  # what torch has by default
    for step in range(steps):
        assert lr_factor(config, step / 100) == pytest.approx(torchs.get_last_lr()[0]), step
        optimizer.step()
        if step < steps - 1:
            torchs.step()


def test_wsd_from_its_formula() -> None:
    config = WSDConfig(warmup=0.1, decay=0.2, floor=0.1)
    for progress, share in ((0.05, 0.5), (0.1, 1.0), (0.5, 1.0), (0.8, 1.0), (0.9, 0.55), (1.0, 0.1)):
        assert lr_factor(config, progress) == pytest.approx(share)
    assert lr_factor(replace(config, decay=0.0), 1.0) == 1.0


@given(finds, st.integers(1, 4), st.sampled_from(["loss", "wer"]))
def test_plateaus_are_counted_as_torch_counts_them(
    judged: list[ValidationRecord], patience: int, monitor: str
) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    torchs = ReduceLROnPlateau(optimizer, factor=0.5, patience=patience - 1, threshold=0.0, eps=0.0)
    config = PlateauConfig(warmup=0.0, monitor=monitor, patience=patience)  # type: ignore[arg-type]
    late = [each._replace(progress=max(each.progress, 0.01)) for each in judged]
    for n, each in enumerate(late, 1):
        torchs.step(getattr(each, monitor))
        assert lr_factor(config, 1.0, late[:n]) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_plateau_within_the_warm_up_does_not_count() -> None:
    config = PlateauConfig(warmup=0.2, patience=2, factor=0.5, floor=0.3)
    early = [ValidationRecord(p, 3.0, 1.0) for p in (0.05, 0.1, 0.15, 0.2)]
    assert lr_factor(config, 0.3, early) == 1.0
    late = [ValidationRecord(p, 3.0, 1.0) for p in (0.3, 0.4, 0.5)]
    assert count_plateaus(config, early + late) == 1
    assert lr_factor(config, 0.6, early + late) == 0.5
    assert lr_factor(config, 0.9, early + late + late) == 0.3  # two: 0.25, but for the floor


def test_a_plateau_goes_on_where_the_run_was_stopped(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is learnt at this rate, so that every validation but the first finds nothing better."""
    plateau = PlateauConfig(warmup=0.0, monitor="wer", patience=1, factor=0.5)
    recipe = tones.recipe(learning_rate=1e-9, epochs=4, ema=0.0, schedule=plateau)
    before = SpeechLightningModule.training_step

    def step(self: SpeechLightningModule, batch: Any, index: int) -> Any:
        if self.trainer.current_epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return before(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SpeechLightningModule, "training_step", step)
        with pytest.raises(StoppedError):
            fit(recipe, corpus, tmp_path)
    fit(recipe, corpus, tmp_path, resume=True)
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as table:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(table)]
    assert rates == pytest.approx([1e-9, 1e-9, 0.5e-9, 0.25e-9])


@pytest.mark.parametrize(
    ("member", "settings", "message"),
    [
        *((m, {"warmup": 1.0}, r"schedule.warmup must lie in \[0, 1\)") for m in MEMBERS),
        (CosineConfig, {"floor": 1.1}, "schedule.floor must lie in"),
        (NoamConfig, {"warmup": 0.0}, "schedule.warmup must be above 0"),
        (OneCycleConfig, {"start": -0.1}, "schedule.start must lie in"),
        (WSDConfig, {"warmup": 0.6, "decay": 0.5}, "schedule.warmup and decay must not exceed 1 together"),
        (PlateauConfig, {"patience": 0}, "schedule.patience must be at least 1"),
        (PlateauConfig, {"factor": 1.0}, "schedule.factor must lie between 0 and 1"),
    ],
)
def test_ranges_are_checked(member: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        member(**settings)
