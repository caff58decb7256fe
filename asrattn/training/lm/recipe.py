"""Recipe of a neural language model."""

from dataclasses import dataclass, field
from pathlib import Path

from asrattn.config import check
from asrattn.lm import LMConfig
from asrattn.training import recipe
from asrattn.training.optimizers import AdamWConfig, OptimizerConfig
from asrattn.training.recipe import Precision
from asrattn.training.schedule import CosineConfig, ScheduleConfig


@dataclass(frozen=True)
class LMTrainConfig:
    """Optimisation and early stopping.

    batch_tokens   maximum number of tokens in a step, padding included
    optimizer      with the peak learning rate
    schedule       learning-rate schedule: the factor of that rate along the run
    clip           maximum gradient norm; 0 does not clip
    patience       early stopping: after so many epochs without a better dev perplexity; 0 is off
    """

    epochs: int = 20
    batch_tokens: int = 4096
    optimizer: OptimizerConfig = field(default_factory=AdamWConfig)
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    clip: float = 1.0
    precision: Precision = "fp32"
    patience: int = 0

    def __post_init__(self) -> None:
        check(self.epochs >= 1, "train.epochs must be at least 1")
        check(self.batch_tokens >= 1, "train.batch_tokens must be at least 1")
        check(self.clip >= 0, "train.clip must not be negative")
        check(self.patience >= 0, "train.patience must not be negative")


@dataclass(frozen=True)
class LMRecipe:
    """A training run as a value; `LMRecipe.load(path)` takes it from the variable RECIPE of a Python file."""

    name: str
    model: LMConfig
    train: LMTrainConfig = field(default_factory=LMTrainConfig)

    @staticmethod
    def load(path: Path) -> "LMRecipe":
        """As `Recipe.load`."""
        return recipe.load_recipe(Path(path), LMRecipe)
