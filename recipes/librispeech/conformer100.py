"""LibriSpeech, 100 hours: Conformer of 12×256, Transformer decoder of 6 layers, consistency-regularised CTC.

Not yet run at full size. Layers as in ESPnet's egs2/librispeech_100 (test-clean 6.5, test-other 17.3 without a
language model); 500 pieces and two masked copies of each utterance as in CR-CTC (Yao et al. 2024).
"""

from asrattn.augment import AugmentConfig
from asrattn.decoders import TransformerDecoderConfig
from asrattn.decoding import DecodingConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import BpeConfig
from asrattn.training.optimizers import AdamWConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

RECIPE = Recipe(
    name="librispeech-conformer100",
    model=ModelConfig(
        encoder=ConformerConfig(dim=256, layers=12, heads=4, ffn_dim=1024, kernel=31, channels=128),
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
