"""LibriSpeech, 100 hours: Transformer of 18×256, Transformer decoder of 6 layers, consistency-regularised CTC.

Not yet run at full size. Six layers more than the Conformer beside it, for as many parameters. ESPnet publishes
test-clean 8.4 and test-other 20.5 for a Transformer on these 100 hours, without a language model.
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import BpeConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="librispeech-transformer100",
    model=ModelConfig(
        encoder=TransformerEncoderConfig(dim=256, layers=18, heads=4, ffn_dim=1024, channels=128),
        decoder=TransformerDecoderConfig(dim=256, layers=6, heads=4, ffn_dim=2048),
    ),
    data=DataConfig(tokens=BpeConfig(size=500), batch_seconds=800, max_device_seconds=400, workers=8),
    augment=AugmentConfig(stretch=0.1, frequency_width=27, time_masks=10, time_width=60, time_fraction=0.4),
    loss=LossConfig(ctc=0.3, consistency=0.2),
    train=TrainConfig(
        epochs=100,
        optimizer=AdamWConfig(learning_rate=1e-3, weight_decay=0.01),
        ema=0.9998,
        validate_every=2,
    ),
    decoding=DecodingConfig(beam_size=10, ctc=0.3),
)
