"""Recipes are read strictly: each mistake is told in one line, with its place."""

from pathlib import Path

import pytest

from asrattn.augment import AugmentConfig
from asrattn.config import override
from asrattn.encoders import PretrainedEncoderConfig
from asrattn.errors import ConfigError
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
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


def pretrained(family: str, kind: str) -> ModelConfig:
    return ModelConfig(FeatureConfig(kind=kind, normalize="none"), PretrainedEncoderConfig(family=family))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm", "data2vec-audio"])
def test_augmentation_of_features_does_not_suit_a_wave(family: str) -> None:
    model = pretrained(family, "wave")
    off = AugmentConfig(speed=0.1, stretch=0, vtlp=0, equalizer=0, frequency_masks=0, time_masks=0)
    assert Recipe("mine", model, augment=off).augment == off
    with pytest.raises(ConfigError) as told:
        Recipe("mine", model)
    settings = ("stretch", "vtlp", "equalizer", "frequency_masks", "time_masks")
    words = " ".join(f"--set augment.{name}=0" for name in settings)
    assert str(told.value) == f"augment: does not suit the features wave; switch off with {words}"


def test_augmentation_along_frequencies_does_not_suit_stacked_frames() -> None:
    model = pretrained("wav2vec2-bert", "seamless")
    Recipe("mine", model, augment=AugmentConfig(vtlp=0, equalizer=0, frequency_masks=0))
    with pytest.raises(ConfigError, match=r"switch off with --set augment\.equalizer=0$"):
        Recipe("mine", model, augment=AugmentConfig(vtlp=0, frequency_masks=0))


def test_features_must_suit_a_pretrained_encoder() -> None:
    with pytest.raises(ConfigError, match="log-mel does not suit the encoder hubert; take wave"):
        ModelConfig(FeatureConfig(), PretrainedEncoderConfig(family="hubert"))
    with pytest.raises(ConfigError, match="wave does not suit the encoder whisper; take whisper"):
        pretrained("whisper", "wave")
    with pytest.raises(ConfigError, match="wave is for the encoder pretrained only"):
        ModelConfig(FeatureConfig(kind="wave", normalize="none"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"settings": "{"}, "settings are no JSON"),
        ({"settings": "[1]"}, "settings are no JSON object"),
        ({"settings": "[" * 100_000}, "settings are no JSON"),
        ({"settings": '{"model_type": "wavlm"}'}, "settings are those of wavlm, family is wav2vec2"),
        ({"settings": '{"add_adapter": true}'}, "add_adapter is on"),
        ({"mask_time_prob": 1.5}, "mask_time_prob is 1.5"),
        ({"mask_time_length": 0}, "mask_time_length is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_settings_of_a_pretrained_encoder_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        PretrainedEncoderConfig(**settings)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
