"""An encoder of the wav2vec 2.0 family (wav2vec 2.0, HuBERT, WavLM, data2vec-audio) with CTC and a fresh decoder over
characters. The encoder is frozen for the first 300 updates."""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, InitConfig, Recipe, TrainConfig

RECIPE = Recipe(
    "whisper-wav2vec2",
    model=ModelConfig(decoder=TransformerDecoderConfig(dim=256, layers=2, heads=4, ffn_dim=1024)),
    init=InitConfig(parts=("frontend", "encoder")),
    data=DataConfig(batch_seconds=60.0),
    augment=AugmentConfig.off(),  # the encoder masks its own frames in training
    loss=LossConfig(ctc=0.5),
    train=TrainConfig(
        epochs=20,
        optimizer=AdamWConfig(learning_rate=1e-4, weight_decay=0.01),
        freeze=("encoder",),
        freeze_updates=300,
        layer_decay=0.9,
        ema=0.998,
        validate_beam=4,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.5, max_length=0.5),
)
