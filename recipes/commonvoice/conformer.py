"""Common Voice, one language of a hundred hours and more: Conformer of 12×256, Transformer decoder of 6 layers.

Not yet run at full size. Layers and loss as in ESPnet's train_asr_conformer5 (egs2/commonvoice). Crowd microphones:
more noise than in LibriSpeech's recipes.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import BpeConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="commonvoice-conformer",
    model=ModelConfig(
        encoder=ConformerConfig(dim=256, layers=12, heads=4, ffn_dim=2048, kernel=15, channels=128),
        decoder=TransformerDecoderConfig(dim=256, layers=6, heads=4, ffn_dim=2048),
    ),
    data=DataConfig(tokens=BpeConfig(size=1000), batch_seconds=800, max_device_seconds=400, workers=8),
    augment=AugmentConfig(
        noise=0.4, stretch=0.1, frequency_width=27, time_masks=8, time_width=30, time_fraction=0.3
    ),
    loss=LossConfig(ctc=0.3),
    train=TrainConfig(
        epochs=50,
        optimizer=AdamWConfig(learning_rate=1e-3, weight_decay=0.01),
        schedule=CosineConfig(warmup=0.1),
        ema=0.9998,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
