"""A GPU computes what the CPU does: every encoder, decoder and attention, and every loss."""

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from asrattn.attention import AttentionConfig, FixedContextConfig
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import (
    ConformerConfig,
    EncoderConfig,
    LocalAttentionConfig,
    LSTMEncoderConfig,
    PretrainedEncoderConfig,
    SparseAttentionConfig,
    TransformerEncoderConfig,
)
from asrattn.features import FeatureConfig
from asrattn.layers import FramePositions
from asrattn.model import LossConfig, ModelConfig
from asrattn.model.losses import ctc_loss
from asrattn.model.speech_model import SpeechModel
from asrattn.training.precision import has_native_bf16

pytestmark = pytest.mark.gpu
V, MELS = 12, 20
SIZES = {"dim": 16, "layers": 2, "heads": 2, "hidden": 24, "gated": 20, "channels": 4, "embedding": 8}
CERTAIN = {"dropout": 0.0, "noise": 0.0, "begin": 0.1}
LOSS = LossConfig(ctc=0.4, guided=0.1)


def small(member: Any, **settings: Any) -> Any:
    """A small one that draws nothing."""
    made = member()
    return replace(made, **{k: v for k, v in (SIZES | CERTAIN | settings).items() if hasattr(made, k)})


ENCODERS = [small(member) for member in get_args(EncoderConfig) if member is not PretrainedEncoderConfig]
ENCODERS += [
    small(LSTMEncoderConfig, subsampling="pyramid", layers=3),
    small(LSTMEncoderConfig, norm="batch", subsampling="vgg"),
    small(TransformerEncoderConfig, norm="rms", rates=(1, 2)),
    *(small(ConformerConfig, positions=positions) for positions in get_args(FramePositions)),
    *(
        small(ConformerConfig, attention=attention, positions=positions)
        for attention in (LocalAttentionConfig(window=3), SparseAttentionConfig(block=2, global_frames=2))
        for positions in ("rotary", "relative")
    ),
]
DECODERS = [small(member) for member in get_args(DecoderConfig)]
DECODERS += [small(RecurrentDecoderConfig, kind=kind) for kind in ("gru", "rnn")]
DECODERS += [small(TransformerDecoderConfig, positions="rotary")]
DECODERS += [small(RecurrentDecoderConfig, attention=small(member)) for member in get_args(AttentionConfig)]
DECODERS += [small(RecurrentDecoderConfig, attention=FixedContextConfig("last"))]
MODELS = [ModelConfig(FeatureConfig(mels=MELS), encoder, DECODERS[0], V) for encoder in ENCODERS]
MODELS += [ModelConfig(FeatureConfig(mels=MELS), ENCODERS[0], decoder, V) for decoder in DECODERS]


def batch() -> list[Tensor]:
    """feats (B, F, M) and tokens (B, U) with their lengths; the second utterance is much shorter."""
    draw = torch.Generator().manual_seed(1)
    lens, token_lens = torch.tensor([90, 31, 60]), torch.tensor([6, 2, 4])
    feats = torch.randn(3, 90, MELS, generator=draw) * (torch.arange(90) < lens[:, None])[..., None]
    return [feats, lens, torch.randint(3, V, (3, 6), generator=draw), token_lens]


def losses(model: SpeechModel, device: str, config: LossConfig) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The losses, and the gradient of every weight."""
    model.zero_grad()
    found = model.loss(*(x.to(device) for x in batch()), config)  # type: ignore[arg-type]
    torch.autograd.backward(found.total)
    gradients = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    return [each.detach().cpu() for each in found], gradients


@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.encoder}-{c.decoder}")
def test_losses_and_gradients_are_those_of_the_cpu(config: ModelConfig, accelerator: str) -> None:
    torch.manual_seed(0)
    model = SpeechModel(config)
    here, expected = losses(model, "cpu", LOSS)
    there, found = losses(model.to(accelerator), accelerator, LOSS)
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.encoder}-{c.decoder}")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_half_precision_is_finite_and_close(
    config: ModelConfig, dtype: torch.dtype, accelerator: str
) -> None:
    if accelerator == "cpu" and not (dtype == torch.bfloat16 and has_native_bf16()):
        pytest.skip("not on this processor")
    torch.manual_seed(0)
    model = SpeechModel(config).to(accelerator)
    full, _ = losses(model, accelerator, LOSS)
    with torch.autocast(accelerator, dtype=dtype):
        half, gradients = losses(model, accelerator, LOSS)
    torch.testing.assert_close(half, full, rtol=0.05, atol=0.05)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_ctc_loss_is_that_of_the_cpu(accelerator: str) -> None:
    """Also of what barely fits, and of what does not."""
    draw = torch.Generator().manual_seed(0)
    log_probs = torch.randn(3, 9, V, generator=draw).log_softmax(-1)
    tokens = torch.tensor([[3, 4, 5, 6, 7], [3, 3, 4, 4, 0], [5, 5, 5, 5, 5]])
    lens, token_lens = torch.tensor([9, 6, 8]), torch.tensor([5, 4, 5])
    for rows in (slice(0, 2), slice(2, 3)):
        one = [x[rows] for x in (log_probs, lens, tokens, token_lens)]
        there = ctc_loss(*(x.to(accelerator) for x in one))  # type: ignore[arg-type]
        torch.testing.assert_close(there.cpu(), ctc_loss(*one))  # type: ignore[arg-type]


def test_consistency_is_that_of_the_cpu(accelerator: str) -> None:
    torch.manual_seed(0)
    model = SpeechModel(ModelConfig(FeatureConfig(mels=MELS), ENCODERS[0], DECODERS[0], V))
    config = LossConfig(consistency=0.5)

    def found(device: str) -> Tensor:
        feats, lens, tokens, counts = (torch.cat((x, x)).to(device) for x in batch())
        feats[3:] *= 0.9
        return model.to(device).loss(feats, lens, tokens, counts, config).total.cpu()

    torch.testing.assert_close(found(accelerator), found("cpu"), rtol=1e-3, atol=1e-4)


def test_no_kernel_of_the_cpu_is_called(accelerator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN's products and the row of masks are for CPUs."""
    if accelerator == "cpu":
        pytest.skip("there they are called")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a kernel of the CPU was called on a GPU")

    from asrattn.layers import dropout, linear, scaled_dot

    monkeypatch.setattr(linear, "_product", never)
    monkeypatch.setattr(dropout, "_row", never)
    monkeypatch.setattr(scaled_dot._ScaledDot, "forward", staticmethod(never))
    encoder = replace(small(ConformerConfig, dim=256, heads=4, hidden=1024), dropout=0.1)
    model = SpeechModel(ModelConfig(FeatureConfig(mels=MELS), encoder, DECODERS[0], V)).to(accelerator)
    found, _ = losses(model, accelerator, LOSS)
    assert found[0].isfinite()
