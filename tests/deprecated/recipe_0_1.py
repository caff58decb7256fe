"""Written before the settings had their present names."""

from asrattn.attention import ForwardConfig
from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import ConformerConfig
from asrattn.frontend import FrontendConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.search import SearchConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import StableConfig

RECIPE = Recipe(
    name="tones",
    model=ModelConfig(
        frontend=FrontendConfig(rate=8000, mels=16),
        encoder=ConformerConfig(dim=8, layers=3, heads=2, hidden=16, channels=2, rates=(1, 2, 1), kernel=3),
        decoder=RecurrentDecoderConfig(
            dim=8,
            embedding=4,
            attention=ForwardConfig(dim=8, reach=2),
            dropout=0.1,
        ),
    ),
    data=DataConfig(batch_seconds=4.0, device_seconds=3.0, join=0.5, short_first=1),
    augment=AugmentConfig(frequency_width=2, time_width=4, ramp=0.2),
    loss=LossConfig(ctc=0.4, token_noise=0.1),
    train=TrainConfig(
        epochs=4,
        optimizer=AdamWConfig(learning_rate=0.005),
        schedule=StableConfig(warmup=0.2, decay=0.3),
        average=2,
        precision="fp32",
        skip=3,
    ),
    search=SearchConfig(beam=3, ctc=0.4, normalize=0.5, candidates=2),
)
