"""LibriSpeech, 100 hours: listen, attend and spell, four bidirectional LSTMs of 512, location-aware attention.

Not yet run at full size. Half the width of the 960-hour recipe beside it, which has ten times the speech.
"""

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import BpeConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="librispeech-lstm100",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=512, layers=4, channels=64, dropout=0.3),
        decoder=RecurrentDecoderConfig(
            dim=512, embedding=256, attention=LocationAwareAttentionConfig(dim=512), dropout=0.3
        ),
    ),
    data=DataConfig(tokens=BpeConfig(size=500), batch_seconds=300, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=60, time_fraction=0.3),
    loss=LossConfig(ctc=0.3, consistency=0.2),
    train=TrainConfig(
        epochs=60,
        optimizer=AdamWConfig(learning_rate=8e-4, weight_decay=0.01),
        ema=0.9998,
        validate_every=2,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
