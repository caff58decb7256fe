"""asrattn's side: python -m benchmarks.peers.ours T."""

from dataclasses import replace

from torch import Tensor, nn
from torch.optim import Optimizer

from asrattn.attention import LocationConfig
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import ConformerConfig, EncoderConfig, LSTMEncoderConfig, TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig, SpeechModel
from asrattn.training import optimizers
from asrattn.training.forecast import forecast
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import Recipe, TrainConfig
from benchmarks.peers.batches import LENGTHS, VOCABULARY
from benchmarks.peers.side import Architecture, run

MODELS: dict[Architecture, tuple[EncoderConfig, DecoderConfig]] = {
    "T": (
        TransformerEncoderConfig(dim=256, layers=12, heads=4, hidden=2048),
        TransformerDecoderConfig(dim=256, layers=6, heads=4, hidden=2048),
    ),
    "C": (
        ConformerConfig(dim=256, layers=12, heads=4, hidden=1024, kernel=31),
        TransformerDecoderConfig(dim=256, layers=6, heads=4, hidden=1024),
    ),
    "R": (
        LSTMEncoderConfig(dim=320, layers=3, factor=4),
        RecurrentDecoderConfig(dim=320, layers=1, embedding=320, attention=LocationConfig(dim=320)),
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


def build(architecture: Architecture, front: str) -> tuple[nn.Module, Optimizer]:
    """front: the number of channels of the convolutions."""
    model = SpeechModel(_config(architecture, front))
    return Step(model), optimizers.build(AdamWConfig(), model, fused=True)


def operations(architecture: Architecture, front: str, bf16: bool, seconds: float) -> float:
    """Of a second of audio in such batches, forward and backward: products and convolutions."""
    config, train = _config(architecture, front), TrainConfig(precision="bf16" if bf16 else "fp32")
    recipe = Recipe(architecture, config, loss=LossConfig(ctc=0.3), train=train)
    found = forecast(recipe, SpeechModel(config)).flops
    return sum(found(seconds, length) for length in LENGTHS) / (len(LENGTHS) * seconds)


def _config(architecture: Architecture, front: str) -> ModelConfig:
    encoder, decoder = MODELS[architecture]
    if front:
        encoder = replace(encoder, channels=int(front))
    return ModelConfig(encoder=encoder, decoder=decoder, vocabulary=VOCABULARY)


if __name__ == "__main__":
    run(build)
