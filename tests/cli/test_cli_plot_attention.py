"""`asrattn plot-attention`: an image, a page, and the attention metrics."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from asrattn import audio, checkpoint
from asrattn.cli.main import main
from asrattn.decoders import TransformerDecoderConfig
from asrattn.inference.recognizer import Recognizer
from asrattn.model.speech_model import SpeechModel


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.model_file(tmp_path)


def test_a_given_text_is_drawn_and_measured(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, out = tiny.sound(tmp_path / "a & b.wav", 1.2), tmp_path / "out"
    assert main(["plot-attention", str(model), str(sound), "--text", "the fox", "--out", str(out)]) == 0
    text, measures, *paths = capsys.readouterr().out.splitlines()
    assert text == "the fox"
    names = measures.split()[::2]
    assert names == ["focus", "monotonicity", "diagonality", "skipped", "repeated", "agreement"]
    assert all(0 <= float(value) <= 1 for value in measures.split()[1::2])
    assert paths == [str(out / "a & b.attention.png"), str(out / "a & b.attention.html")]
    assert Path(paths[0]).read_bytes().startswith(b"\x89PNG")
    page = Path(paths[1]).read_text(encoding="utf-8")
    assert "a &amp; b.wav" in page
    assert "data:image/png;base64," in page
    assert (
        '<audio controls preload="metadata" aria-label="The recording" src="data:audio/flac;base64,' in page
    )
    assert "share of tokens that attend where CTC aligns them" in page
    assert "Layers and heads" not in page  # there is one
    assert "http" not in page.replace("http://www.w3.org", "")


def test_without_a_text_it_is_what_the_model_hears(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tiny.sound(tmp_path / "a.wav", 1.2)
    assert main(["transcribe", str(model), str(sound)]) == 0
    hypothesis = capsys.readouterr().out.strip()
    assert hypothesis
    assert main(["plot-attention", str(model), str(sound), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0].strip() == hypothesis


def test_every_layer_and_head_has_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = str(tiny.sound(tmp_path / "a.wav", 1.2))
    config = tiny.config()
    decoder = TransformerDecoderConfig(dim=8, layers=3, heads=2, ffn_dim=8)
    torch.manual_seed(0)
    model = SpeechModel(type(config)(config.frontend, config.encoder, decoder, config.vocabulary)).eval()
    checkpoint.save(tmp_path / "m.safetensors", model, tiny.TOKENIZER, {}, tiny.DECODING)
    found = Recognizer.load(tmp_path / "m.safetensors", "cpu").compute_attention(tiny.wave(1.0), [3, 4, 5])
    assert [layer.shape[:2] for layer in found.layers] == [(2, 4)] * 3
    assert (
        main(
            [
                "plot-attention",
                str(tmp_path / "m.safetensors"),
                sound,
                "--text",
                "abc",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    paths = capsys.readouterr().out.splitlines()[2:]
    assert [Path(path).name for path in paths] == ["a.attention.png", "a.heads.png", "a.attention.html"]
    assert Path(paths[2]).read_text(encoding="utf-8").count("<details><summary>Layer ") == 3
    for layer in found.layers:
        np.testing.assert_allclose(layer.sum(-1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(found.layers[-1].mean(0), found.weights, rtol=1e-5)


def test_silence_and_long_files_are_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere.wav"
    assert main(["plot-attention", str(model), str(missing)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    wave = np.concatenate([tiny.wave(20.0), np.zeros(tiny.RATE), tiny.wave(20.0)]).astype(np.float32)
    audio.write(tmp_path / "long.wav", wave, tiny.RATE)
    words = [
        "plot-attention",
        str(model),
        str(tmp_path / "long.wav"),
        "--text",
        "fox",
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    assert "this is the first of 2 segments" in capsys.readouterr().err
