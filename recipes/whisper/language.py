"""A language that Whisper does not know, from an hour of it or less: encoder and CTC head of a model of `ctc_head.py`,
trained on another language, and a fresh decoder over characters.

A head that already writes bytes spares the new language the long plateau of CTC. Decode with a word list or a
language model of the language (--lm): what is learnt from so little is its sounds, not its words.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-language",
    model=ModelConfig(decoder=TransformerDecoderConfig(dim=256, layers=2, heads=4, ffn_dim=1024)),
    init=InitConfig(parts=("frontend", "encoder", "ctc"), settings=("model.encoder.silence_samples=64",)),
    data=DataConfig(batch_seconds=30.0),
    augment=AugmentConfig(
        noise=0.2, stretch=0.1, vtlp=0.05, equalizer=0.0, time_masks=4, time_width=20, frequency_width=15
    ),
    loss=LossConfig(ctc=0.6),
    train=TrainConfig(
        epochs=14,
        optimizer=AdamWConfig(learning_rate=3e-4, weight_decay=0.01),
        layer_decay=0.6,
        ema=0.99,
        validate_every=2,
        validate_beam=4,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.6, max_length=0.5),
)
