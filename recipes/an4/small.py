"""AN4, a small model under a small budget, to compare variants with: `asrattn ablate`."""

from asrattn.attention import LocationConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.search import SearchConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="an4-small",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=128, layers=3, channels=32, dropout=0.2),
        decoder=RecurrentDecoderConfig(dim=128, attention=LocationConfig(dim=128), dropout=0.2),
    ),
    data=DataConfig(batch_seconds=16, join=0.5),
    augment=AugmentConfig(time_fraction=0.3, ramp=0.2),
    loss=LossConfig(ctc=0.3, token_noise=0.1),
    train=TrainConfig(epochs=30, ema=0.998, validate_every=5),
    search=SearchConfig(beam=10, ctc=0.3),
)
