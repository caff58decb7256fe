"""Own recordings, from some hundred utterances up: a mid-sized LSTM with strong augmentation.

Small corpora overfit, so dropout is high, and half of the utterances are concatenated in pairs, anew in every epoch.
For ten hours and more take `--set train.epochs=40 --set model.encoder.layers=4 --set data.batch_seconds=60
--set data.concat_prob=0`.
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
    name="folder-lstm",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=256, layers=3, channels=32, dropout=0.3),
        decoder=RecurrentDecoderConfig(dim=256, attention=LocationAwareAttentionConfig(dim=256), dropout=0.3),
    ),
    data=DataConfig(batch_seconds=20, concat_prob=0.5),
    augment=AugmentConfig(time_fraction=0.3),
    loss=LossConfig(ctc=0.3, consistency=0.2),
    train=TrainConfig(epochs=60, optimizer=MuonConfig(learning_rate=2e-3), ema=0.998, validate_every=5),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
