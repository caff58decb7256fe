"""References to score against: manifests, or texts alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ManifestError
from asrattn.metrics import references


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_id_and_text_suffice_for_score_and_compare(tmp_path: Path, capsys) -> None:
    ref = lines(tmp_path / "ref.jsonl", {"id": "a", "text": "one two"}, {"id": "b", "text": "three"})
    hyp = lines(tmp_path / "hyp.jsonl", {"id": "a", "text": "one too"}, {"id": "b", "text": "three"})
    assert main(["score", str(ref), str(hyp)]) == 0
    assert "WER 33.3 %" in capsys.readouterr().out
    assert main(["compare", str(ref), str(hyp), f"B={hyp}"]) == 0


def test_speakers_and_tags_count_and_other_fields_do_not(tmp_path: Path) -> None:
    row = {"id": "a", "text": "x", "speaker": "ann", "tags": {"snr": 3}, "duration": 2.0}
    (found,) = references.read(lines(tmp_path / "ref.jsonl", row))
    assert (found.speaker, found.tags, found.seconds) == ("ann", {"snr": 3}, 0.0)


def test_a_manifest_is_read_as_one(tmp_path: Path) -> None:
    manifest.write(tmp_path / "ref.jsonl", [Utterance("a", "a.wav", "x", 1.0)])
    assert references.read(tmp_path / "ref.jsonl") == manifest.read(tmp_path / "ref.jsonl")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no utterance"),
        ([{"id": "a"}], r"ref.jsonl:1: lacks the field 'text'"),
        ([{"id": "a", "text": 3}], r"ref.jsonl:1: text is 3, of the wrong type"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], r"ref.jsonl:2: id 'a' occurs twice"),
        ([{"id": "a", "text": "x"}, {"text": "y"}], r"ref.jsonl:2: lacks the field 'id'"),
        ([{"audio_filepath": "a.wav", "text": "x"}], r"convert it with python -m data_prep manifest"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        references.read(lines(tmp_path / "ref.jsonl", *rows))


def test_check_names_the_way_to_convert(tmp_path: Path, capsys) -> None:
    path = lines(tmp_path / "train.jsonl", {"audio_filepath": "a.wav", "duration": 1.0, "text": "x"})
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().err
    assert "convert it with python -m data_prep manifest" in told
    assert "prepare it again" not in told
