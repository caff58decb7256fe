"""`asrattn describe`: of a model, of a recipe."""

import re
from pathlib import Path

import pytest
import tiny

from asrattn.cli.main import main

RECIPE = """
from asrattn.encoders import ConformerConfig
from asrattn.model import ModelConfig
from asrattn.training.recipe import Recipe

RECIPE = Recipe("small", ModelConfig(encoder=ConformerConfig(dim=16, layers=2, hidden=32, channels=4)))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(RECIPE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["describe", *map(str, arguments)])
    return status, *capsys.readouterr()


def number(text: str, pattern: str) -> float:
    found = re.search(pattern + r" +([\d,.]+)", text)
    assert found, text
    return float(found[1].replace(",", ""))


def test_a_model(capsys, tmp_path: Path) -> None:
    status, out, err = run(capsys, tiny.model_file(tmp_path))
    assert (status, err) == (0, "")
    parameters = {
        name: sum(p.numel() for p in part.parameters()) for name, part in tiny.model().named_children()
    }
    table = out.partition("\nparameters")[2]
    assert {name: number(table, f"\n  {name}") for name in parameters} == parameters
    assert number(table, "\n  total") == sum(parameters.values())
    assert "8000 Hz" in out
    assert "100 a second, 16 features" in out
    assert "subsampling 4" in out
    assert f"{tiny.TOKENIZER.size} tokens" in out
    assert re.search(r"\n  name +tiny\n", out)
    assert re.search(r"\n  dev wer +12.5\n", out)
    assert re.search(r"\n    kind +lstm\n", out)


def test_a_recipe_and_its_memory(capsys, recipe: Path) -> None:
    status, out, _ = run(capsys, recipe)
    assert status == 0
    assert re.search(r"\n    kind +conformer\n", out)
    assert "the data decide" in out
    smaller = number(out, "activations")
    _, out, _ = run(capsys, recipe, "--set", "data.batch_seconds=100", "--set", "model.encoder.layers=4")
    assert number(out, "activations") > 4 * smaller


def test_the_forecast_leaves_the_weights_out(capsys, recipe: Path) -> None:
    """Twice the width of the decoder's LSTM: many more weights, hardly more activations."""
    _, out, _ = run(capsys, recipe)
    _, wider, _ = run(capsys, recipe, "--set", "model.decoder.dim=1024")
    assert number(wider, "weights") > 3 * number(out, "weights")


def test_a_misspelt_setting(capsys, recipe: Path) -> None:
    status, out, err = run(capsys, recipe, "--set", "model.encoder.layer=4")
    assert (status, out) == (1, "")
    assert "did you mean layers?" in err


def test_a_model_cannot_be_changed(capsys, tmp_path: Path) -> None:
    status, _, err = run(capsys, tiny.model_file(tmp_path), "--set", "model.encoder.layers=4")
    assert status == 1
    assert "--set changes recipes" in err


@pytest.mark.parametrize("name", ["absent.py", "absent.safetensors"])
def test_what_is_not_there(capsys, tmp_path: Path, name: str) -> None:
    status, out, err = run(capsys, tmp_path / name)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert name in err
