"""`asrattn describe`: of a model, of a recipe."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
import tiny
import tiny_whisper
import torch

from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.encoders import EncoderConfig, PretrainedEncoderConfig
from asrattn.training import forecast

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "whisper"
RECIPE = """
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import ConformerConfig
from asrattn.model import ModelConfig
from asrattn.training.recipe import Recipe

RECIPE = Recipe("small", ModelConfig(
    encoder=ConformerConfig(dim=32, layers=2, ffn_dim=32, channels=4),
    decoder=RecurrentDecoderConfig(dim=16),
))
"""


@pytest.fixture(autouse=True)
def short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quicker; test_forecast.py judges how exact it is."""
    monkeypatch.setattr(forecast, "PROBE_SECONDS", 1.0)


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
    status, out, _ = run(capsys, recipe, "--flops", 100)
    assert status == 0
    assert re.search(r"\n    kind +conformer\n", out)
    assert "the data define it" in out
    smaller = number(out, "activations")
    more = ["--set", "data.batch_seconds=100", "--set", "model.encoder.layers=4"]
    _, out, _ = run(capsys, recipe, "--flops", 100, *more)
    assert number(out, "activations") > 4 * smaller


@pytest.mark.parametrize("member", [m for m in get_args(EncoderConfig) if m is not PretrainedEncoderConfig])
def test_every_encoder(capsys, recipe: Path, member) -> None:
    kind = member().kind
    status, out, err = run(
        capsys, recipe, "--flops", 100, "--set", f"model.encoder.kind={kind}", "--set", "train.precision=bf16"
    )
    assert (status, err) == (0, "")
    assert re.search(rf"\n    kind +{kind}\n", out)
    assert number(out, "activations") > 0
    assert number(out, "work") > 0


@pytest.mark.parametrize("recipe", ["finetune", "adapt", "ctc_head"])
def test_recipe_that_begins_from_a_whisper(capsys, tmp_path: Path, recipe: str) -> None:
    path = tiny_whisper.model_file(tmp_path)
    words = [RECIPES / f"{recipe}.py", "--flops", 100]
    status, out, err = run(capsys, *words)
    assert (status, out) == (1, "")
    assert err.splitlines() == [line for line in err.splitlines() if "name it with --init" in line]
    status, out, err = run(capsys, *words, "--init", path)
    assert (status, err) == (0, "")
    assert "50.0 frames a second" in out
    assert number(out, "activations") >= 0
    assert 0 < number(out, "given:") < 1e9
    _, shorter, _ = run(capsys, *words, "--init", path, "--utterance", 2)
    assert number(shorter, "given:") < number(out, "given:")  # each utterance is filled up with silence


def test_an_imported_whisper(capsys, tmp_path: Path) -> None:
    status, out, err = run(capsys, tiny_whisper.model_file(tmp_path))
    assert (status, err) == (0, "")
    assert re.search(r"\n  origin +tiny-random\n", out)
    assert re.search(r"\n  licence +mit\n", out)
    assert re.search(r"\n  training data +Whisper's training data are not public", out)
    assert re.search(r"\n  untrained +ctc\n", out)


def test_pretrained_encoder_does_not_suit_other_features(capsys, recipe: Path) -> None:
    status, out, err = run(capsys, recipe, "--set", "model.encoder.kind=pretrained")
    assert (status, out) == (1, "")
    assert "frontend.kind: log-mel does not suit the encoder wav2vec2; take wave" in err


def test_pretrained_encoder(capsys, recipe: Path) -> None:
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    words = [
        "model.frontend.kind=wave",
        "model.frontend.normalize=utterance",
        "model.encoder.kind=pretrained",
    ]
    words += [f"model.encoder.settings={json.dumps(sizes | {'conv_dim': [16] * 7})}", "augment.stretch=0"]
    off = [f"augment.{name}=0" for name in ("vtlp", "equalizer", "frequency_masks", "time_masks")]
    status, out, err = run(
        capsys, recipe, "--flops", 100, *(w for word in words + off for w in ("--set", word))
    )
    assert (status, err) == (0, "")
    assert re.search(r"\n    kind +pretrained\n", out)
    assert "subsampling 320" in out
    status, _, err = run(capsys, recipe, *(w for word in words for w in ("--set", word)))
    assert status == 1
    assert "--set augment.vtlp=0 --set augment.equalizer=0 --set augment.frequency_masks=0" in err


def test_a_pyramid_in_bf16(capsys, recipe: Path) -> None:
    encoder = ["kind=lstm", "subsampling=pyramid", "layers=3"]
    words = [f"model.encoder.{setting}" for setting in encoder] + ["train.precision=bf16"]
    settings = [word for setting in words for word in ("--set", setting)]
    status, out, err = run(capsys, recipe, "--flops", 100, *settings)
    assert (status, err) == (0, "")
    assert number(out, "work") > 0


def test_the_forecast_leaves_the_weights_out(capsys, recipe: Path) -> None:
    """Twice the width of the decoder's LSTM: many more weights, hardly more activations."""
    _, out, _ = run(capsys, recipe, "--flops", 100)
    _, wider, _ = run(capsys, recipe, "--flops", 100, "--set", "model.decoder.dim=256")
    assert number(wider, "weights") > 3 * number(out, "weights")


def test_time_and_the_largest_batch(capsys, recipe: Path) -> None:
    words = ["--flops", "100", "--hours", "10", "--memory", "2", "--utterance", "5"]
    status, out, _ = run(capsys, recipe, *words)
    assert status == 0
    work = number(out, "work")
    assert number(out, "given:") == pytest.approx(100 / work, rel=0.15)  # the work is shown in two digits
    assert number(out, "epoch") == pytest.approx(3600 * 10 * work / 100, rel=0.15)
    largest = number(out, "largest")
    more = ["--set", "data.batch_seconds=10000", "--set", f"data.max_device_seconds={largest:.0f}"]
    _, out, _ = run(capsys, recipe, *words, *more)
    assert number(out, "weights") + number(out, "activations") == pytest.approx(2000, rel=0.01)


def test_the_rate_is_measured_where_none_is_given(capsys, recipe: Path) -> None:
    _, out, _ = run(capsys, recipe, "--utterance", "2")
    assert number(out, "backward\nrate") > 0
    assert "measured here, on 20 s of audio" in out


@pytest.mark.parametrize("option", ["--flops", "--hours", "--memory", "--utterance"])
def test_nothing_is_not_enough(capsys, recipe: Path, option: str) -> None:
    with pytest.raises(SystemExit) as done:
        main(["describe", str(recipe), option, "0"])
    assert done.value.code == 2
    assert "0 is not above 0" in capsys.readouterr().err


def test_a_misspelt_setting(capsys, recipe: Path) -> None:
    status, out, err = run(capsys, recipe, "--set", "model.encoder.layer=4")
    assert (status, out) == (1, "")
    assert "did you mean layers?" in err


def test_a_model_cannot_be_changed(capsys, tmp_path: Path) -> None:
    status, _, err = run(capsys, tiny.model_file(tmp_path), "--set", "model.encoder.layers=4")
    assert status == 1
    assert "--set, --init and --data are for recipes" in err


def test_hours_and_lengths_come_from_the_data(capsys, recipe: Path, tmp_path: Path) -> None:
    for name, seconds in (("train", (2.0, 4.0, 6.0)), ("dev", (1.0,))):
        listed = [Utterance(f"{name}{i}", "a.wav", "a", s) for i, s in enumerate(seconds)]
        manifest.write(tmp_path / "data" / f"{name}.jsonl", listed)
    status, out, err = run(capsys, recipe, "--flops", 100, "--data", tmp_path / "data")
    assert (status, err) == (0, "")
    assert "data          3 utterances, 0.003 h" in out
    assert "utterances of 4 s (estimate)" in out
    assert "for 0.003 h of speech" in out
    status, _, err = run(capsys, recipe, "--data", tmp_path)
    assert (status, err) == (
        1,
        f"asrattn: {tmp_path / 'train.jsonl'}: does not exist; make it with python -m data_prep\n",
    )


def test_training_without_bf16_is_measured_without_it(
    capsys, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe's bf16 is fp32 on such a processor."""
    monkeypatch.setattr("asrattn.training.precision.has_native_bf16", lambda: False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    _, out, _ = run(capsys, recipe, "--utterance", "1", "--flops", "100")
    assert "memory of a training step, fp32, utterances of 1 s" in out


def test_what_is_known_is_shown_before_anything_is_measured(
    capsys, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(forecast, "forecast_step", stop)
    status, out, _ = run(capsys, recipe)
    assert status == 130
    assert number(out, "total") > 0


def test_a_large_model_is_measured_for_some_seconds_only(
    capsys, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asrattn.cli.describe._MEASURED_GFLOP", 0.01)
    asked = []
    monkeypatch.setattr(forecast, "seconds_per_step", lambda _r, _m, n, s: asked.append((n, s)) or 1.0)
    _, out, _ = run(capsys, recipe)
    assert asked == [(1, forecast.PROBE_SECONDS)]
    assert "measured here, on 1 s of audio" in out


@pytest.mark.parametrize("name", ["absent.py", "absent.safetensors"])
def test_what_is_not_there(capsys, tmp_path: Path, name: str) -> None:
    status, out, err = run(capsys, tmp_path / name)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert name in err
