"""Wrong paths and settings are told before anything heavy is loaded."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import tiny

from asrattn.data import manifest
from asrattn.data.manifest import Utterance

RECIPE = """
from asrattn.model import ModelConfig
from asrattn.training.recipe import Recipe
RECIPE = Recipe("r", ModelConfig())
"""
LM_RECIPE = """
from asrattn.lm.config import LSTMLMConfig
from asrattn.training.lm.recipe import LMRecipe
RECIPE = LMRecipe("r", LSTMLMConfig())
"""
HEAVY = {"torch", "lightning", "librosa", "matplotlib", "scipy", "torchaudio", "tensorboard", "optuna"}
# Runs every line of arguments; a line of JSON for each: status, what was told, what was loaded by then.
PROGRAM = f"""
import contextlib, io, json, sys
from asrattn.cli.main import main
for line in sys.stdin:
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        status = main(json.loads(line))
    print(json.dumps([status, told.getvalue(), sorted({HEAVY!r} & sys.modules.keys())]))
"""
TRAIN = "train recipe.py --data data --out out"
SEARCH = "sweep recipe.py --data data --out out --space train.ema=0..0.9 --budget 3"
ABLATE = "ablate recipe.py --data data --out out --vary train.ema=0,0.9"
PRETRAIN = "pretrain recipe.py --data data --out out"
NEURAL = "lm train-neural lm.py text --dev text --tokenizer model --out out"
NO_MANIFEST = "does not exist; make it with python -m data_prep"
NO_FILE = "cannot be read (it is a pipe or a device, not a file)"
NO_MODEL = "does not exist; a run's model is its model.safetensors"
NO_SAFETENSORS = "is no safetensors file; a run's model is its model.safetensors"
TOLD = {
    TRAIN.replace("recipe.py", "absent.py"): "absent.py: does not exist; name a recipe",
    TRAIN.replace("recipe.py", "text"): "text:1: ",
    TRAIN.replace("--data data", "--data absent"): f"absent/train.jsonl: {NO_MANIFEST}",
    TRAIN.replace("--data data", "--data no-dev"): f"no-dev/dev.jsonl: {NO_MANIFEST}",
    TRAIN.replace("--data data", "--data damaged"): "damaged/dev.jsonl:1: is no JSON",
    f"{TRAIN} --set model.encoder.layrs=2": "'layrs' is unknown; did you mean layers?",
    f"{TRAIN} --set model.encoder.layers=many": "model.encoder.layers",
    f"{TRAIN} --init absent": f"absent: {NO_MODEL}",
    f"{TRAIN} --init text": f"text: {NO_SAFETENSORS}",
    f"{TRAIN} --init language-model": "language-model: is a language model",
    f"{TRAIN} --resume": "out/last.ckpt: does not exist; there is nothing to resume",
    TRAIN.replace("--out out", "--out used"): "used: holds a run already (last.ckpt)",
    TRAIN.replace("--out out", "--out text/out"): "text/out: cannot be made (Not a directory)",
    PRETRAIN.replace("recipe.py", "absent.py"): "absent.py: does not exist; name a recipe",
    PRETRAIN.replace("recipe.py", "lm.py"): "RECIPE is a LMRecipe; write RECIPE = PretrainRecipe",
    PRETRAIN.replace("--data data", "--data absent"): f"absent/train.jsonl: {NO_MANIFEST}",
    PRETRAIN.replace("--data data", "--data no-dev"): f"no-dev/dev.jsonl: {NO_MANIFEST}",
    f"{PRETRAIN} --set bestrq.mask_porb=0.1": "'mask_porb' is unknown; did you mean mask_prob?",
    f"{PRETRAIN} --set model.frontend.normalize=none": "model.frontend.normalize must be global or both",
    f"{PRETRAIN} --resume": "out/last.ckpt: does not exist; there is nothing to resume",
    PRETRAIN.replace("--out out", "--out used"): "used: holds a run already (last.ckpt)",
    SEARCH.replace("recipe.py", "absent.py"): "absent.py: does not exist; name a recipe",
    SEARCH.replace("--data data", "--data absent"): f"absent/train.jsonl: {NO_MANIFEST}",
    SEARCH.replace("train.ema", "train.em"): "'em' is unknown; did you mean ema?",
    SEARCH.replace("--budget 3", "--budget soon"): "--budget soon: write a number of trials",
    SEARCH.replace("--out out", "--out text/out"): "text/out: cannot be made",
    ABLATE.replace("recipe.py", "absent.py"): "absent.py: does not exist; name a recipe",
    ABLATE.replace("--data data", "--data absent"): f"absent/train.jsonl: {NO_MANIFEST}",
    ABLATE.replace("train.ema", "train.em"): "the recipe has no such setting",
    f"{ABLATE} --eval-on absent.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    ABLATE.replace("--out out", "--out ablated"): "ablated: holds an ablation of another recipe",
    "transcribe absent sound.wav": f"absent: {NO_MODEL}",
    "transcribe text sound.wav": f"text: {NO_SAFETENSORS}",
    "transcribe truncated sound.wav": "truncated: is truncated or damaged",
    "transcribe model absent.wav": "absent.wav: does not exist; check the path",
    "transcribe model absent*.wav": "absent*.wav: no file matches the pattern",
    "transcribe model sound.wav --lm absent.arpa": "absent.arpa: does not exist; name an ARPA file",
    "transcribe model sound.wav --lm text": "text: is no ARPA file",
    "transcribe model sound.wav --lm model": "model: is no language model",
    "transcribe model sound.wav --lm-weight 1 --lm-weight 2": "0 --lm and 2 --lm-weight",
    "transcribe model sound.wav --hotwords absent": "absent: does not exist; name a text",
    "evaluate absent data/dev.jsonl": f"absent: {NO_MODEL}",
    "evaluate model absent.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "evaluate model data/dev.jsonl --lm absent.arpa": "absent.arpa: does not exist",
    "evaluate model data/dev.jsonl --out text/out": "text/out: cannot be made",
    "evaluate model data/dev.jsonl --keywords absent": "absent: cannot be read",
    "evaluate model data/dev.jsonl --by speker": "dev: no utterance has 'speker'; there are length, rate, id",
    "evaluate model data/dev.jsonl --by speaker": "dev: no utterance has 'speaker'",
    "evaluate pipe data/dev.jsonl": f"pipe: {NO_FILE}",
    "evaluate model data/dev.jsonl --lm pipe": f"pipe: {NO_FILE}",
    "evaluate model data/dev.jsonl --keywords pipe": f"pipe: {NO_FILE}",
    "evaluate model data/dev.jsonl --hotwords pipe": f"pipe: {NO_FILE}",
    "transcribe /dev/zero sound.wav": f"/dev/zero: {NO_FILE}",
    "transcribe model sound.wav --lm /dev/zero": f"/dev/zero: {NO_FILE}",
    "transcribe model sound.wav --lm data": "data: is a folder; name an ARPA file",
    "transcribe data sound.wav": "data: is a folder; name the model.safetensors in it",
    "lm train pipe --out lm.arpa": f"pipe: {NO_FILE}",
    "reproduce pipe.json": f"pipe.json: {NO_FILE}",
    "describe pipe": f"pipe: {NO_FILE}",
    TRAIN.replace("recipe.py", "pipe.py"): "pipe.py: is not a file; name a recipe",
    f"{TRAIN} --init pipe": f"pipe: {NO_FILE}",
    "align absent data/dev.jsonl": f"absent: {NO_MODEL}",
    "align model absent.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "plot-attention absent sound.wav": f"absent: {NO_MODEL}",
    "plot-attention model absent.wav": "absent.wav: does not exist; check the path",
    "tune-decoding absent data/dev.jsonl": f"absent: {NO_MODEL}",
    "tune-decoding model absent.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "tune-decoding model data/dev.jsonl --out text/model": "text: cannot be made",
    "pseudo-label absent data/dev.jsonl --out x.jsonl": f"absent: {NO_MODEL}",
    "pseudo-label model absent.jsonl --out x.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "pseudo-label model data/dev.jsonl --out x.tsv": "x.tsv: is a manifest; give it a name that ends with .jsonl",
    "pseudo-label model data/dev.jsonl --out text/x.jsonl": "text: cannot be made",
    "pseudo-label model data/dev.jsonl --out data/dev.jsonl": "data/dev.jsonl: is the manifest that is read",
    "pseudo-label model data/dev.jsonl --out x.jsonl --lm absent.arpa": "absent.arpa: does not exist",
    "listen absent sound.wav": f"absent: {NO_MODEL}",
    "listen model absent.wav": "absent.wav: does not exist; check the path",
    "check absent.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "check no-dev/empty": "no-dev/empty: holds no manifest",
    "check data --recipe absent.py": "absent.py: does not exist; name a recipe",
    "check data --recipe recipe.py --set data.caches=1": "'caches' is unknown; did you mean cache?",
    "check data --model absent": f"absent: {NO_MODEL}",
    "check data --out text/out": "text/out: cannot be made",
    "describe absent": f"absent: {NO_MODEL}",
    "describe absent.py": "absent.py: does not exist; name a recipe",
    "describe recipe.py --set model.encoder.layrs=2": "did you mean layers?",
    "reproduce absent": f"absent: {NO_MODEL}",
    "reproduce absent.json": "absent.json: does not exist; asrattn evaluate --out writes it",
    "reproduce model --data absent": f"absent: {NO_MANIFEST}",
    "score absent.jsonl heard.jsonl": f"absent.jsonl: {NO_MANIFEST}",
    "score data/dev.jsonl absent.jsonl": "absent.jsonl: does not exist; make it with asrattn evaluate",
    "compare data/dev.jsonl absent.jsonl heard.jsonl": "absent.jsonl: does not exist",
    "rover absent.jsonl heard.jsonl": "absent.jsonl: does not exist",
    "lm train absent --out lm.arpa": "absent: does not exist; name a text with one sentence a line",
    "lm train text absent.jsonl --out lm.arpa": f"absent.jsonl: {NO_MANIFEST}",
    "lm train text --out text/lm.arpa": "text: cannot be made",
    "lm train text --units token --tokenizer absent --out lm.arpa": f"absent: {NO_MODEL}",
    NEURAL.replace("lm.py", "absent.py"): "absent.py: does not exist; name a recipe",
    NEURAL.replace("neural lm.py text", "neural lm.py absent"): "absent: does not exist; name a text",
    NEURAL.replace("--tokenizer model", "--tokenizer text"): f"text: {NO_SAFETENSORS}",
    NEURAL.replace("--out out", "--out used"): "used: holds a run already",
    f"{NEURAL} --set model.layrs=1": "'layrs' is unknown; did you mean layers?",
    "lm perplexity absent text": "absent: does not exist; name an ARPA file",
    "lm perplexity text absent": "absent: does not exist; name a text",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What a fresh process told of each, one after the other."""
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("data", "no-dev/empty", "damaged", "used", "ablated"):
        (folder / name).mkdir(parents=True)
    model = tiny.model_file(folder).rename(folder / "model").read_bytes()
    (folder / "truncated").write_bytes(model[:-8])
    (folder / "language-model").write_bytes(model.replace(b'\\"model\\": {', b'\\"lm\\":    {', 1))
    sound = tiny.sound(folder / "sound.wav", 1.0)
    for name in ("data/train", "data/dev", "no-dev/train", "damaged/train"):
        manifest.write(folder / f"{name}.jsonl", [Utterance("a", str(sound), "the fox", 1.0)])
    (folder / "damaged" / "dev.jsonl").write_text("{\n")
    (folder / "heard.jsonl").write_text('{"id": "a", "text": "the fox"}\n')
    for name in ("pipe", "pipe.py", "pipe.json"):
        os.mkfifo(folder / name)
    (folder / "text").write_text("one two\nthree\n")
    (folder / "recipe.py").write_text(RECIPE)
    (folder / "lm.py").write_text(LM_RECIPE)
    (folder / "used" / "last.ckpt").write_bytes(b"PK")
    (folder / "ablated" / "ablation.json").write_text("{}")
    lines = "\n".join(json.dumps(arguments.split()) for arguments in TOLD)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=lines, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(TOLD, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("arguments", TOLD)
def test_what_is_wrong_is_told_before_torch_is_loaded(arguments: str, found: dict[str, list[Any]]) -> None:
    status, told, loaded = found[arguments]
    assert (status, loaded) == (1, [])
    assert TOLD[arguments] in told
    assert len(told.splitlines()) == 1
