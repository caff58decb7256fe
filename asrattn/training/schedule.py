"""Learning-rate schedules (LR schedulers): cosine, Noam, one-cycle, WSD, plateau, as factors of the peak rate.

Functions of the progress and of the validations so far: a resumed run restores nothing else.
To add one: write its config, then name it in `ScheduleConfig` and `lr_factor`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from asrattn.config import check


class ValidationRecord(NamedTuple):
    """Loss and WER (a fraction) of a validation, the progress at that point, and the mean training loss of its
    epoch."""

    progress: float
    loss: float
    wer: float
    train_loss: float = math.nan


@dataclass(frozen=True)
class CosineConfig:
    """Linear warm-up, then a half cosine down to the floor (Loshchilov & Hutter 2017).

    warmup   fraction of all steps, as everywhere below
    floor    fraction of the peak learning rate, as everywhere below
    """

    kind: Literal["cosine"] = "cosine"
    warmup: float = 0.08
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_ratios(warmup=self.warmup)
        _check_floor(self.floor)


@dataclass(frozen=True)
class NoamConfig:
    """Linear warm-up, then inverse square root of the steps (Vaswani et al. 2017); peaks at the peak rate."""

    kind: Literal["noam"] = "noam"
    warmup: float = 0.08

    def __post_init__(self) -> None:
        _check_ratios(warmup=self.warmup)
        check(self.warmup > 0, "schedule.warmup must be above 0; the rate falls from there on")


@dataclass(frozen=True)
class OneCycleConfig:
    """A half cosine up from `start`, then one down to the floor (Smith 2018); the momentum is constant."""

    kind: Literal["one-cycle"] = "one-cycle"
    warmup: float = 0.3
    start: float = 0.04
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_ratios(warmup=self.warmup)
        _check_floor(self.floor)
        check(0 <= self.start <= 1, "schedule.start must lie in [0, 1]")


@dataclass(frozen=True)
class WSDConfig:
    """Warm-up, stable, decay (WSD, Hu et al. 2024): linear up, constant, linear down to the floor over `decay`."""

    kind: Literal["wsd"] = "wsd"
    warmup: float = 0.08
    decay: float = 0.2
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_ratios(warmup=self.warmup, decay=self.decay)
        _check_floor(self.floor)
        check(self.warmup + self.decay <= 1, "schedule.warmup and decay must not exceed 1 together")


@dataclass(frozen=True)
class PlateauConfig:
    """Linear warm-up, then reduced on each plateau of dev.

    monitor    the dev loss, or the dev WER
    patience   validations without a better value before the rate is multiplied by `factor`; those during the
               warm-up do not count
    """

    kind: Literal["plateau"] = "plateau"
    warmup: float = 0.08
    monitor: Literal["loss", "wer"] = "loss"
    patience: int = 3
    factor: float = 0.5
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_ratios(warmup=self.warmup)
        _check_floor(self.floor)
        check(self.patience >= 1, "schedule.patience must be at least 1")
        check(0 < self.factor < 1, "schedule.factor must lie between 0 and 1")


ScheduleConfig = CosineConfig | NoamConfig | OneCycleConfig | WSDConfig | PlateauConfig


def lr_factor(config: ScheduleConfig, progress: float, history: Sequence[ValidationRecord] = ()) -> float:
    """The factor of the peak learning rate, in [0, 1], at `progress`: 0 before the first step, 1 after the last.

    history: the validations so far; only the plateau schedule uses them.
    """
    if progress < config.warmup:
        return _warmup_factor(config, progress / config.warmup)
    match config:
        case CosineConfig() | OneCycleConfig():
            return _half_cosine(1.0, config.floor, (progress - config.warmup) / (1 - config.warmup))
        case NoamConfig():
            return math.sqrt(config.warmup / progress)
        case WSDConfig():
            left = (1 - progress) / config.decay if config.decay else 1.0
            return config.floor + (1 - config.floor) * min(1.0, max(0.0, left))
        case PlateauConfig():
            return max(config.floor, config.factor ** count_plateaus(config, history))


def count_plateaus(config: PlateauConfig, history: Sequence[ValidationRecord]) -> int:
    """Number of plateaus of the dev loss or WER."""
    best, worse, count = math.inf, 0, 0
    for each in history:
        value = each.loss if config.monitor == "loss" else each.wer
        if each.progress <= config.warmup:
            continue
        if value < best:
            best, worse = value, 0
        else:
            worse += 1
        if worse == config.patience:
            count, worse = count + 1, 0
    return count


def _warmup_factor(config: ScheduleConfig, share: float) -> float:
    """During the warm-up, of which the fraction `share` is over."""
    return _half_cosine(config.start, 1.0, share) if isinstance(config, OneCycleConfig) else share


def _half_cosine(start: float, end: float, share: float) -> float:
    """A half cosine from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _check_ratios(**shares: float) -> None:
    for name, share in shares.items():
        check(0 <= share < 1, f"schedule.{name} must lie in [0, 1)")


def _check_floor(floor: float) -> None:
    check(0 <= floor <= 1, "schedule.floor must lie in [0, 1]")
