"""`asrattn check`: the page in three forms, its status, and cleaned manifests."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from asrattn.cli.main import main
from asrattn.corpus_check.result import JSON_VERSION
from asrattn.data import manifest
from asrattn.data.manifest import Utterance

RECIPE = """
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.encoders import LSTMEncoderConfig
from asrattn.features import FeatureConfig
from asrattn.model import ModelConfig
from asrattn.training.recipe import DataConfig, Recipe

RECIPE = Recipe("small", ModelConfig(FeatureConfig(rate=8000, mels=16), LSTMEncoderConfig(dim=8, layers=1, channels=4),
                RecurrentDecoderConfig(dim=8, embedding=4)), DataConfig(max_seconds=1.7))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sound and texts that fit each other, in two splits."""
    for split, first in {"train": 0, "dev": 6}.items():
        utterances = []
        for i in range(first, first + 6):
            path = tiny.sound(tmp_path / f"{i}.wav", 1.0 + 0.1 * i, seed=i)
            utterances.append(
                Utterance(str(i), str(path), f"go on {'a' * (1 + i % 6)}", 1.0 + 0.1 * i, split)
            )
        manifest.write(tmp_path / f"{split}.jsonl", utterances)
    return tmp_path


def change(data: Path, split: str, number: int, **changes: object) -> None:
    utterances = manifest.read(data / f"{split}.jsonl")
    utterances[number] = replace(utterances[number], **changes)
    manifest.write(data / f"{split}.jsonl", utterances)


def run(capsys: pytest.CaptureFixture[str], *arguments: object, jobs: int = 1) -> tuple[int, str]:
    status = main(["check", *map(str, arguments), "--jobs", str(jobs)])
    return status, capsys.readouterr().out


def test_a_folder_in_which_nothing_breaks(capsys, data: Path) -> None:
    status, out = run(capsys, data)
    assert status == 0
    assert "breaks training" not in out
    assert out.splitlines()[1].split()[:3] == ["train", "6", "0.00"]


def test_what_breaks_training_is_told_with_status_1(capsys, data: Path) -> None:
    change(data, "train", 2, audio="nowhere.wav")
    status, out = run(capsys, data)
    assert status == 1
    assert "  missing audio (1): " in out
    assert f"      train:2: {data}/nowhere.wav: does not exist" in out


def test_no_sound_is_opened_where_that_is_not_wanted(capsys, data: Path) -> None:
    change(data, "train", 2, audio="nowhere.wav")
    status, out = run(capsys, data, "--quick")
    assert (status, "missing" in out) == (0, False)


def test_the_page_and_the_json_say_what_the_terminal_says(capsys, data: Path, tmp_path: Path) -> None:
    change(data, "train", 2, text="")
    change(data, "dev", 1, text="<b> & more")
    _, out = run(capsys, data, "--out", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "check.json").read_text())
    page = (tmp_path / "out" / "check.html").read_text()
    assert found["version"] == JSON_VERSION
    assert [split["utterances"] for split in found["splits"]] == [6, 6]
    assert found["splits"][0]["speakers"] == {"train": pytest.approx(6 * 1.25)}
    assert {"kind": "empty text", "severity": "breaks training", "where": "train:2"}.items() <= next(
        each for each in found["findings"] if each["kind"] == "empty text"
    ).items()
    for each in found["findings"]:
        assert each["kind"] in out
        assert f">{each['kind']}: " in page
    assert "&lt;b&gt; &amp; more" in page
    assert "<b> &" not in page


def test_a_cleaned_manifest_lacks_what_breaks_training(capsys, data: Path) -> None:
    change(data, "train", 2, text="")
    with (data / "train.jsonl").open("a") as out:
        out.write("no json\n")
    before = (data / "train.jsonl").read_bytes()
    status, told = run(capsys, data, "--fix")
    assert status == 1
    assert [u.id for u in manifest.read(data / "train.clean.jsonl")] == ["0", "1", "3", "4", "5"]
    assert f"{data}/train.clean.jsonl: without 2 lines" in told
    assert "  empty text: train:2" in told
    assert "  bad line: train:7" in told
    assert (data / "train.jsonl").read_bytes() == before
    assert len(manifest.read(data / "dev.clean.jsonl")) == 6
    status, _ = run(capsys, data / "train.clean.jsonl", data / "dev.clean.jsonl")
    assert status == 0


def test_suspicious_ones_are_left_out_only_if_that_is_asked_for(capsys, data: Path) -> None:
    change(data, "train", 2, text="<b> go")
    run(capsys, data, "--fix")
    assert len(manifest.read(data / "train.clean.jsonl")) == 6
    (data / "train.clean.jsonl").unlink()
    (data / "dev.clean.jsonl").unlink()
    run(capsys, data, "--fix", "all")
    assert [u.id for u in manifest.read(data / "train.clean.jsonl")] == ["0", "1", "3", "4", "5"]


def test_a_cleaned_manifest_is_never_overwritten(capsys, data: Path) -> None:
    (data / "dev.clean.jsonl").write_text("mine\n")
    assert main(["check", str(data), "--fix"]) == 1
    assert "dev.clean.jsonl: is there already" in capsys.readouterr().err
    assert (data / "dev.clean.jsonl").read_text() == "mine\n"
    assert not (data / "train.clean.jsonl").exists()


def test_nothing_is_written_where_nothing_would_be_left(capsys, data: Path) -> None:
    manifest.write(data / "dev.jsonl", [replace(u, text="") for u in manifest.read(data / "dev.jsonl")])
    assert main(["check", str(data), "--fix", "--jobs", "1"]) == 1
    assert "dev.jsonl: no utterance would be left" in capsys.readouterr().err
    assert not list(data.glob("*.clean.jsonl"))


def test_a_part_of_a_manifest_is_checked_once(capsys, data: Path) -> None:
    """As data_prep librispeech writes them; a dev set within train stays a fault."""
    train = manifest.read(data / "train.jsonl")
    manifest.write(data / "train-clean-100.jsonl", train[:4])
    manifest.write(data / "dev-clean.jsonl", manifest.read(data / "dev.jsonl"))
    status, out = run(capsys, data)
    assert status == 0
    assert re.search(r"train-clean-100 +checked as part of train\n", out)
    assert re.search(r"dev-clean +checked as part of dev\n", out)
    assert "identical audio" not in out
    assert "id in two splits" not in out
    manifest.write(data / "dev.jsonl", train[:2])
    assert "id in two splits" in run(capsys, data)[1]


def test_with_a_recipe_words_alone_are_joined_as_in_training(capsys, data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE.replace("max_seconds=1.7", "concat_prob=0.5"))
    for i in range(6):
        change(data, "train", i, text="nine")
    tokens = [
        run(capsys, data, "--recipe", tmp_path / "recipe.py", *more)[1].partition("tokens")[2].split()[0]
        for more in ([], ["--set", "data.concat_prob=0"])
    ]
    assert tokens == ["7,", "6,"]  # n, i, e, and the space


def test_with_a_recipe_it_tells_of_what_ctc_does_not_learn(capsys, data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    change(data, "train", 0, text="go on yo" * 4)
    out = run(capsys, data, "--recipe", tmp_path / "recipe.py")[1]
    assert re.search(r"without CTC +1 utterances: too few frames; set model.encoder.factor=2", out)
    assert "dropped by the recipe" not in out


def test_with_a_recipe_it_tells_what_that_drops(capsys, data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    change(data, "train", 0, text="y" * 60)
    manifest.write(
        data / "train.jsonl", [*manifest.read(data / "train.jsonl"), Utterance("9", "9.wav", "go on", 1.9)]
    )
    status, out = run(capsys, data, "--recipe", tmp_path / "recipe.py")
    assert status == 1
    assert "dropped by the recipe (2)" in out
    assert "train:9: too long: 1.9 s, above 1.7 s" in out
    assert "train:0: too short for CTC: " in out
    assert "left to train on   5 utterances, 0.00 h" in out
    assert "padding" in out
    assert "GB (estimate)" in out
    scaled = run(capsys, data, "--recipe", tmp_path / "recipe.py", "--set", "train.scale_to_data=true")[1]
    assert "1 of at most 8 utterances, " in scaled
    assert "epochs             45" in scaled


def test_a_recipe_whose_tokenizer_does_not_suit(capsys, data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    settings = ["--set", "data.tokens.kind=bpe", "--set", "data.tokens.size=5000"]
    status, out = run(capsys, data, "--recipe", tmp_path / "recipe.py", *settings)
    assert status == 1
    assert "5000 tokens do not suit" in out


def test_a_rate_below_the_models(capsys, data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    _, out = run(capsys, data, "--recipe", tmp_path / "recipe.py", "--set", "model.frontend.rate=16000")
    assert "12 of 12 audio files have 8000 Hz, the model 16000 Hz; the first: train:0" in out


def test_with_a_model_it_tells_wrong_texts(capsys, data: Path, tmp_path: Path, monkeypatch) -> None:
    """Of an untrained model anything is; here half of the texts are called doubtful."""
    monkeypatch.setattr("asrattn.corpus_check.label_errors.LOSS_DEVIATIONS", 0.0)
    _, out = run(capsys, data, "--model", tiny.model_file(tmp_path), "--device", "cpu")
    losses = [float(each) for each in re.findall(r"train:\d+: ([\d.]+) nats a token: 'go on", out)]
    assert losses == sorted(losses, reverse=True)
    assert losses


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda folder: None, "holds no manifest"),
        (lambda folder: (folder / "train.jsonl").write_text("\n"), "holds no utterance"),
        (lambda folder: (folder / "shard-00000.jsonl").write_text("{}\n"), "holds shards"),
    ],
)
def test_where_there_is_nothing_to_check(capsys, tmp_path: Path, prepare, told: str) -> None:
    prepare(tmp_path)
    assert main(["check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert (out, told in err, err.count("\n")) == ("", True, 1)


def test_two_of_one_name(capsys, data: Path, tmp_path: Path) -> None:
    assert main(["check", str(data), str(data / "dev.jsonl")]) == 1
    assert "has the same name" in capsys.readouterr().err
