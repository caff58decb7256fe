"""Fingerprints: what changes them and what does not."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from asrattn.data import fingerprint, manifest
from asrattn.data.fingerprint import fingerprint_dataset
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.data.manifest import Utterance


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    sounds = [tiny.sound(tmp_path / f"{i}.wav", 0.5 + 0.1 * i, seed=i) for i in range(4)]
    return [Utterance(f"u{i}", str(p), f"text {i}", 0.5 + 0.1 * i, "ann", 0.0) for i, p in enumerate(sounds)]


def test_it_tells_size_and_length(utterances: list[Utterance]) -> None:
    found = fingerprint_dataset(utterances)
    assert (found["utterances"], found["hours"]) == (4, round(2.6 / 3600, 3))
    assert found == fingerprint_dataset(list(utterances))


@pytest.mark.parametrize("change", [{"id": "v"}, {"text": "x"}, {"seconds": 0.25}, {"start": 0.1}])
def test_what_is_covered_changes_it(utterances: list[Utterance], change) -> None:
    changed = [*utterances[:3], replace(utterances[3], **change)]
    assert fingerprint_dataset(changed)["fingerprint"] != fingerprint_dataset(utterances)["fingerprint"]


def test_order_and_number_change_it(utterances: list[Utterance]) -> None:
    known = fingerprint_dataset(utterances)["fingerprint"]
    assert fingerprint_dataset(utterances[::-1])["fingerprint"] != known
    assert fingerprint_dataset(utterances[:3])["fingerprint"] != known


def test_the_sound_changes_it_and_its_place_does_not(utterances: list[Utterance], tmp_path: Path) -> None:
    known = fingerprint_dataset(utterances)["fingerprint"]
    (tmp_path / "moved").mkdir()
    moved = [replace(u, audio=str(tmp_path / "moved" / Path(u.audio).name)) for u in utterances]
    for before, after in zip(utterances, moved, strict=True):
        Path(before.audio).rename(after.audio)
    assert fingerprint_dataset(moved)["fingerprint"] == known
    assert fingerprint_dataset(utterances)["fingerprint"] != known  # they are gone from there
    data = bytearray(Path(moved[1].audio).read_bytes())
    data[-1] ^= 1
    Path(moved[1].audio).write_bytes(data)
    assert fingerprint_dataset(moved)["fingerprint"] != known


def test_a_manifest_read_lazily_is_the_same_set(utterances: list[Utterance], tmp_path: Path) -> None:
    manifest.write(tmp_path / "test.jsonl", utterances)
    read = manifest.read(tmp_path / "test.jsonl")
    assert (
        fingerprint_dataset(LazyManifest(tmp_path / "test.jsonl"))
        == fingerprint_dataset(read)
        == fingerprint_dataset(utterances)
    )


def test_a_bad_line_counts_as_one(utterances: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    manifest.write(path, utterances)
    good = fingerprint_dataset(LazyManifest(path))
    path.write_text(path.read_text().replace('"text": "text 2"', '"text": 2'))
    assert fingerprint_dataset(LazyManifest(path))["utterances"] == 4
    assert fingerprint_dataset(LazyManifest(path)) != good


def test_of_many_a_sample_is_looked_at(utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MAX_SAMPLED_UTTERANCES", 2)  # the first and the last
    known = fingerprint_dataset(utterances)
    assert fingerprint_dataset([utterances[0], replace(utterances[1], text="x"), *utterances[2:]]) == known
    assert fingerprint_dataset([*utterances[:3], replace(utterances[3], text="x")]) != known
    assert fingerprint_dataset([utterances[0], replace(utterances[1], seconds=0.1), *utterances[2:]]) != known


def test_of_shards_the_archives_count(utterances: list[Utterance], tmp_path: Path) -> None:
    archive = tmp_path / "shard-00000.tar"
    archive.write_bytes(b"abc")
    inside = [replace(u, audio=f"{archive}/{u.id}.flac") for u in utterances]
    known = fingerprint_dataset(inside)
    archive.write_bytes(b"abd")
    assert fingerprint_dataset(inside) != known


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert fingerprint.hash_file(tmp_path / "a") == "e3b0c44298fc1c14"  # of nothing, FIPS 180-4
