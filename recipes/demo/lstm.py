"""Synthetic speech, a small model: listen, attend and spell in a few minutes on two cores."""

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="demo-lstm",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=128, layers=2, channels=32, dropout=0.1),
        decoder=RecurrentDecoderConfig(
            dim=128, embedding=64, attention=LocationAwareAttentionConfig(dim=128), dropout=0.1
        ),
    ),
    data=DataConfig(batch_seconds=20),
    loss=LossConfig(ctc=0.4),
    train=TrainConfig(epochs=10, optimizer=AdamWConfig(learning_rate=2e-3), ema=0.99, validate_every=2),
    decoding=DecodingConfig(beam_size=8, ctc=0.4),
)
