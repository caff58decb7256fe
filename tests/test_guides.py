"""Every command of the guide to pre-trained models runs, on a tiny Whisper and a tiny corpus."""

import contextlib
import io
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_whisper
import tones

from asrattn.cli.main import main
from asrattn.convert import ctranslate2, huggingface, openai
from asrattn.convert.source import WhisperSource, sinusoids, weight_shapes

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("fine-tuning", "own-data")
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORT = {  # added to the command, so that it takes a second or two
    "train": "--set train.epochs=1 --set train.scale_to_data=false --set train.validate_beam=1 --accelerator cpu",
    "pretrain": "--set train.epochs=1 --set model.encoder.layers=1 --accelerator cpu",
}
POSITIONS = "model.encoder.embed_positions.weight"
ENCODER_LAYERS = 4  # of tiny.en; the guide makes a student with fewer


def commands(guide: str) -> list[list[str]]:
    """The commands of a guide's code blocks, continued lines joined, comments cut off."""
    text = (ROOT / f"docs/guides/{guide}.md").read_text("utf-8")
    blocks = [re.sub(r"\\\n\s*", " ", block) for block in FENCE.findall(text)]
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("asrattn ")]


def whisper() -> WhisperSource:
    """Of few dimensions and tokens, for 30 s."""
    source = tiny_whisper.source()
    dims = replace(source.dims, audio_context=1500, encoder_layers=ENCODER_LAYERS)
    known = source.weights | {POSITIONS: sinusoids(dims.audio_context, dims.dim).half()}
    lower = "encoder.layers.0."
    weights = {
        name: known.get(name, known[re.sub(r"encoder\.layers\.\d+\.", lower, name)])
        for name in weight_shapes(dims)
    }
    return replace(source, dims=dims, weights=weights)


def write_wav2vec2(folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8, 8],
        conv_kernel=[10, 8],
        conv_stride=[5, 64],
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    plain = {"sampling_rate": 16000, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(plain))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the guide names: models, as if they were downloaded, recipes, recordings."""
    here = tmp_path_factory.mktemp("guide")
    (here / "recipes").symlink_to(ROOT / "recipes")
    source = whisper()
    huggingface.write(here / "models/whisper-tiny.en", source)
    huggingface.write(here / "openai/whisper-tiny.en", source)
    openai.write(here / "models/tiny.en.pt", source)
    ctranslate2.write(here / "models/faster-whisper-tiny.en", source, "float16")
    write_wav2vec2(here / "facebook/wav2vec2-base")
    data = tones.write_corpus(here / "data/mine", train=12, dev=3)
    shutil.copy(data / "dev.jsonl", data / "test.jsonl")
    (here / "data/untranscribed").symlink_to(data)
    tones.utterance(here, "new", "ab cd")
    (here / "more").mkdir()
    shutil.copy(here / "new.wav", here / "more")
    return here


def run(*words: str) -> None:
    """A command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, *shlex.split(SHORT.get(words[0], ""))])
    assert status == 0, f"{shlex.join(words)}\n{err.getvalue()}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:constrained_layout not applied")  # an untrained Whisper writes 400 tokens
@pytest.mark.parametrize("guide", GUIDES)
def test_commands_run_in_their_order(guide: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    shutil.rmtree(place / "runs", ignore_errors=True)
    if guide == "fine-tuning":  # its model of the demonstration
        small = "--set model.encoder.dim=128 --data data/mine --out runs/demo/model"
        run("train", "recipes/demo/lstm.py", *shlex.split(small))
    found = commands(guide)
    assert len(found) >= 5
    for _, *words in found:
        run(*words)


def test_guides_have_commands() -> None:
    assert {words[1] for words in commands("fine-tuning")} > {
        "import",
        "train",
        "transcribe",
        "export",
        "pretrain",
    }
