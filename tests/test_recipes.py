"""Every shipped recipe is built and stepped once: as it stands, the large ones also with fewer and narrower layers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_whisper
import torch

from asrattn.config import from_plain, override, to_plain
from asrattn.decoding.beam_search import beam_search
from asrattn.model.speech_model import SpeechModel
from asrattn.text import RESERVED, CharTokenizer
from asrattn.training import finetune, initialization
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(FOLDER.glob("*/*.py"))
LARGE = [p for p in RECIPES if "Not yet run at full size." in p.read_text("utf-8")]
SMALLER = ["encoder.layers=2", "encoder.dim=64", "encoder.channels=16", "decoder.layers=1", "decoder.dim=64"]
VOCABULARY = 30


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", RECIPES, ids=named)
def test_recipe_is_a_value_of_its_name(path):
    recipe = Recipe.load(path)
    assert recipe.name == f"{path.parent.name}-{path.stem}"
    assert from_plain(Recipe, to_plain(recipe)) == recipe


@pytest.mark.parametrize("path", RECIPES, ids=named)
def test_recipe_is_built_stepped_and_decoded_once(path, tmp_path):
    recipe = Recipe.load(path)
    init = tiny_whisper.model_file(tmp_path) if recipe.init else None
    step_and_decode(override(recipe, [f"model.{s}" for s in SMALLER]) if path in LARGE else recipe, init)


@pytest.mark.slow
@pytest.mark.parametrize("path", LARGE, ids=named)
def test_large_recipe_is_built_stepped_and_decoded_once_as_it_stands(path):
    step_and_decode(Recipe.load(path))


def step_and_decode(recipe: Recipe, init: Path | None = None) -> None:
    torch.manual_seed(0)
    recipe = initialization.resolve(recipe, init)
    V = recipe.model.vocabulary or max(VOCABULARY, getattr(recipe.data.tokens, "size", VOCABULARY))
    model = SpeechModel(replace(recipe.model, vocabulary=V))
    characters = CharTokenizer("".join(map(chr, range(ord("A"), ord("A") + V - RESERVED))))
    if model.config.ctc_labels == "bytes":
        model.spell_with(initialization.taken_tokenizer(recipe, init) or characters)
    finetune.freeze(model, recipe.train.freeze)
    trained = [p for p in model.parameters() if p.requires_grad]
    wave, lens = torch.randn(2, 16000), torch.tensor([16000, 12000])
    feats, feat_lens = model.frontend(wave, lens)
    tokens = torch.tensor([[5, 6, 6, 7], [8, 9, 0, 0]])
    doubled = (torch.cat((x, x)) for x in (feats, feat_lens, tokens, torch.tensor([4, 2])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(recipe, model, *doubled)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    before = [p.detach().clone() for p in trained]
    build_optimizer(recipe.train.optimizer, model, fused=True).step()
    assert all(not torch.equal(p, q) for p, q in zip(trained, before, strict=True))
    enc = model.eval().encode(wave, lens)
    search = replace(recipe.decoding, beam_size=2, max_length=0.2)
    ctc = model.ctc_log_probs(enc.output, enc.lens).detach() if search.ctc else None
    decoder, labels = model.stepwise_decoder(), model.label_table(lens.device)
    found = beam_search(decoder, enc.output, enc.lens, ctc, search, labels=labels)
    assert [len(hypotheses) for hypotheses in found] == [1, 1]


def loss_of(recipe: Recipe, model: SpeechModel, feats, lens, tokens, token_lens) -> torch.Tensor:
    """From another model's outputs where the recipe needs a teacher."""
    encoded = model.encoder(feats, lens)
    teacher = None
    if recipe.loss.needs_teacher:
        taught = encoded._replace(output=torch.randn_like(encoded.output))
        teacher = model.teach(taught, encoded.lens, tokens, recipe.loss)
    return model.loss_of_encoded(encoded, tokens, token_lens, recipe.loss, teacher=teacher).total


def test_recipes_are_there():
    there = {p.parent.name for p in RECIPES}
    assert there >= {"aishell", "an4", "commonvoice", "demo", "folder", "librispeech", "speechocean762"}
    assert {p.stem for p in LARGE} >= {
        f"{k}{h}" for k in ("conformer", "lstm", "transformer") for h in (100, 960)
    }


@pytest.mark.parametrize("path", sorted({p.parent for p in LARGE}), ids=lambda p: p.name)
def test_what_has_not_been_run_is_said_plainly_with_its_forecast(path):
    text = (path / "README.md").read_text("utf-8")
    assert "ot yet run at full size" in text
    assert "asrattn describe recipes/" in text


SCRIPTS = sorted(FOLDER.glob("*/run.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.parent.name)
def test_scripts_name_recipes_and_commands_that_exist(script):
    text = script.read_text()
    assert script.stat().st_mode & 0o100, "must be executable"
    assert "asrattn train" in text
    assert "asrattn evaluate" in text


@pytest.mark.parametrize(
    "script",
    [*SCRIPTS, FOLDER / "slurm.sh", FOLDER.parent / "benchmarks" / "gpu.sh"],
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_scripts_are_clean(script):
    found = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    checker = [found] if found else ["bash", "-n"]
    done = subprocess.run([*checker, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def program(folder: Path, name: str, body: str) -> None:
    """A stand-in for a program, which writes down how it was called."""
    path = folder / name
    path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >>"$CALLS"\n{body}\n')
    path.chmod(0o755)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-ins for `asrattn`, `python` and SLURM note their calls, one a line."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program(bin_, "python", "")
    program(bin_, "asrattn", "")
    program(bin_, "scontrol", "")
    program(bin_, "srun", 'trap "echo saved >>$CALLS; exit 130" TERM\nsleep 60 & wait $!')
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "calls"


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.parent.name not in ("demo", "folder")], ids=str)
def test_a_script_prepares_trains_and_evaluates_and_goes_on_when_called_again(script, calls):
    corpus = script.parent.name
    for recipe in sorted(script.parent.glob("*.py")):
        calls.write_text("")
        command = [script, "published", recipe.stem, "--devices", "2"]
        subprocess.run(command, check=True)
        prepared, trained, evaluated = calls.read_text().splitlines()
        assert prepared.startswith(f"python -m data_prep {corpus} published data/{corpus}")
        assert ("--train train-clean-100" in prepared) == recipe.stem.endswith("100")
        assert f"asrattn train {recipe} " in trained
        assert trained.endswith(" --devices 2")
        out = Path(trained.split(" --out ")[1].split()[0])
        assert f"{out}/model.safetensors" in evaluated
        out.mkdir(parents=True)
        (out / "last.ckpt").touch()
        subprocess.run(command, check=True)
        assert calls.read_text().splitlines()[4].endswith(" --devices 2 --resume")


def test_slurm_saves_and_comes_back(calls, monkeypatch: pytest.MonkeyPatch):
    """A signal before the end of the time reaches the training; only when that has ended is the job requeued."""
    for name, value in {"JOB_ID": "7", "NTASKS_PER_NODE": "4", "JOB_NUM_NODES": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    command = [FOLDER / "slurm.sh", FOLDER / "aishell" / "run.sh", "published", "conformer"]
    job = subprocess.Popen(command)
    try:
        for _ in range(600):
            if calls.exists() and "srun" in calls.read_text():
                break
            time.sleep(0.1)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(60) == 0
    finally:
        job.kill()
    prepared, trained, *rest = calls.read_text().splitlines()
    assert prepared.startswith("python -m data_prep aishell")
    assert trained.startswith("srun --kill-on-bad-exit=1 asrattn train")
    assert trained.endswith("--devices 4 --nodes 2")
    assert rest == ["saved", "scontrol requeue 7"]
