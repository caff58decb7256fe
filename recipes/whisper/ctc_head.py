"""A CTC head over bytes on Whisper's frozen encoder: an LSTM layer and a linear one.

It brings joint decoding, word times, confidence and the hallucination filter. Encoder and decoder stay as they are.
What is said in a transcript counts, not its case or punctuation. On few hours the head is a much worse recogniser than
Whisper's decoder, hence its small weight in decoding.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-ctc_head",
    model=ModelConfig(),  # that of --init takes its place
    init=InitConfig(settings=("model.ctc_dim=192", "model.ctc_dropout=0.4")),
    data=DataConfig(batch_seconds=40.0, keep_encoded=8.0),
    augment=AugmentConfig.off(),
    loss=LossConfig(ctc=1.0),
    train=TrainConfig(
        epochs=8,
        optimizer=AdamWConfig(learning_rate=2e-3, weight_decay=0.01),
        freeze=("encoder", "decoder"),
        ema=0.99,
        validate_every=2,
        validate_beam=1,
        normalize="english",
    ),
    decoding=DecodingConfig(beam_size=5, ctc=0.05, length_norm=1.0, patience=1.0),
)
