"""Adapt Whisper to short audio without 30 s of padding: its encoder learns to give, at the audio's own length, what it
gives itself with the padding (self-distillation), and its decoder's predictions stay what they were."""

from asrattn.augment import AugmentConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-adapt",
    model=ModelConfig(),  # that of --init takes its place
    init=InitConfig(settings=("model.encoder.silence_samples=16",)),
    data=DataConfig(batch_seconds=40.0, keep_encoded=8.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0, recognition=0.0, distill_encoder=1.0, distill_decoder=0.5),
    train=TrainConfig(
        epochs=6,
        optimizer=AdamWConfig(learning_rate=3e-4, weight_decay=0.01),
        freeze=("decoder", "ctc"),
        clip=1.0,
        ema=0.99,
        validate_beam=1,
        normalize="english",
    ),
    decoding=DecodingConfig(beam_size=5, ctc=0.0, length_norm=1.0, patience=1.0),
)
