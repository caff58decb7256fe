"""Recipe of a self-supervised pre-training."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from asrattn.config import check
from asrattn.model import ModelConfig
from asrattn.training import recipe as recipes
from asrattn.training.optimizers import AdamWConfig, OptimizerConfig
from asrattn.training.pretrain.config import BestRQConfig
from asrattn.training.recipe import DataConfig, Precision, Recipe
from asrattn.training.schedule import CosineConfig, ScheduleConfig


@dataclass(frozen=True)
class PretrainTrainConfig:
    """Optimisation, early stopping and checkpoints.

    optimizer     with the peak learning rate
    schedule      learning-rate schedule: the factor of that rate along the run
    clip          maximum gradient norm; 0 does not clip
    save_minutes  between two resume checkpoints within an epoch
    patience      early stopping: after so many epochs without a lower dev loss; 0 is off
    """

    epochs: int = 100
    optimizer: OptimizerConfig = field(default_factory=AdamWConfig)
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    clip: float = 5.0
    precision: Precision = "bf16"
    save_minutes: float = 10.0
    patience: int = 0

    def __post_init__(self) -> None:
        check(self.epochs >= 1, "train.epochs must be at least 1")
        for name in ("clip", "save_minutes", "patience"):
            check(getattr(self, name) >= 0, f"train.{name} must not be negative")


@dataclass(frozen=True)
class PretrainRecipe:
    """A pre-training run as a value; `PretrainRecipe.load(path)` takes it from the variable RECIPE of a Python file.

    model   front-end and encoder are trained; the decoder is that of the model file to fine-tune, and stays untrained
    data    `tokens` is not used: there are no transcripts
    """

    name: str
    model: ModelConfig
    bestrq: BestRQConfig = field(default_factory=BestRQConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: PretrainTrainConfig = field(default_factory=PretrainTrainConfig)

    def __post_init__(self) -> None:
        check(
            self.model.frontend.normalize in ("global", "both"),
            "model.frontend.normalize must be global or both: the quantizer needs features of mean 0 and deviation 1",
        )
        check(
            self.data.concat_prob == 0, "data.concat_prob must be 0: pre-training concatenates no utterances"
        )
        hop = self.model.frontend.hop
        check(self.bestrq.mask_span >= hop, f"bestrq.mask_span must be at least a frame of {hop} s")

    @staticmethod
    def load(path: Path) -> "PretrainRecipe":
        """As `Recipe.load`; a Recipe of speech recognition is converted, see `from_recipe`."""
        found: object = recipes.load_recipe(Path(path), PretrainRecipe, Recipe)
        if isinstance(found, Recipe):
            check(
                found.init is None,
                f"{path}: begins from another model, and pre-training begins from nothing; name a recipe without init",
            )
            return from_recipe(found)
        assert isinstance(found, PretrainRecipe)
        return found


def from_recipe(recipe: Recipe) -> PretrainRecipe:
    """The pre-training for a recipe: its model, data and optimisation, without augmentation and concatenation."""
    kept = {
        name: getattr(recipe.train, name)
        for name in ("epochs", "optimizer", "schedule", "clip", "precision", "save_minutes")
    }
    return PretrainRecipe(
        name=f"{recipe.name}-pretrain",
        model=recipe.model,
        data=replace(recipe.data, concat_prob=0.0),
        train=PretrainTrainConfig(**kept),
    )
