"""LibriSpeech, 960 hours: listen, attend and spell, four bidirectional LSTMs of 1,024, location-aware attention.

Not yet run at full size. The sizes of LAS-4-1024 (Park et al. 2019) and of SpeechBrain's CRDNN (train_BPE_5000 of
LibriSpeech/ASR/seq2seq); 5,000 pieces, as in the latter, keep the decoder's steps few.
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
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="librispeech-lstm960",
    model=ModelConfig(
        encoder=LSTMEncoderConfig(dim=1024, layers=4, channels=128, dropout=0.2),
        decoder=RecurrentDecoderConfig(
            dim=1024, embedding=512, attention=LocationAwareAttentionConfig(dim=1024), dropout=0.2
        ),
    ),
    data=DataConfig(tokens=BpeConfig(size=5000), batch_seconds=1600, max_device_seconds=400, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=60, time_fraction=0.3),
    loss=LossConfig(ctc=0.3),
    train=TrainConfig(
        epochs=40,
        optimizer=AdamWConfig(learning_rate=8e-4, weight_decay=0.01),
        schedule=CosineConfig(warmup=0.1),
        ema=0.9999,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
