"""LibriSpeech, 960 hours: Transformer of 12×512, Transformer decoder of 6 layers, joint CTC.

Not yet run at full size. Layers and loss as in ESPnet's train_asr_transformer_specaug (egs2/librispeech), 5,000 pieces.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import BpeConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="librispeech-transformer960",
    model=ModelConfig(
        encoder=TransformerEncoderConfig(dim=512, layers=12, heads=8, ffn_dim=2048, channels=128),
        decoder=TransformerDecoderConfig(dim=512, layers=6, heads=8, ffn_dim=2048),
    ),
    data=DataConfig(tokens=BpeConfig(size=5000), batch_seconds=2400, max_device_seconds=600, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=60, time_fraction=0.4),
    loss=LossConfig(ctc=0.3),
    train=TrainConfig(
        epochs=80,
        optimizer=AdamWConfig(learning_rate=1e-3, weight_decay=0.01),
        schedule=CosineConfig(warmup=0.1),
        ema=0.9999,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
