"""`asrattn import` and `export`: a Whisper through all commands, and inputs that are refused in one line."""

import csv
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_whisper
import torch

from asrattn import audio, checkpoint
from asrattn.cli.main import main
from asrattn.config import JSONValue
from asrattn.convert import huggingface
from asrattn.convert.model_file import import_model
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.text import EOS, WhisperTokenizer

RATE = 16000
TOKENS = 15  # of a hypothesis


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Hugging Face."""
    path = tmp_path_factory.mktemp("hf") / "tiny-random"
    huggingface.write(path, tiny_whisper.source(audio_context=1500))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What is printed."""
    status = main([*map(str, words)])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line on stderr."""
    status = main([*map(str, words)])
    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    return line


def trust(path: Path) -> Path:
    """The model file of a random model, whose texts are short and not to be doubted."""
    saved = checkpoint.load(path)
    doubts: dict[str, JSONValue] = {"decoder": 1e9, "ctc": 1e9}
    decoding = replace(saved.decoding, beam_size=2, max_length=TOKENS / 1500)
    checkpoint.save(
        path, saved.model, saved.tokenizer, saved.card | {"doubts": doubts}, decoding, torch.float16
    )
    return path


def test_a_whisper_through_all_commands(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, sound = tmp_path / "model.safetensors", tiny.sound(tmp_path / "a.wav", 1.2, rate=RATE)
    assert run(capsys, "import", folder, "--out", model) == f"{model}\n"
    trust(model)
    hypothesis = run(capsys, "transcribe", model, sound).strip()
    assert hypothesis
    utterances = tmp_path / "dev.jsonl"
    manifest.write(utterances, [Utterance("u", str(sound), "he had a bell", 1.2)])
    assert json.loads(run(capsys, "evaluate", model, utterances, "--json"))
    assert run(capsys, "align", model, utterances, "--out", tmp_path / "words") is not None
    times = json.loads((tmp_path / "words" / "u.json").read_text(encoding="utf-8"))
    assert [word["word"] for word in times["words"]] == ["he", "had", "a", "bell"]
    drawn = run(capsys, "plot-attention", model, sound, "--text", "he had a bell", "--out", tmp_path)
    assert drawn.splitlines()[0] == "he had a bell"
    page = (tmp_path / "a.attention.html").read_text(encoding="utf-8")
    assert "*: alignment heads, whose mean is shown above." in page
    found = Recognizer.load(model, "cpu").compute_attention(tiny.wave(1.2, rate=RATE), [3, 4])
    assert found.weights.shape == (3, 60)  # of 1.2 s, not of the silence behind them
    assert {layer.shape[-1] for layer in found.layers} == {60}
    assert "untrained" in run(capsys, "describe", model)
    out = tmp_path / "exported"
    assert run(capsys, "export", model, "--format", "hf", "--out", out) == f"{out}\n"
    again = tmp_path / "again.safetensors"
    run(capsys, "import", out, "--out", again)
    assert run(capsys, "transcribe", trust(again), sound).strip() == hypothesis


def test_transformers_says_the_same_of_what_is_exported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    model, wave = tmp_path / "model.safetensors", tiny.wave(1.2, rate=RATE)
    run(capsys, "import", folder, "--out", model)
    run(capsys, "export", model, "--format", "hf", "--out", tmp_path / "hf", "--dtype", "float32")
    ours = Recognizer.load(trust(model), "cpu")
    ((best, *_),) = ours.recognize([wave], replace(ours.decoding, beam_size=1, patience=1.0))
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "hf").eval()
    extractor = transformers.WhisperFeatureExtractor()
    features = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_features
    tokenizer = ours.tokenizer
    assert isinstance(tokenizer, WhisperTokenizer)
    prompt = torch.tensor([[tokenizer.to_whisper(token) for token in ours.model.decoder.prompt]])
    ids = theirs.generate(features, decoder_input_ids=prompt, num_beams=1, max_new_tokens=TOKENS)[0].tolist()
    found = [tokenizer.from_whisper(i) for i in ids[-TOKENS:] if i not in prompt]
    assert [token for token in found if token != EOS] == list(best.tokens)


def test_silence_samples_make_a_shorter_memory(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    run(capsys, "import", folder, "--out", model, "--silence-samples", 64)
    assert checkpoint.load(model).model.config.encoder.silence_samples == 64
    assert run(capsys, "transcribe", model, tiny.sound(tmp_path / "a.wav", 1.2, rate=RATE), "--beam", 1)


@pytest.mark.slow
def test_common_voice_is_recognised_as_by_transformers(shared_data: Path, tmp_path: Path) -> None:
    """Greedy, the first 20 test clips."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    folder = tiny_whisper.real_folder()
    model = import_model(str(folder), tmp_path / "model.safetensors")
    with (shared_data / "commonvoice-en" / "test.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))[:20]
    clips = [shared_data / "commonvoice-en" / "clips" / row["path"] for row in rows]
    recognizer = Recognizer.load(model, "cpu")
    greedy = replace(recognizer.decoding, beam_size=1, patience=1.0)
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    extractor = transformers.WhisperFeatureExtractor()
    for clip in clips:
        wave = audio.read(clip, RATE)
        ((best, *_),) = recognizer.recognize([wave], greedy)
        features = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_features
        with torch.inference_mode():
            ids = theirs.generate(features, num_beams=1)[0].tolist()
        tokenizer = recognizer.tokenizer
        assert isinstance(tokenizer, WhisperTokenizer)
        found = [tokenizer.from_whisper(i) for i in ids]
        text = [token for token in found if token not in (EOS, *recognizer.model.decoder.prompt)]
        assert text == list(best.tokens), clip.name


@pytest.mark.parametrize("form", ["ct2", "openai"])
def test_other_formats(form: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "model.safetensors", tmp_path / ("out.pt" if form == "openai" else "out")
    run(capsys, "import", folder, "--out", model)
    run(capsys, "export", model, "--format", form, "--out", out)
    words = ["--tokenizer", folder / "tokenizer.json"] if form == "openai" else []
    run(capsys, "import", out, "--out", tmp_path / "again.safetensors", *words)
    first, second = (
        checkpoint.load(tmp_path / name).model for name in ("model.safetensors", "again.safetensors")
    )
    theirs = second.state_dict()
    assert all(weight.equal(theirs[name]) for name, weight in first.state_dict().items())


def test_bad_sources_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", tmp_path / "model.safetensors"]
    assert "absent: does not exist" in refused(capsys, "import", tmp_path / "absent", *out)
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"model_type": "bert"}')
    assert "bert" in refused(capsys, "import", bert, *out)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": print}))
    assert "model.pkl: is a file of an unknown kind" in refused(
        capsys, "import", tmp_path / "model.pkl", *out
    )
    broken = tmp_path / "broken"
    huggingface.write(broken, tiny_whisper.source())
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert str(weights) in refused(capsys, "import", broken, *out)
    assert "English only" in refused(capsys, "import", folder, *out, "--language", "is")
    assert not (tmp_path / "model.safetensors").exists()
    place = refused(capsys, "import", folder, "--out", tmp_path)
    assert f"--out {tmp_path}: is a folder; name a file" in place


def test_nothing_else_is_overwritten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, note = tmp_path / "model.safetensors", tmp_path / "note.safetensors"
    note.write_text("precious")
    assert "is no imported model" in refused(capsys, "import", folder, "--out", note)
    trained = tiny.model_file(tmp_path / "run")
    assert "is no imported model" in refused(capsys, "import", folder, "--out", trained)
    run(capsys, "import", folder, "--out", model)
    run(capsys, "import", folder, "--out", model)  # once more
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "README.md").write_text("precious")
    for form, out in (("hf", "full"), ("ct2", "full"), ("openai", "full"), ("openai", "note.safetensors")):
        line = refused(capsys, "export", trust(model), "--format", form, "--out", tmp_path / out)
        assert f"--out {tmp_path / out}: " in line
    assert note.read_text() == (tmp_path / "full" / "README.md").read_text() == "precious"


def test_exported_weights_can_be_read_by_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "model.safetensors", tmp_path / "hf"
    run(capsys, "import", folder, "--out", model)
    run(capsys, "export", trust(model), "--format", "hf", "--out", out)
    assert {path.stat().st_mode for path in out.iterdir()} == {(out / "config.json").stat().st_mode}
    assert "training data are not public" in (out / "README.md").read_text()


def test_a_missing_generation_config_is_reported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "generation_config.json").unlink()
    assert main(["import", str(bare), "--out", str(tmp_path / "model.safetensors")]) == 0
    assert "names no alignment heads" in capsys.readouterr().err


def test_advice_is_to_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folder, folder / "model.safetensors"):
        assert "asrattn import" in refused(capsys, "describe", path)


def test_only_whispers_are_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", tiny.model_file(tmp_path), "--format", "hf", "--out", tmp_path / "hf"]
    assert "is no Whisper" in refused(capsys, *words)
    assert not (tmp_path / "hf").exists()
    words = ["export", tmp_path / "absent.safetensors", "--format", "hf", "--out", tmp_path / "hf"]
    assert "absent.safetensors: does not exist" in refused(capsys, *words)


def test_untrained_ctc_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, sound = tmp_path / "model.safetensors", tiny.sound(tmp_path / "a.wav", 1.2, rate=RATE)
    run(capsys, "import", folder, "--out", model)
    line = refused(capsys, "transcribe", model, sound, "--ctc", "0.3")
    assert f"--ctc 0.3: the CTC head of {model} is untrained" in line


@pytest.mark.slow
def test_tuned_decoding_is_written(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tuned = tmp_path / "model.safetensors", tmp_path / "tuned.safetensors"
    run(capsys, "import", folder, "--out", model)
    rows = [
        Utterance(f"u{n}", str(tiny.sound(tmp_path / f"{n}.wav", 0.5 + n / 4, n, RATE)), "he", 0.5 + n / 4)
        for n in range(3)
    ]
    manifest.write(tmp_path / "dev.jsonl", rows)
    run(capsys, "tune-decoding", trust(model), tmp_path / "dev.jsonl", "--out", tuned)
    assert checkpoint.load(tuned).decoding.ctc == 0.0


def test_audio_over_30_seconds_is_cut_at_pauses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    run(capsys, "import", folder, "--out", model, "--silence-samples", 16)
    pause = np.zeros(RATE, np.float32)
    parts = [each for n in range(9) for each in (tiny.wave(7.0, n, RATE), pause)]
    audio.write(tmp_path / "long.wav", np.concatenate(parts), RATE)
    recognizer = Recognizer.load(trust(model), "cpu")
    (found,) = recognizer.transcribe([tmp_path / "long.wav"])
    assert found.seconds == pytest.approx(72.0)
    assert len(found.segments) >= 3
    assert all(segment.end - segment.start <= 30.0 for segment in found.segments)
    assert found.segments[0].start == pytest.approx(0.0, abs=0.5)
    assert found.segments[-1].end >= 70.5
    gaps = [b.start - a.end for a, b in zip(found.segments, found.segments[1:], strict=False)]
    assert max(gaps) <= 1.0  # pauses alone are left out
