"""AN4, a language model over characters: two Transformer layers."""

from asrattn.lm import TransformerLMConfig
from asrattn.training.lm.recipe import LMRecipe, LMTrainConfig
from asrattn.training.optimizers import AdamWConfig

RECIPE = LMRecipe(
    name="an4-lm-transformer",
    model=TransformerLMConfig(dim=128, layers=2, heads=4, ffn_dim=512, dropout=0.2),
    train=LMTrainConfig(epochs=20, batch_tokens=1024, optimizer=AdamWConfig(learning_rate=3e-3)),
)
