"""`asrattn pseudo-label`: a manifest with the model's transcripts, what is left out of it, and its provenance."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny

from asrattn import audio
from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two files and a part of one, a silent one, one that is no audio, and one that is absent; without texts."""
    folder = tmp_path / "corpus"
    one = tiny.sound(folder / "wav" / "a.wav", 1.2, seed=1)
    two = tiny.sound(folder / "wav" / "b.wav", 2.0, seed=2)
    audio.write(folder / "wav" / "silent.wav", np.zeros(8000, np.float32), tiny.RATE)
    (folder / "wav" / "text.wav").write_text("no sound")
    utterances = [
        Utterance("one", str(one), "", 1.2, speaker="ann"),
        Utterance("two", str(two), "", 0.8, start=0.5),
        Utterance("silent", str(folder / "wav" / "silent.wav"), "", 1.0),
        Utterance("text", str(folder / "wav" / "text.wav"), "", 1.0),
        Utterance("absent", str(folder / "wav" / "absent.wav"), "", 1.0),
        Utterance("three", str(two), "", 2.0),
    ]
    manifest.write(folder / "all.jsonl", utterances)
    return folder / "all.jsonl"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = main(["pseudo-label", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def dropped(out: Path) -> dict[str, str]:
    lines = out.with_suffix(".dropped.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "id\treason\tdetail"
    return {line.split("\t")[0]: line.split("\t")[1] for line in lines[1:]}


def test_the_texts_are_those_of_the_model(capsys, model: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "labels.jsonl"
    status, (line,), err = run(capsys, model, corpus, "--out", out, "--min-confidence", 0)
    labelled = {u.id: u for u in manifest.read(out)}
    assert status == 1  # two files failed
    assert list(labelled) == ["one", "two", "three"]
    assert line == f"{out}: 3 of 6 utterances, 0.00 h; dropped: 2 failed, 1 silence"
    assert [each.split(":")[1].strip() for each in err] == ["text", "absent"]
    assert dropped(out) == {"silent": "silence", "text": "failed", "absent": "failed"}
    originals = {u.id: u for u in manifest.read(corpus)}
    for name, found in labelled.items():
        assert Path(found.audio).samefile(originals[name].audio)
        assert (found.start, found.seconds) == (originals[name].start, originals[name].seconds)
        assert 0 <= float(found.tags["confidence"]) <= 1
    assert labelled["one"].speaker == "ann"
    main(["transcribe", str(model), labelled["one"].audio])
    assert capsys.readouterr().out.strip() == labelled["one"].text


def test_a_manifest_beside_the_audio_can_be_moved_with_it(
    capsys, model: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus.parent)
    run(capsys, model, "all.jsonl", "--out", "labels.jsonl", "--min-confidence", 0)
    lines = [json.loads(line) for line in Path("labels.jsonl").read_text("utf-8").splitlines()]
    assert [line["audio"] for line in lines] == ["wav/a.wav", "wav/b.wav", "wav/b.wav"]


def test_the_provenance_names_the_model_and_what_was_dropped(
    capsys, model: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.jsonl"
    run(capsys, model, corpus, "--out", out, "--min-confidence", 0, "--beam", 2)
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert (card["min_confidence"], card["kept"], card["dropped"]) == (0, 3, {"failed": 2, "silence": 1})
    assert card["model"]["file"] == str(model)
    assert card["model_card"]["name"] == "tiny"
    assert card["search"]["beam_size"] == 2
    assert card["command"][:2] == ["asrattn", "pseudo-label"]
    assert card["data"]["all"]["utterances"] == 6


def test_low_confidence_is_left_out_and_nothing_left_is_an_error(
    capsys, model: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.jsonl"
    run(capsys, model, corpus, "--out", out, "--min-confidence", 0)
    values = {u.id: float(u.tags["confidence"]) for u in manifest.read(out)}
    least = (min(values.values()) + max(values.values())) / 2
    assert min(values.values()) < least
    run(capsys, model, corpus, "--out", out, "--min-confidence", least)
    assert {u.id for u in manifest.read(out)} == {name for name, value in values.items() if value >= least}
    other = tmp_path / "none.jsonl"
    status, printed, err = run(capsys, model, corpus, "--out", other, "--min-confidence", 1)
    assert (status, printed, other.exists()) == (1, [], False)
    assert "no transcript is usable (3 confidence, 2 failed, 1 silence)" in err[-1]
    assert len(dropped(other)) == 6


def test_the_manifest_that_is_read_is_not_overwritten(capsys, model: Path, corpus: Path) -> None:
    before = corpus.read_bytes()
    status, _, err = run(capsys, model, corpus, "--out", corpus)
    assert (status, err) == (1, [f"asrattn: --out {corpus}: is the manifest that is read; name another file"])
    assert corpus.read_bytes() == before


def test_status_0_if_every_file_was_read(capsys, model: Path, tmp_path: Path) -> None:
    sound = tiny.sound(tmp_path / "a.wav", 1.0, seed=1)
    manifest.write(tmp_path / "all.jsonl", [Utterance("a", str(sound), "", 1.0)])
    status, (line,), err = run(
        capsys, model, tmp_path / "all.jsonl", "--out", tmp_path / "b.jsonl", "--min-confidence", 0
    )
    assert (status, err) == (0, [])
    assert line.endswith("1 of 1 utterances, 0.00 h")
