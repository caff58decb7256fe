"""AISHELL-1, characters: Conformer of 12×256, Transformer decoder of 6 layers, consistency-regularised CTC.

Not yet run at full size. Layers and loss as in WeNet's examples/aishell/s0 (train_conformer) and ESPnet's egs2/aishell
(train_asr_conformer_e12_amp); there an epoch holds three speeds of each utterance, here two masked copies.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="aishell-conformer",
    model=ModelConfig(
        encoder=ConformerConfig(dim=256, layers=12, heads=4, ffn_dim=2048, kernel=15, channels=128),
        decoder=TransformerDecoderConfig(dim=256, layers=6, heads=4, ffn_dim=2048),
    ),
    data=DataConfig(batch_seconds=800, max_device_seconds=400, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=25, time_fraction=0.4),
    loss=LossConfig(ctc=0.3, consistency=0.2),
    train=TrainConfig(
        epochs=80,
        optimizer=AdamWConfig(learning_rate=1e-3, weight_decay=0.01),
        schedule=CosineConfig(warmup=0.1),
        ema=0.9998,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
