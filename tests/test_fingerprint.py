"""Fingerprints: what changes them and what does not."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from asrattn import fingerprint, manifest
from asrattn.fingerprint import of_set
from asrattn.lines import Lines
from asrattn.manifest import Utterance


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    sounds = [tiny.sound(tmp_path / f"{i}.wav", 0.5 + 0.1 * i, seed=i) for i in range(4)]
    return [Utterance(f"u{i}", str(p), f"text {i}", 0.5 + 0.1 * i, "ann", 0.0) for i, p in enumerate(sounds)]


def test_it_tells_size_and_length(utterances: list[Utterance]) -> None:
    found = of_set(utterances)
    assert (found["utterances"], found["hours"]) == (4, round(2.6 / 3600, 3))
    assert found == of_set(list(utterances))


@pytest.mark.parametrize("change", [{"id": "v"}, {"text": "x"}, {"seconds": 0.25}, {"start": 0.1}])
def test_what_is_covered_changes_it(utterances: list[Utterance], change) -> None:
    changed = [*utterances[:3], replace(utterances[3], **change)]
    assert of_set(changed)["fingerprint"] != of_set(utterances)["fingerprint"]


def test_order_and_number_change_it(utterances: list[Utterance]) -> None:
    known = of_set(utterances)["fingerprint"]
    assert of_set(utterances[::-1])["fingerprint"] != known
    assert of_set(utterances[:3])["fingerprint"] != known


def test_the_sound_changes_it_and_its_place_does_not(utterances: list[Utterance], tmp_path: Path) -> None:
    known = of_set(utterances)["fingerprint"]
    (tmp_path / "moved").mkdir()
    moved = [replace(u, audio=str(tmp_path / "moved" / Path(u.audio).name)) for u in utterances]
    for before, after in zip(utterances, moved, strict=True):
        Path(before.audio).rename(after.audio)
    assert of_set(moved)["fingerprint"] == known
    assert of_set(utterances)["fingerprint"] != known  # they are gone from there
    data = bytearray(Path(moved[1].audio).read_bytes())
    data[-1] ^= 1
    Path(moved[1].audio).write_bytes(data)
    assert of_set(moved)["fingerprint"] != known


def test_a_manifest_read_lazily_is_the_same_set(utterances: list[Utterance], tmp_path: Path) -> None:
    manifest.write(tmp_path / "test.jsonl", utterances)
    read = manifest.read(tmp_path / "test.jsonl")
    assert of_set(Lines(tmp_path / "test.jsonl")) == of_set(read) == of_set(utterances)


def test_a_bad_line_counts_as_one(utterances: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    manifest.write(path, utterances)
    good = of_set(Lines(path))
    path.write_text(path.read_text().replace('"text": "text 2"', '"text": 2'))
    assert of_set(Lines(path))["utterances"] == 4
    assert of_set(Lines(path)) != good


def test_of_many_a_sample_is_looked_at(utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "SAMPLE", 2)  # the first and the last
    known = of_set(utterances)
    assert of_set([utterances[0], replace(utterances[1], text="x"), *utterances[2:]]) == known
    assert of_set([*utterances[:3], replace(utterances[3], text="x")]) != known
    assert of_set([utterances[0], replace(utterances[1], seconds=0.1), *utterances[2:]]) != known


def test_of_shards_the_archives_count(utterances: list[Utterance], tmp_path: Path) -> None:
    archive = tmp_path / "shard-00000.tar"
    archive.write_bytes(b"abc")
    inside = [replace(u, audio=f"{archive}/{u.id}.flac") for u in utterances]
    known = of_set(inside)
    archive.write_bytes(b"abd")
    assert of_set(inside) != known


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert fingerprint.of_file(tmp_path / "a") == "e3b0c44298fc1c14"  # of nothing, FIPS 180-4
