"""Distil Whisper into a student with its encoder and two of its decoder layers, the first and the last (Gandhi et al.
2023, Distil-Whisper). The teacher is the model of --init; train.jsonl holds its transcripts (asrattn pseudo-label).

The encoder is frozen, and its outputs are kept in memory. Other layers: --set init.decoder_layers=0,1,-1.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-distil",
    model=ModelConfig(),  # that of --init takes its place
    init=InitConfig(decoder_layers=(0, -1)),
    data=DataConfig(batch_seconds=60.0, keep_encoded=8.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=0.0, label_smoothing=0.0, distill_decoder=0.8),
    train=TrainConfig(
        epochs=10,
        optimizer=AdamWConfig(learning_rate=3e-4, weight_decay=0.01),
        freeze=("encoder", "decoder.embed", "ctc"),
        clip=1.0,
        ema=0.99,
        validate_beam=1,
    ),
    decoding=DecodingConfig(beam_size=5, ctc=0.0, length_norm=1.0, patience=1.0),
)
