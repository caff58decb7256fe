"""Shards: read once from front to back, bounded, and a damaged member costs itself alone."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.data import manifest, shards
from asrattn.data.manifest import Utterance
from asrattn.data.shards import ShardReader, Shards
from asrattn.errors import AudioError, ManifestError


def shard(folder: Path, number: int, sounds: dict[str, bytes], listed: list[str] | None = None) -> Path:
    """An archive of "sounds", and the manifest of those listed (all of them unless told otherwise)."""
    archive = folder / f"shard-{number:05}.tar"
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        for name, data in sounds.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    names = list(sounds) if listed is None else listed
    utterances = [
        Utterance(f"{number}-{name}", f"{archive}/{name}", "x", 1.0 + i) for i, name in enumerate(names)
    ]
    manifest.write(archive.with_suffix(".jsonl"), utterances)
    return archive


def folder_of(folder: Path, sizes: list[int]) -> Shards:
    for number, size in enumerate(sizes):
        shard(folder, number, {f"{i}.flac": f"{number}/{i}".encode() for i in range(size)})
    return Shards.open(folder)


def want_all(opened: Shards) -> np.ndarray:
    return np.ones(len(opened.seconds), bool)


def test_every_utterance_has_a_number(tmp_path: Path) -> None:
    opened = folder_of(tmp_path, [2, 1, 3])
    assert opened.starts.tolist() == [0, 2, 3, 6]
    assert opened.seconds.tolist() == [1, 2, 1, 1, 2, 3]
    assert [opened.locate(n) for n in range(6)] == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
    assert [opened[n].id for n in (1, 2, 5)] == ["0-1.flac", "1-0.flac", "2-2.flac"]


@given(data=st.data())
def test_in_any_order_each_sound_goes_to_its_utterance(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    opened = folder_of(tmp_path_factory.mktemp("shards"), sizes)
    order = data.draw(st.permutations(range(sum(sizes))))
    asked = order[: data.draw(st.integers(1, len(order)))]
    wanted = np.zeros(len(order), bool)
    wanted[asked] = True
    reader = ShardReader(opened, wanted)
    for number in asked:
        utterance, sound = reader.read(number)
        assert utterance == opened[number]
        assert sound.decode() == "{}/{}".format(*opened.locate(number))
    assert reader.buffer == {}


def test_what_is_not_wanted_is_not_kept(tmp_path: Path) -> None:
    opened = folder_of(tmp_path, [100])
    wanted = np.zeros(100, bool)
    wanted[[10, 60, 99]] = True
    reader = ShardReader(opened, wanted)
    reader.read(60)
    assert list(reader.buffer) == [10]
    with pytest.raises(LookupError):
        reader.read(60)


def test_a_member_that_is_missing_or_damaged_costs_itself_alone(tmp_path: Path) -> None:
    archive = shard(
        tmp_path, 0, {f"{i}.flac": bytes([i]) * 600 for i in range(5)}, [f"{i}.flac" for i in range(6)]
    )
    whole = archive.read_bytes()
    header = 3 * 512  # of the second member; a member is a block of header and two of content
    archive.write_bytes(whole[:header] + b"\xff" * 512 + whole[header + 512 :])
    opened = Shards.open(tmp_path)
    reader = ShardReader(opened, want_all(opened))
    told = {}
    for number in range(6):
        try:
            assert reader.read(number)[1] == bytes([number]) * 600
        except AudioError as error:
            told[number] = str(error)
    assert told == {
        n: f"0-{n}.flac: is not in {archive}, or damaged there; make the shard again" for n in (1, 5)
    }


def test_an_archive_that_is_cut_short_or_missing_gives_what_it_has(tmp_path: Path) -> None:
    archive = shard(tmp_path, 0, {f"{i}.flac": bytes([i]) * 600 for i in range(4)})
    archive.write_bytes(archive.read_bytes()[: 3 * 1536 + 700])
    opened = Shards.open(tmp_path)
    reader = ShardReader(opened, want_all(opened))
    assert [reader.read(n)[1][0] for n in range(3)] == [0, 1, 2]
    with pytest.raises(
        AudioError, match=r"0-3\.flac: cannot be read from .*tar \(.*\); make the shard again"
    ):
        reader.read(3)
    archive.unlink()
    reader = ShardReader(opened, want_all(opened))
    for number in range(4):
        with pytest.raises(AudioError, match=r"cannot be read from .*No such file"):
            reader.read(number)


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    archive = shard(tmp_path, 0, {"a.flac": b"a"}, ["a.flac", "link.flac", "device.flac"])
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(archive, "a") as tar:
        for name, kind in (("link.flac", tarfile.SYMTYPE), ("device.flac", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "secret")
            tar.addfile(member)
    opened = Shards.open(tmp_path)
    reader = ShardReader(opened, want_all(opened))
    assert reader.read(0)[1] == b"a"
    for number in (1, 2):
        with pytest.raises(AudioError, match="is not in"):
            reader.read(number)


@pytest.mark.parametrize("size", [20 * 2**30, 10**23, -5])
@pytest.mark.parametrize("pax", [False, True])
def test_a_size_that_lies_costs_its_file_alone(tmp_path: Path, size: int, pax: bool) -> None:
    """In the header, or in an extended one (pax), where it may have any number of digits."""
    archive = shard(tmp_path, 0, {name: name[:1].encode() * 700 for name in ("a.flac", "b.flac", "c.flac")})
    with archive.open("wb") as out:
        for name in ("a.flac", "b.flac", "c.flac"):
            member = tarfile.TarInfo(name)
            member.size, lies = 700, name == "b.flac"
            if lies and pax:
                out.write(member._create_pax_generic_header({"size": str(size)}, tarfile.XHDTYPE, "utf-8"))  # type: ignore[attr-defined]
            elif lies:
                member.size = size
            out.write(member.tobuf(tarfile.GNU_FORMAT))
            out.write(name[:1].encode() * 700 + bytes(324))
        out.write(bytes(1024))
    opened = Shards.open(tmp_path)
    reader = ShardReader(opened, want_all(opened))
    assert reader.read(0)[1] == b"a" * 700
    assert reader.read(2)[1] == b"c" * 700
    with pytest.raises(AudioError, match=r"b\.flac: cannot be read from"):
        reader.read(1)


def test_a_bad_line_costs_itself_alone(tmp_path: Path) -> None:
    path = shard(tmp_path, 0, {"a.flac": b"a", "b.flac": b"b"}).with_suffix(".jsonl")
    good, bad = path.read_text().splitlines()
    path.write_text(
        good + "\n" + bad[:-1] + ', "more": 1}\n' + good.replace("0-a", "c").replace("shard-00000.tar/", "")
    )
    opened = Shards.open(tmp_path)
    reader = ShardReader(opened, want_all(opened))
    assert reader.read(0)[1] == b"a"
    with pytest.raises(AudioError, match=r"shard-00000\.jsonl:2: 'more' is no field"):
        reader.read(1)
    with pytest.raises(AudioError, match=r"c\.flac: audio names no file in an archive"):
        reader.read(2)


def test_too_few_shards_are_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no shard; make some with"):
        Shards.open(tmp_path)
    folder_of(tmp_path, [1, 1])
    (tmp_path / shards.INFO_FILENAME).write_text(json.dumps({"shards": 3}))
    with pytest.raises(ManifestError, match="holds 2 of 3 shards; make the others with"):
        Shards.open(tmp_path)
    for damaged in ("[]", "[" * 100_000, '{"shards": "' + "9" * 5000 + '"}', "{", '{"shards": NaN}'):
        (tmp_path / shards.INFO_FILENAME).write_text(damaged)
        with pytest.raises(ManifestError, match=r"shards\.json: is damaged"):
            Shards.open(tmp_path)
