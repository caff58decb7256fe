"""speechocean762, listen, attend and spell: three bidirectional LSTMs of 256, location-aware attention, joint CTC."""

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="speechocean762-lstm",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=256, layers=3, channels=32, dropout=0.3),
        decoder=RecurrentDecoderConfig(dim=256, attention=LocationAwareAttentionConfig(dim=256), dropout=0.3),
    ),
    data=DataConfig(batch_seconds=16),
    augment=AugmentConfig(time_fraction=0.3, warmup=0.2),
    loss=LossConfig(ctc=0.3, decoder_input_noise=0.1, consistency=0.2),
    train=TrainConfig(
        epochs=30,
        optimizer=AdamWConfig(learning_rate=2e-3),
        schedule=CosineConfig(floor=0.05),
        ema=0.999,
        validate_every=5,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
