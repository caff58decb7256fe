"""AN4, Transformer encoder and decoder, joint CTC."""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="an4-transformer",
    model=ModelConfig(
        encoder=TransformerEncoderConfig(dim=128, layers=10, heads=4, ffn_dim=512, channels=32, dropout=0.15),
        decoder=TransformerDecoderConfig(dim=128, layers=1, heads=4, ffn_dim=512, dropout=0.15),
    ),
    data=DataConfig(batch_seconds=16, concat_prob=0.5),
    augment=AugmentConfig(
        noise=0.3, vtlp=0.12, frequency_width=22, time_masks=8, time_fraction=0.35, warmup=0.25
    ),
    loss=LossConfig(ctc=0.4, inter_ctc=0.3, consistency=0.3),
    train=TrainConfig(
        epochs=80,
        optimizer=AdamWConfig(learning_rate=1.5e-3),
        schedule=CosineConfig(floor=0.1),
        ema=0.999,
        validate_every=5,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.5),
)
