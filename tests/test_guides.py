"""Every command of the guides to own recordings and to pre-trained models runs, on a tiny Whisper and a tiny corpus."""

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
from asrattn.convert import whisper as native
from asrattn.convert.source import WhisperSource, weight_shapes
from asrattn.encoders.whisper import whisper_sinusoids
from asrattn.inference import pseudo_label
from data_prep import __main__ as data_prep

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("fine-tuning", "own-data")
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORT = {  # added to the command, so that it takes a second or two; an untrained Whisper does not stop by itself
    "train": "--set train.epochs=1 --set train.scale_to_data=false --set train.validate_beam=1 "
    "--set decoding.max_length=0.02 --accelerator cpu",
    "pretrain": "--set train.epochs=1 --set bestrq.mask_prob=0.3 --accelerator cpu",
}
POSITIONS = "model.encoder.embed_positions.weight"
ENCODER_LAYERS = 4  # of tiny.en; the guide makes a student with fewer


def commands(guide: str) -> list[list[str]]:
    """The words of the commands in a guide's code blocks, continued lines joined, comments cut off."""
    text = (ROOT / f"docs/guides/{guide}.md").read_text("utf-8")
    blocks = [re.sub(r"\\\n\s*", " ", block) for block in FENCE.findall(text)]
    lines = [line for block in blocks for line in block.splitlines()]
    known = ("asrattn ", "python -m data_prep ")
    return [shlex.split(line, comments=True) for line in lines if line.startswith(known)]


def whisper() -> WhisperSource:
    """Of few dimensions and tokens, for 30 s."""
    source = tiny_whisper.source()
    dims = replace(source.dims, audio_context=1500, encoder_layers=ENCODER_LAYERS)
    known = source.weights | {POSITIONS: whisper_sinusoids(dims.audio_context, dims.dim).half()}
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


def write_recordings(folder: Path) -> None:
    """A folder for each speaker, a text beside each recording."""
    for speaker in ("ann", "bob", "cem", "dan"):
        for number, text in enumerate(("ab cd", "cab", "dab a", "bad")):
            name = f"{speaker}/{number:03}"
            tones.utterance(folder, name, text)
            (folder / f"{name}.txt").write_text(f"{text}\n")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with all that the guides name: models, as if they were downloaded, recipes, recordings."""
    here = tmp_path
    (here / "recipes").symlink_to(ROOT / "recipes")
    source = whisper()
    huggingface.write(here / "models/whisper-tiny.en", source)
    huggingface.write(here / "openai/whisper-tiny.en", source)
    openai.write(here / "models/tiny.en.pt", source)
    ctranslate2.write(here / "models/faster-whisper-tiny.en", source, "float16")
    write_wav2vec2(here / "facebook/wav2vec2-base")
    data = tones.write_corpus(here / "data/mine", train=12, dev=3)
    shutil.copy(data / "dev.jsonl", data / "test.jsonl")
    write_recordings(here / "recordings")
    tones.utterance(here, "new", "ab cd")
    (here / "more").mkdir()
    shutil.copy(here / "new.wav", here / "more")
    return here


def run(*words: str) -> None:
    """A command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if words[0] == "asrattn":
            status = main([*words[1:], *shlex.split(SHORT.get(words[1], ""))])
        else:
            status = data_prep.main(list(words[3:]))  # python -m data_prep
    assert status == 0, f"{shlex.join(words)}\n{err.getvalue()}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:constrained_layout not applied")  # an untrained Whisper writes 400 tokens
@pytest.mark.parametrize("guide", GUIDES)
def test_commands_run_in_their_order(guide: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    # An untrained Whisper is to be doubted everywhere.
    monkeypatch.setattr(pseudo_label, "_find_reason", lambda *_: "")
    # It knows no end of text either; the tokens that it writes would be too many to be learned from.
    monkeypatch.setattr(native, "DECODING", replace(native.DECODING, max_length=0.02))
    if guide == "fine-tuning":  # the model of the demonstration
        run("asrattn", "train", "recipes/demo/lstm.py", "--data", "data/mine", "--out", "runs/demo/model")
    else:  # this guide prepares the recordings
        shutil.rmtree(place / "data")
    for words in commands(guide):
        run(*words)


def test_guides_have_commands() -> None:
    found = {words[1] for guide in GUIDES for words in commands(guide)}
    assert found == {
        "-m",
        "import",
        "describe",
        "transcribe",
        "evaluate",
        "train",
        "align",
        "pretrain",
        "pseudo-label",
        "export",
    }
