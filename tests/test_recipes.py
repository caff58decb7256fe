"""Every shipped recipe is built and stepped once, as it stands."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrattn.config import from_plain, to_plain
from asrattn.model import SpeechModel
from asrattn.search import beam_search
from asrattn.training import optimizers
from asrattn.training.recipe import Recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(FOLDER.glob("*/*.py"))
V = 30


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_recipe_is_built_stepped_and_decoded_once(path):
    recipe = Recipe.load(path)
    assert recipe.name == f"{path.parent.name}-{path.stem}"
    assert from_plain(Recipe, to_plain(recipe)) == recipe
    torch.manual_seed(0)
    model = SpeechModel(replace(recipe.model, vocabulary=V))
    wave, lens = torch.randn(2, 16000), torch.tensor([16000, 12000])
    feats, feat_lens = model.frontend(wave, lens)
    tokens = torch.tensor([[5, 6, 6, 7], [8, 9, 0, 0]])
    doubled = (torch.cat((x, x)) for x in (feats, feat_lens, tokens, torch.tensor([4, 2])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(*doubled, recipe.loss).total
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    optimizers.build(recipe.train.optimizer, model, fused=True).step()
    assert all(not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    enc = model.eval().encode(wave, lens)
    search = replace(recipe.search, beam=2, max_length=0.2)
    found = beam_search(model.decoder, enc.output, enc.lens, model.ctc_log_probs(enc.output).detach(), search)
    assert [len(hypotheses) for hypotheses in found] == [1, 1]


def test_recipes_are_there():
    assert {p.parent.name for p in RECIPES} >= {"an4", "demo", "folder"}


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*/run.sh")), ids=lambda p: p.parent.name)
def test_scripts_name_recipes_and_commands_that_exist(script):
    text = script.read_text()
    assert script.stat().st_mode & 0o100, "must be executable"
    assert "asrattn train" in text
    assert "asrattn evaluate" in text
