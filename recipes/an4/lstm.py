"""AN4, listen, attend and spell: bidirectional LSTM, location-aware attention, LSTM decoder, joint CTC."""

from asrattn.attention import LocationConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import LSTMDecoderConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.search import SearchConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="an4-lstm",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=256, layers=3, channels=32, dropout=0.3),
        decoder=LSTMDecoderConfig(dim=256, attention=LocationConfig(dim=128), dropout=0.3),
    ),
    data=DataConfig(batch_seconds=20),
    augment=AugmentConfig(stretch=0.15, noise=0.3, time_masks=8, time_fraction=0.35),
    loss=LossConfig(ctc=0.3, consistency=0.2),
    train=TrainConfig(epochs=55, learning_rate=1.2e-3, weight_decay=0.05, ema=0.998, validate_every=5),
    search=SearchConfig(beam=10, ctc=0.3),
)
