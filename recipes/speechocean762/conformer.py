"""speechocean762, a small Conformer, characters, consistency-regularised CTC: an evening on one core."""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.optimizers import MuonConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import CosineConfig

RECIPE = Recipe(
    name="speechocean762-conformer",
    model=ModelConfig(
        encoder=ConformerConfig(dim=128, layers=8, heads=4, ffn_dim=512, kernel=7, channels=32, dropout=0.15),
        decoder=TransformerDecoderConfig(dim=128, layers=1, heads=4, ffn_dim=512, dropout=0.2),
    ),
    data=DataConfig(batch_seconds=16, concat_prob=0.5),
    augment=AugmentConfig(
        noise=0.3, vtlp=0.12, frequency_width=22, time_masks=8, time_fraction=0.3, warmup=0.2
    ),
    loss=LossConfig(ctc=0.4, inter_ctc=0.3, decoder_input_noise=0.1, consistency=0.3),
    train=TrainConfig(
        epochs=16,
        optimizer=MuonConfig(learning_rate=2e-3),
        schedule=CosineConfig(floor=0.05),
        ema=0.999,
        validate_every=2,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.5),
)
