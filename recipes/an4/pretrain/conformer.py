"""AN4, BEST-RQ pre-training of the encoder of `recipes/an4/conformer.py`, for `asrattn train --init`."""

from asrattn.decoders import TransformerDecoderConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import ModelConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.pretrain import BestRQConfig
from asrattn.training.pretrain.recipe import PretrainRecipe, PretrainTrainConfig
from asrattn.training.recipe import DataConfig
from asrattn.training.schedule import CosineConfig

RECIPE = PretrainRecipe(
    name="an4-pretrain-conformer",
    model=ModelConfig(
        encoder=ConformerConfig(dim=128, layers=8, heads=4, ffn_dim=384, kernel=7, channels=32, dropout=0.2),
        decoder=TransformerDecoderConfig(dim=128, layers=1, heads=4, ffn_dim=512, dropout=0.15),
    ),
    bestrq=BestRQConfig(codebook_size=1024),
    data=DataConfig(batch_seconds=32),
    train=PretrainTrainConfig(
        epochs=70, optimizer=AdamWConfig(learning_rate=1.5e-3), schedule=CosineConfig(floor=0.1)
    ),
)
