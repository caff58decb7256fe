"""Recipes are read strictly: each mistake is told in one line, with its place."""

from pathlib import Path

import pytest

from asrattn.config import override
from asrattn.errors import ConfigError
from asrattn.training.optimizers import AdamWConfig, SGDConfig
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig
from asrattn.training.schedule import PlateauConfig

HEAD = "from asrattn.model import ModelConfig\nfrom asrattn.training.recipe import Recipe, TrainConfig\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_the_variable_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "RECIPE = Recipe('mine', ModelConfig(), train=TrainConfig(epochs=7))\n")
    recipe = Recipe.load(path)
    assert (recipe.name, recipe.train.epochs) == ("mine", 7)
    assert override(recipe, ["train.epochs=3", "data.batch_seconds=9"]).train.epochs == 3


def test_optimizer_and_schedule_are_switched_by_their_kinds(tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path, HEAD + "RECIPE = Recipe('mine', ModelConfig())\n"))
    words = ["train.optimizer.kind=sgd", "train.optimizer.learning_rate=0.5", "train.schedule.kind=plateau"]
    train = override(recipe, [*words, "train.schedule.monitor=wer"]).train
    assert train.optimizer == SGDConfig(learning_rate=0.5, weight_decay=AdamWConfig().weight_decay)
    assert train.schedule == PlateauConfig(monitor="wer")
    with pytest.raises(
        ConfigError, match=r"train\.learning_rate.*did you mean train\.optimizer\.learning_rate\?"
    ):
        override(recipe, ["train.learning_rate=0.5"])
    with pytest.raises(ConfigError, match=r"^train\.optimizer\.learning_rate must be above 0"):
        override(recipe, ["train.optimizer.learning_rate=0"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "mine.py: sets no variable RECIPE; write RECIPE = Recipe(...)"),
        ("RECIPE = 3\n", "mine.py: RECIPE is a int; write RECIPE = Recipe(...)"),
        (
            HEAD + "RECIPE = Recipe('a', ModelConfig(),\n    train=TrainConfig(epoch=7))\n",
            "mine.py:4: TrainConfig has no setting 'epoch'; did you mean epochs?",
        ),
        (
            HEAD
            + "import asrattn.encoders as e\nRECIPE = Recipe('a', ModelConfig(encoder=e.LSTMEncoderConfig(layer=1)))\n",
            "mine.py:4: LSTMEncoderConfig has no setting 'layer'; did you mean layers?",
        ),
        (
            HEAD + "RECIPE = Recipe('a', ModelConfig(), zzz=7)\n",
            "mine.py:3: Recipe has no setting 'zzz'; known are name, model,",
        ),
        (
            HEAD + "RECIPE = Recipe('a')\n",
            "mine.py:3: Recipe.__init__() missing 1 required positional argument: 'model'",
        ),
        (HEAD + "x = TrainConfig(epochs=0)\n", "mine.py:3: train.epochs must be at least 1"),
        ("x = (1\n", "mine.py:1: '(' was never closed"),
        ("import asrattn.nothing\n", "mine.py:1: No module named 'asrattn.nothing'"),
        ("\nRECIPE = Recipe()\n", "mine.py:2: name 'Recipe' is not defined"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        Recipe.load(write(tmp_path, text))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_recipe_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.py: does not exist"):
        Recipe.load(tmp_path / "nowhere.py")


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (TrainConfig, {"ema": 1.0}, "train.ema must lie in"),
        (TrainConfig, {"average_checkpoints": 0}, "train.average_checkpoints must be at least 1"),
        (TrainConfig, {"patience": -1}, "train.patience must not be negative"),
        (DataConfig, {"batch_seconds": 0.0}, "data.batch_seconds must be above 0"),
        (DataConfig, {"min_seconds": 9.0, "max_seconds": 1.0}, "data.min_seconds must lie between"),
    ],
)
def test_ranges_are_checked(config: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**settings)
