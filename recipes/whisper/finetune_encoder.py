"""Fine-tune Whisper's encoder and decoder, from an hour of recordings up; the rates fall with depth.

It costs several times as much as `finetune.py`, whose encoder is computed once. From a few epochs take the best on dev.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-finetune_encoder",
    model=ModelConfig(),  # that of --init takes its place
    init=InitConfig(settings=("model.encoder.silence_samples=64",)),
    data=DataConfig(batch_seconds=30.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0, label_smoothing=0.1),
    train=TrainConfig(
        epochs=5,
        optimizer=AdamWConfig(learning_rate=3e-5, weight_decay=0.01),
        layer_decay=0.85,
        freeze=("decoder.embed", "ctc"),
        clip=1.0,
        ema=0.99,
        validate_beam=1,
    ),
    decoding=DecodingConfig(beam_size=5, ctc=0.0, length_norm=1.0, patience=1.0),
)
