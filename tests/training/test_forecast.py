"""The forecast against a step that is measured, and against operations counted on paper."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.decoders import RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import ConformerConfig, LSTMEncoderConfig, TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training import forecast
from asrattn.training.forecast import CostModel
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe, TrainConfig

LSTM = ModelConfig(
    encoder=LSTMEncoderConfig(dim=64, layers=2, channels=8),
    decoder=RecurrentDecoderConfig(dim=64, embedding=32, attention=LocationAwareAttentionConfig(dim=64)),
    vocabulary=30,
)
CONFORMER = ModelConfig(
    encoder=ConformerConfig(dim=64, layers=3, ffn_dim=128, channels=8),
    decoder=TransformerDecoderConfig(dim=64, layers=1, ffn_dim=128),
    vocabulary=500,
)
TOLERANCE = 0.3  # of memory: what the README promises


def recipe(model: ModelConfig, **settings: object) -> Recipe:
    return Recipe("small", model, **settings)  # type: ignore[arg-type]


def peak(run) -> int:
    """Bytes that torch holds at most at once, above what it held before: every allocation, from the profiler."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profile:
        run()
    assert profile.profiler is not None
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held, most = 0, 0
    for _, change in changes:
        held += change
        most = max(most, held)
    return most


positive = st.floats(0, 100)


@given(positive, positive, positive)
def test_three_measurements_determine_the_growth(constant: float, linear: float, square: float) -> None:
    truth = CostModel(constant, linear, square)
    found = CostModel.fit(truth(4, 4), truth(8, 4), truth(8, 8), 4)
    assert found(60, 12) == pytest.approx(truth(60, 12), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("precision", "consistency"), [("fp32", 0.2), ("bf16", 0.0)])
@pytest.mark.parametrize("config", [LSTM, CONFORMER], ids=lambda c: c.encoder.kind)
def test_memory_is_that_of_a_larger_step(config: ModelConfig, precision, consistency: float) -> None:
    loss, train = LossConfig(consistency=consistency), TrainConfig(precision=precision)
    chosen = recipe(config, loss=loss, train=train)
    model = SpeechModel(config).train()
    found = forecast.forecast_step(chosen, model)
    size = sum(p.numel() for p in model.parameters()) * 4
    optimizer = build_optimizer(chosen.train.optimizer, model, fused=True)

    def step(utterances: int, seconds: float) -> None:
        batch = forecast._batch(chosen, model, utterances, seconds)
        forecast._loss(chosen, model, batch).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step(1, 1.0)  # from here on the optimizer has its moments
    held = 4 * size + peak(lambda: step(5, 5.0))  # weights, moments and average are held all the time
    assert found.memory(25.0, 5.0) == pytest.approx(held, rel=TOLERANCE)
    assert found.activations(25.0, 5.0) > size  # or else the test would be of the weights alone


def test_operations_of_an_lstm_are_those_counted_on_paper() -> None:
    chosen = recipe(LSTM, loss=LossConfig(ctc=1.0))
    found = forecast.forecast_step(chosen, SpeechModel(LSTM))
    frames, mels = [998, 498, 248], [80, 39, 19]  # in ten seconds: the windows, and after each convolution
    C, D, V = 8, 64, 30
    first = 2 * 9 * C * frames[1] * mels[1]
    second = 2 * 9 * C * C * frames[2] * mels[2]
    inputs = 2 * C * mels[2] * D * frames[2]
    lstm = sum(2 * 2 * 4 * D * (size + D) * frames[2] for size in (D, 2 * D))
    head = 2 * 2 * D * V * frames[2]
    # Backward each product is two, except that the features need no gradient.
    assert found.flops(10.0, 10.0) == pytest.approx(2 * first + 3 * (second + inputs + lstm + head), rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_operations_of_a_transformer_are_those_counted_on_paper(precision) -> None:
    D, F, N, V, T = 128, 256, 2, 30, 248
    config = ModelConfig(
        encoder=TransformerEncoderConfig(dim=D, layers=N, ffn_dim=F, channels=8), vocabulary=V
    )
    chosen = recipe(config, loss=LossConfig(ctc=1.0), train=TrainConfig(precision=precision))
    found = forecast.forecast_step(chosen, SpeechModel(config))
    first, second = 2 * 9 * 8 * 498 * 39, 2 * 9 * 8 * 8 * T * 19
    layer = 2 * T * (4 * D * D + 2 * D * F) + 2 * 2 * T * T * D
    rest = second + 2 * T * D * (8 * 19 + V)
    assert found.flops(10.0, 10.0) == pytest.approx(2 * first + 3 * (N * layer + rest), rel=0.02)


def test_the_largest_batch_fits_just_so() -> None:
    found = forecast.forecast_step(recipe(CONFORMER), SpeechModel(CONFORMER))
    room = found.memory(100.0, 8.0)
    assert found.max_batch_seconds(room, 8.0) == pytest.approx(100.0)
    assert found.max_batch_seconds(room, 16.0) < 100.0
    assert found.max_batch_seconds(found.weights / 2, 8.0) == 0.0


@pytest.mark.parametrize("config", [LSTM, CONFORMER], ids=lambda c: c.encoder.kind)
def test_operations_are_those_of_a_larger_step(config: ModelConfig) -> None:
    chosen, model = recipe(config), SpeechModel(config)
    found = forecast.forecast_step(chosen, model)
    _, counted = forecast._measure(chosen, model, 12, 5.0)
    assert found.flops(60.0, 5.0) == pytest.approx(counted, rel=0.02)


def test_a_step_is_timed_after_its_kernels_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 4.0, 200.0, 200.5, 300.0, 300.25, 400.0, 402.0, 500.0, 504.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    model = SpeechModel(LSTM)
    before = [p.clone() for p in model.parameters()]
    assert forecast.seconds_per_step(recipe(LSTM), model, 2, 1.0) == 0.25
    assert (
        forecast.seconds_per_step(recipe(LSTM), model, 2, 1.0) == 4.0
    )  # two are enough if they take so long
    assert any(not torch.equal(was, now) for was, now in zip(before, model.parameters(), strict=True))
