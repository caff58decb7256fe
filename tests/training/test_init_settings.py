"""Settings of a recipe that begins from a pre-trained model, and what the card takes over."""

from pathlib import Path

import pytest
import tiny_whisper

from asrattn.config import override
from asrattn.errors import ConfigError
from asrattn.training.initialization import inherited_card, load_recipe
from asrattn.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
FINETUNE, HEAD, FOLDER = (
    ROOT / "recipes" / name for name in ("whisper/finetune.py", "whisper/ctc_head.py", "folder/lstm.py")
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.model_file(tmp_path_factory.mktemp("model"))


def test_settings_of_the_model_come_after_its_parts(model: Path) -> None:
    recipe = load_recipe(FINETUNE, ["model.encoder.silence_samples=none", "train.epochs=3"], model)
    assert recipe.model.encoder.dim == tiny_whisper.DIMS.dim
    assert recipe.model.encoder.silence_samples is None  # the recipe says 64
    assert recipe.train.epochs == 3


def test_any_recipe_takes_parts(model: Path) -> None:
    recipe = load_recipe(FOLDER, ["init.parts=frontend,encoder"], model)
    assert (recipe.model.encoder.kind, recipe.model.decoder.kind) == ("whisper", "lstm")
    assert recipe.model.vocabulary == 0
    assert recipe.model.ctc_labels == "tokens"


def test_without_parts_all_settings_are_taken_at_once(model: Path) -> None:
    recipe = load_recipe(FOLDER, ["model.encoder.layers=2", "name=mine"], model)
    assert recipe == override(Recipe.load(FOLDER), ["name=mine", "model.encoder.layers=2"])


def test_an_untrained_part_is_left_by_a_setting(model: Path, tmp_path: Path) -> None:
    saved = tiny_whisper.native()
    encoder = saved._replace(card=saved.card | {"untrained": ["decoder", "ctc"]})
    path = tiny_whisper.model_file(tmp_path, encoder)
    with pytest.raises(ConfigError, match=r"--set init.parts=frontend,encoder,ctc$"):
        load_recipe(FOLDER, ["init.parts=frontend,encoder,decoder,ctc"], path)
    assert load_recipe(FOLDER, ["init.parts=frontend,encoder,ctc"], path).model.encoder.kind == "whisper"


def test_card_keeps_origin_and_licence(model: Path) -> None:
    card = inherited_card(load_recipe(FINETUNE, [], model), model)
    assert (card["origin"], card["licence"], card["dtype"]) == ("tiny-random", "mit", "float16")
    assert "not public" in str(card["training_data"])


@pytest.mark.parametrize(
    ("path", "settings", "untrained"),
    [
        (FINETUNE, [], True),
        (HEAD, [], False),
        (HEAD, ["train.freeze=ctc"], True),
        (HEAD, ["train.freeze=ctc", "train.freeze_updates=9"], False),
        (HEAD, ["train.lora.rank=2"], True),
        (HEAD, ["train.lora.rank=2", "train.lora.train=ctc"], False),
        (FOLDER, ["init.parts=encoder", "loss.ctc=0", "decoding.ctc=0"], True),
        (FOLDER, ["init.parts=encoder"], False),
    ],
)
def test_card_says_whether_ctc_is_trained(
    path: Path, settings: list[str], untrained: bool, model: Path
) -> None:
    card = inherited_card(load_recipe(path, settings, model), model)
    assert card.get("untrained") == (["ctc"] if untrained else None)
