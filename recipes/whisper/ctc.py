"""Whisper's encoder with CTC and a fresh decoder over characters: for joint decoding in one small vocabulary.

The encoder is frozen for the first 300 updates, until CTC and decoder have found their way, and then trained at rates
that fall with depth.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-ctc",
    model=ModelConfig(decoder=TransformerDecoderConfig(dim=256, layers=2, heads=4, ffn_dim=1024)),
    init=InitConfig(parts=("frontend", "encoder"), settings=("model.encoder.silence_samples=64",)),
    data=DataConfig(batch_seconds=30.0),
    augment=AugmentConfig(
        noise=0.2, stretch=0.0, vtlp=0.0, equalizer=0.0, time_masks=4, time_width=20, frequency_width=15
    ),
    loss=LossConfig(ctc=0.3),
    train=TrainConfig(
        epochs=20,
        optimizer=AdamWConfig(learning_rate=5e-4, weight_decay=0.01),
        freeze=("encoder",),
        freeze_updates=300,
        layer_decay=0.7,
        ema=0.998,
        validate_beam=4,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3, max_length=0.5),
)
