"""AN4, a small model under a small budget, to compare variants with: `asrattn ablate`. Some five CPU-minutes.

Little regularisation: no masks, no noise, one pass per utterance.
"""

from asrattn.attention import LocationAwareAttentionConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import MuonConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="an4-small",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=192, layers=2, channels=32, dropout=0.1),
        decoder=RecurrentDecoderConfig(dim=128, attention=LocationAwareAttentionConfig(dim=128), dropout=0.2),
    ),
    data=DataConfig(batch_seconds=12),
    augment=AugmentConfig(noise=0, stretch=0.08, vtlp=0.08, equalizer=0, frequency_masks=0, time_masks=0),
    loss=LossConfig(ctc=0.5),
    train=TrainConfig(epochs=8, optimizer=MuonConfig(learning_rate=2e-3), ema=0.99, validate_every=4),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
