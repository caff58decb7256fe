"""Ablation: what is varied, every run once, a table and a page of what was found."""

import csv
import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
import tones

from asrattn.cli.main import main
from asrattn.config import override
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.errors import ConfigError
from asrattn.experiments import ablation, ablation_report
from asrattn.experiments.recipe_writer import format_recipe
from asrattn.experiments.variants import Ablation, Variant, parse_variants, prepare_out_dir
from asrattn.experiments.workers import try_lock_folder

RECIPE = tones.recipe(epochs=1)
OVER = ["decoder.attention=dot,location+kernel=5"]
DOT, LOCATION = (
    Variant("dot", ("model.decoder.attention.kind=dot",)),
    Variant(
        "location+kernel=5", ("model.decoder.attention.kind=location", "model.decoder.attention.kernel=5")
    ),
)


def test_kinds_with_settings_of_their_own() -> None:
    assert parse_variants(OVER, RECIPE) == (DOT, LOCATION)
    decoder = override(RECIPE, LOCATION.settings).model.decoder
    assert isinstance(decoder, RecurrentDecoderConfig)
    assert decoder.attention.kind == "location"
    assert decoder.attention.kernel == 5


def test_a_list_in_brackets_is_one_value() -> None:
    found = parse_variants(["encoder=lstm,conformer+downsampling=[1,2,1]+layers=3"], RECIPE)
    assert [v.name for v in found] == ["lstm", "conformer+downsampling=[1,2,1]+layers=3"]
    assert override(RECIPE, found[1].settings).model.encoder.downsampling == (1, 2, 1)


def test_plain_settings_and_combinations() -> None:
    found = parse_variants(["train.ema=0,0.9", "model.encoder.dim=4,8"], RECIPE)
    assert [v.name for v in found] == ["0 4", "0 8", "0.9 4", "0.9 8"]
    assert found[1].settings == ("train.ema=0", "model.encoder.dim=8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("decoder.attention", "write it as NAME=A,B,C"),
        ("decoder.attention=dot", "at least two variants"),
        ("decoder.attention=dot,dot", "twice"),
        ("decoder.attenton=dot,location", "has no such setting"),
        ("decoder.attention=dot,nothing", "nothing"),
        ("decoder.attention=dot,location+kernels=3", "did you mean kernel"),
        ("train.ema=0.9,2", "train.ema must lie"),
    ],
)
def test_what_the_recipe_does_not_take_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_variants([text], RECIPE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    folder = tmp_path_factory.mktemp("ablation")
    corpus = tones.write_corpus(folder / "corpus")
    what = Ablation(RECIPE, (DOT, LOCATION), 2, corpus, corpus / "dev.jsonl", folder / "out", "cpu")
    prepare_out_dir(what)
    ablation.run_pending(what)
    return what


def test_every_run_leaves_its_result(done: Ablation) -> None:
    found = ablation.load_results(done)
    assert {v.name: [run.seed for run, _ in runs] for v, runs in found.items()} == {
        "dot": [0, 1],
        "location+kernel=5": [0, 1],
    }
    for runs in found.values():
        for run, result in runs:
            assert 0 <= result["looks"]["diagonality"] <= 1
            assert result["parameters"] > 1000
            assert (run.folder / "attention.png").read_bytes().startswith(b"\x89PNG")
            assert len((run.folder / "hypotheses.jsonl").read_text().splitlines()) == 7
            assert len((run.folder / "alone.jsonl").read_text().splitlines()) == 7
            assert not (run.folder / "last.ckpt").exists()
    seeds = [json.loads((run.folder / "recipe.json").read_text()) for run, _ in found[DOT]]
    assert seeds[0] == seeds[1]


def test_what_is_done_is_not_done_again_and_what_is_held_is_left_alone(
    done: Ablation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []
    monkeypatch.setattr(ablation, "_train_and_evaluate", lambda what, run: trained.append(run.folder))
    ablation.run_pending(done)
    assert trained == []
    fresh = dataclasses.replace(done, out=tmp_path)
    first, *others = (run.folder for run in ablation.runs(fresh))
    held = try_lock_folder(first)
    assert held is not None
    ablation.run_pending(fresh)
    os.close(held)
    assert trained == others


def test_the_table_and_the_page(done: Ablation) -> None:
    table = ablation_report.write_report(done)
    assert [row[0] for row in table] == ["variant", "dot", "location+kernel=5"]
    with (done.out / "variants.tsv").open() as written:
        assert list(csv.reader(written, delimiter="\t")) == table
    first, second = (dict(zip(table[0], row, strict=True)) for row in table[1:])
    assert first["runs"] == second["runs"] == "2"
    assert first["against the first"] == ""
    assert all(
        re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", row["by attention alone"]) for row in (first, second)
    )
    assert second["paired tests"] in ("no difference shown", "better", "worse")
    page = (done.out / "variants.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "location+kernel=5" in page
    rate, _, ends = first["by attention alone"].partition(" ")
    assert f'<b>{rate}</b> <span class="soft">{ends}</span>' in page  # neither breaks off amid itself


def test_another_recipe_does_not_get_into_the_same_folder(done: Ablation) -> None:
    with pytest.raises(ConfigError, match="another recipe or corpus"):
        prepare_out_dir(dataclasses.replace(done, recipe=tones.recipe(epochs=2)))


@pytest.mark.multi
def test_as_it_is_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tones.write_corpus(tmp_path / "corpus")
    (tmp_path / "tones.py").write_text(format_recipe(RECIPE, "Tones."), encoding="utf-8")
    words = ["ablate", str(tmp_path / "tones.py"), "--data", str(corpus), "--out", str(tmp_path / "out")]
    assert main([*words, "--vary", *OVER, "--threads", "1", "--accelerator", "cpu"]) == 0
    heading, *lines, page = capsys.readouterr().out.splitlines()
    assert heading.startswith("variant")
    assert [line.split()[0] for line in lines] == ["dot", "location+kernel=5"]
    assert page == str(tmp_path / "out" / "variants.html")
    assert Path(page).is_file()
