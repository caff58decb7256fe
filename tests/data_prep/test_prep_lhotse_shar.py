"""Lhotse Shar: its archives are read where they lie. The layout is that of lhotse 1.33 (CutSet.to_shar)."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from asrattn import audio
from asrattn.data.shards import ShardReader, Shards
from data_prep.__main__ import main

RATE = 8000


def cut(name: str, text: str | None = "hi there", **more: object) -> dict[str, object]:
    said = {
        "id": f"{name}-s",
        "recording_id": name,
        "start": 0.0,
        "duration": 0.5,
        "channel": 0,
        "speaker": "ann",
    }
    supervisions = [] if text is None else [said | {"text": text}]
    return {
        "id": name,
        "start": 0,
        "duration": 0.5,
        "channel": 0,
        "supervisions": supervisions,
        "type": "MonoCut",
    } | more


def write(folder: Path, number: int, cuts: list[dict[str, object]], silent: tuple[str, ...] = ()) -> None:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"cuts.{number:06}.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(each) + "\n" for each in cuts)
    with tarfile.open(folder / f"recording.{number:06}.tar", "w") as tar:
        for i, each in enumerate(cuts):
            name = str(each["id"])
            wave = np.full(RATE // 2, (i + 1) / 100, np.float32)
            sound = bytes(audio.encode(Path("a.flac"), wave, RATE))
            for suffix, data in (("flac", sound), ("json", b"{}")):
                if name not in silent:
                    member = tarfile.TarInfo(f"{name}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def test_a_shar_is_read_where_it_lies(tmp_path: Path, capsys) -> None:
    write(tmp_path / "shar", 0, [cut("a"), cut("b.c", "two\nlines")])
    write(
        tmp_path / "shar", 1, [cut("d/e"), cut("f", None), cut("g", type="MultiCut"), cut("h")], silent=("h",)
    )
    assert main(["shar", str(tmp_path / "shar"), str(tmp_path / "train")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 shards written, 3 utterances ")
    for reason in ("f: has no text", "g: is a MultiCut", "h: has no audio in recording.000001.tar"):
        assert reason in out
    opened = Shards.open(tmp_path / "train")
    reader = ShardReader(opened, np.ones(3, bool))
    for number, (id_, level) in enumerate([("a", 0.01), ("b.c", 0.02), ("d/e", 0.01)]):
        utterance, data = reader.read(number)
        assert (utterance.id, utterance.seconds, utterance.speaker) == (id_, 0.5, "ann")
        wave = audio.read(Path(utterance.audio), RATE, data=data)
        np.testing.assert_allclose(wave, np.full(RATE // 2, level), atol=1e-4)
    assert len(list((tmp_path / "train").glob("*.tar"))) == 0


@pytest.mark.parametrize("fault", ["no cuts", "no archive", "damaged cuts", "no cut is good"])
def test_what_is_no_shar_is_told(tmp_path: Path, capsys, fault: str) -> None:
    shar = tmp_path / "shar"
    write(shar, 0, [cut("a", None if fault == "no cut is good" else "x")])
    if fault == "no cuts":
        (shar / "cuts.000000.jsonl.gz").unlink()
    elif fault == "no archive":
        (shar / "recording.000000.tar").unlink()
    elif fault == "damaged cuts":
        path = shar / "cuts.000000.jsonl.gz"
        path.write_bytes(path.read_bytes()[:-9])
    assert main(["shar", str(shar), str(tmp_path / "train")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert not list((tmp_path / "train").glob("*.jsonl"))


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [["a"]],
        5,
        {"id": "a", "supervisions": [[1]]},
        {"id": "a", "supervisions": {"text": "x"}},
        {"id": "a", "supervisions": [{"text": 5}], "duration": 1},
        {"id": ["a"], "supervisions": [{"text": "x"}], "duration": 1},
        {"id": "a", "supervisions": [{"text": "x"}], "duration": {"s": 1}},
        {"id": "a", "supervisions": [{"text": "x"}], "duration": 10**400},
    ],
)
def test_a_line_that_is_no_cut_costs_itself_alone(tmp_path: Path, capsys, odd: object) -> None:
    write(tmp_path / "shar", 0, [cut("a"), cut("b")])
    lines = [cut("b"), odd]
    with gzip.open(tmp_path / "shar" / "cuts.000000.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(each).replace("0" * 400, "0" * 300) + "\n" for each in lines)
    assert main(["shar", str(tmp_path / "shar"), str(tmp_path / "train")]) == 0
    assert "1 utterances" in capsys.readouterr().out
