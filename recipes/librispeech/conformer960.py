"""LibriSpeech, 960 hours: Conformer of 12×512, Transformer decoder of 6 layers, joint CTC: 107 M parameters.

Not yet run at full size. Layers, loss and masks as in ESPnet's train_asr_conformer10_hop_length160 (egs2/librispeech),
which took four V100 of 32 GB three and a half days; 5,000 pieces as there.
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
    name="librispeech-conformer960",
    model=ModelConfig(
        encoder=ConformerConfig(dim=512, layers=12, heads=8, ffn_dim=2048, kernel=31, channels=128),
        decoder=TransformerDecoderConfig(dim=512, layers=6, heads=8, ffn_dim=2048),
    ),
    data=DataConfig(tokens=BpeConfig(size=5000), batch_seconds=2400, max_device_seconds=600, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=60, time_fraction=0.4),
    loss=LossConfig(ctc=0.3),
    train=TrainConfig(
        epochs=50,
        optimizer=AdamWConfig(learning_rate=1.2e-3, weight_decay=0.01),
        schedule=CosineConfig(warmup=0.1),
        ema=0.9999,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
