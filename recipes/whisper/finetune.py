"""Fine-tune Whisper's decoder on own recordings; the encoder is frozen and its outputs are kept in memory.

Epochs and batches follow from the number of recordings (train.scale_to_data)."""

from asrattn.augment import AugmentConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-finetune",
    model=ModelConfig(),  # that of --init takes its place
    init=InitConfig(settings=("model.encoder.silence_samples=64",)),
    data=DataConfig(batch_seconds=60.0, keep_encoded=4.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0, label_smoothing=0.1),
    train=TrainConfig(
        scale_to_data=True,
        optimizer=AdamWConfig(learning_rate=1e-4, weight_decay=0.01),
        freeze=("encoder", "decoder.embed", "ctc"),
        clip=1.0,
        ema=0.0,
        validate_beam=1,
    ),
    decoding=DecodingConfig(beam_size=5, ctc=0.0, length_norm=1.0, patience=1.0),
)
