"""AN4, a language model over characters: one LSTM layer, trained in about a minute."""

from asrattn.lm import LSTMLMConfig
from asrattn.training.lm.recipe import LMRecipe, LMTrainConfig
from asrattn.training.optimizers import AdamWConfig

RECIPE = LMRecipe(
    name="an4-lm-lstm",
    model=LSTMLMConfig(dim=256, layers=1, dropout=0.3),
    train=LMTrainConfig(epochs=20, batch_tokens=1024, optimizer=AdamWConfig(learning_rate=3e-3)),
)
