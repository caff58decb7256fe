"""Learning rate and optimiser."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.training.recipe import TrainConfig
from asrattn.training.schedule import factor, optimizer


def test_the_rate_rises_linearly_then_falls_to_zero() -> None:
    assert factor(0.04, 0.08) == pytest.approx(0.5)
    assert factor(0.08, 0.08) == pytest.approx(1.0)
    assert factor(0.54, 0.08) == pytest.approx(0.5)
    assert factor(1.0, 0.08) == pytest.approx(0.0)
    assert factor(0.0, 0.0) == 1.0  # without warm-up it begins in full
    assert factor(0.54, 0.08, 0.2) == pytest.approx(0.6)
    assert factor(1.0, 0.08, 0.2) == pytest.approx(0.2)


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_the_rate_stays_between_nothing_and_all(progress: float, warmup: float) -> None:
    assert 0 <= factor(progress, warmup) <= 1


def test_vectors_do_not_decay_and_fp16_is_not_fused() -> None:
    model = torch.nn.Linear(3, 2)
    matrices, vectors = optimizer(model, TrainConfig(weight_decay=0.1)).param_groups
    assert matrices["weight_decay"] == 0.1
    assert matrices["params"][0] is model.weight
    assert vectors["weight_decay"] == 0
    assert vectors["params"][0] is model.bias
    assert optimizer(model, TrainConfig(precision="fp16")).defaults["fused"] is False
    assert optimizer(model, TrainConfig(precision="bf16")).defaults["fused"] is True
