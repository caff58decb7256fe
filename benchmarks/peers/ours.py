"""asrattn's side: python -m benchmarks.peers.ours T."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.encoders import ConformerConfig, EncoderConfig, LSTMEncoderConfig, TransformerEncoderConfig
from asrattn.layers.linear import Linear, prepack_weights
from asrattn.model import LossConfig, ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe, TrainConfig
from benchmarks.peers.batches import LENGTHS_SECONDS, VOCABULARY
from benchmarks.peers.harness import BEAM, CTC_SHARE, Architecture, run

MODELS: dict[Architecture, tuple[EncoderConfig, DecoderConfig]] = {
    "T": (
        TransformerEncoderConfig(dim=256, layers=12, heads=4, ffn_dim=2048),
        TransformerDecoderConfig(dim=256, layers=6, heads=4, ffn_dim=2048),
    ),
    "C": (
        ConformerConfig(dim=256, layers=12, heads=4, ffn_dim=1024, kernel=31),
        TransformerDecoderConfig(dim=256, layers=6, heads=4, ffn_dim=1024),
    ),
    "R": (
        LSTMEncoderConfig(dim=320, layers=3, factor=4),
        RecurrentDecoderConfig(
            dim=320, layers=1, embedding=320, attention=LocationAwareAttentionConfig(dim=320)
        ),
    ),
}


class Step(nn.Module):
    """Features and losses of one batch."""

    def __init__(self, model: SpeechModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, wave: Tensor, wave_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        feats, lens = self.model.frontend(wave, wave_lens)
        return self.model.loss(feats, lens, tokens, token_lens, LossConfig(ctc=0.3)).total

    def end(self) -> Tensor:
        decoder: Any = self.model.decoder
        out = decoder.out
        bias: Tensor = (out if isinstance(out, Linear) else out[-1]).bias
        return bias[EOS]

    def search(self, wave: Tensor, wave_lens: Tensor, count: int, beam: int = BEAM) -> list[int]:
        prepack_weights(self.model)  # as a recogniser does when it is loaded
        encoded = self.model.encode(wave, wave_lens)
        ctc = self.model.ctc_log_probs(encoded.output, encoded.lens)
        limit = (count + 0.5) / encoded.output.shape[1]
        config = DecodingConfig(beam, ctc=CTC_SHARE, min_length=count, max_length=limit)
        found = beam_search(self.model.decoder, encoded.output, encoded.lens, ctc, config)
        return [len(best.tokens) for best, *_ in found]


def build(architecture: Architecture, front: str, vocabulary: int) -> tuple[nn.Module, Optimizer]:
    model = step(architecture, front, vocabulary)
    return model, build_optimizer(AdamWConfig(), model, fused=True)


def step(architecture: Architecture, front: str, vocabulary: int) -> Step:
    """front: the number of channels of the convolutions."""
    return Step(SpeechModel(_config(architecture, front, vocabulary)))


def flops_per_audio_second(architecture: Architecture, front: str, bf16: bool, seconds: float) -> float:
    """Of a second of audio in such batches, forward and backward: products and convolutions."""
    # Not above: it brings in triton, 50 MB that a training does not have.
    from asrattn.training.forecast import forecast_step

    config, train = (
        _config(architecture, front, VOCABULARY),
        TrainConfig(precision="bf16" if bf16 else "fp32"),
    )
    recipe = Recipe(architecture, config, loss=LossConfig(ctc=0.3), train=train)
    found = forecast_step(recipe, SpeechModel(config)).flops
    return sum(found(seconds, length) for length in LENGTHS_SECONDS) / (len(LENGTHS_SECONDS) * seconds)


def _config(architecture: Architecture, front: str, vocabulary: int) -> ModelConfig:
    encoder, decoder = MODELS[architecture]
    if front:
        assert isinstance(encoder, LSTMEncoderConfig | TransformerEncoderConfig | ConformerConfig)
        encoder = replace(encoder, channels=int(front))
    return ModelConfig(encoder=encoder, decoder=decoder, vocabulary=vocabulary)


if __name__ == "__main__":
    run(build)
