"""The main job through the commands, as a user types them, on made speech."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asrattn.cli import main as cli
from data_prep import __main__ as data_prep

ROOT = Path(__file__).resolve().parents[1]
LINE = re.compile(r"test +(\d+) utterances +(\d+) words +(WER [\d.]+ % \[.*?\] +CER [\d.]+ % \[.*?\])")


def run(main, *words, status=0):
    """A command, in this process; what it says on stdout."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main([str(word) for word in words]) == status, err.getvalue()
    return out.getvalue()


def asrattn(*words, status=0):
    return run(cli.main, *words, status=status)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Made speech, cut down to what is trained in seconds."""
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    folder = tmp_path_factory.mktemp("story") / "data"
    assert "train" in run(data_prep.main, "demo", folder)
    for split, kept in {"train": 60, "dev": 8, "test": 12}.items():
        path = folder / f"{split}.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    return folder


@pytest.fixture(scope="module")
def model(corpus):
    """Two epochs, stopped after the first and resumed."""
    out = corpus.parent / "run"
    small = [
        "model.encoder.dim=32",
        "model.encoder.layers=1",
        "model.decoder.dim=32",
        "train.validate_every=1",
    ]
    settings = [word for setting in small for word in ("--set", setting)]
    train = ["train", ROOT / "recipes/demo/lstm.py", "--data", corpus, "--out", out, *settings]
    asrattn(*train, "--set", "train.epochs=1")
    asrattn(*train, "--set", "train.epochs=2", status=1)  # there is a run already
    asrattn(*train, "--set", "train.epochs=2", "--resume")
    assert len((out / "metrics.csv").read_text().splitlines()) == 3
    return out / "model.safetensors"


def test_evaluation_score_and_page_agree(corpus, model):
    out = corpus.parent / "evaluation"
    printed = asrattn("evaluate", model, corpus / "test.jsonl", "--out", out)
    found = LINE.search(printed)
    assert found
    assert found[1] == "12"
    texts = [json.loads(line)["text"] for line in (corpus / "test.jsonl").read_text().splitlines()]
    assert int(found[2]) == sum(len(text.split()) for text in texts)
    scored = asrattn("score", corpus / "test.jsonl", out / "test.hypotheses.jsonl")
    assert LINE.search(scored)[3] == found[3]
    page = (out / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "12" in page


def test_a_recording_is_transcribed_the_same_alone_and_among_others(corpus, model):
    first = json.loads((corpus / "test.jsonl").read_text().splitlines()[0])
    recording = corpus / first["audio"]
    alone = asrattn("transcribe", model, recording)
    together = asrattn("transcribe", model, recording, corpus / "unseen.wav", "--format", "json").splitlines()
    assert json.loads(together[0])["text"] == alone.rstrip("\n")
    assert len(together) == 2


def test_one_broken_file_stops_nothing(corpus, model, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF but no sound")
    printed = asrattn("transcribe", model, broken, corpus / "unseen.wav", "--format", "json", status=1)
    assert [Path(json.loads(line)["path"]).name for line in printed.splitlines() if "text" in line] == [
        "unseen.wav"
    ]


def test_describe_tells_what_the_model_is(model):
    printed = asrattn("describe", model)
    assert "demo-lstm" in printed
    assert "encoder" in printed


@pytest.mark.slow
def test_the_demo_reaches_its_word_error_rate(tmp_path):
    """The script itself, whole: under 5 % on voices never heard."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / "recipes/demo/run.sh", tmp_path / "demo"],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"test .* WER ([\d.]+) %", done.stdout)[1]) < 5
    assert (tmp_path / "demo/evaluation/report.html").stat().st_size > 10_000
