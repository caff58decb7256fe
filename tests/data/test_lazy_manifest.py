"""A manifest read lazily says what one read at once says, and takes no more memory for more lines."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_manifest import GOOD, UTTERANCES

from asrattn.data import lazy_manifest, manifest
from asrattn.data.lazy_manifest import LazyManifest
from asrattn.errors import ManifestError


def error_message(act: Callable[..., object], *values: object) -> str:
    with pytest.raises(ManifestError) as caught:
        act(*values)
    return str(caught.value)


LAYOUT = st.tuples(st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n", "\n \n\n"]))


@pytest.fixture(params=["in memory", "on disk"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small manifests have their index in memory, large ones on disk; here a line is large."""
    if request.param == "on disk":
        monkeypatch.setattr(lazy_manifest, "MIN_INDEXED_BYTES", 0)
        monkeypatch.setattr(lazy_manifest, "_BLOCK", 100)
    return str(request.param)


def test_lazily_or_at_once_is_the_same(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus")

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(UTTERANCES, LAYOUT), min_size=1, max_size=3, unique_by=lambda u: u[0].id))
    def check(listed: list[tuple[manifest.Utterance, tuple[bool, bool, str]]]) -> None:
        path = folder / "a.jsonl"
        parts = []
        for utterance, (ordered, ascii_only, end) in listed:
            plain = {k: v for k, v in vars(utterance).items() if v is not None}
            plain = plain if ordered else dict(reversed(plain.items()))
            parts.append(json.dumps(plain, ensure_ascii=ascii_only) + end)
        path.write_bytes("".join(parts).encode(errors="backslashreplace"))
        at_once, lazily = manifest.read(path), LazyManifest(path)
        assert list(lazily) == at_once
        assert lazily[-1] == at_once[-1]
        assert lazily[1:] == at_once[1:]
        assert lazily.seconds.tolist() == np.float32([u.seconds for u in at_once]).tolist()

    check()


def test_a_byte_order_mark_and_a_missing_last_end_of_line_are_no_fault(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\ufeff" + json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "id": "b"}), encoding="utf-8")
    assert list(LazyManifest(path)) == manifest.read(path)


def test_a_text_cannot_pass_for_a_field(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    trap = {"id": "a", "audio": "a.wav", "text": '", "seconds": 9, {"id": "z", "seconds": 8}', "seconds": 1.5}
    path.write_text(json.dumps(trap) + "\n")
    assert LazyManifest(path).seconds.tolist() == [1.5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "is no JSON (Expecting value); one utterance a line"),
        ("[1]", "is no JSON object; one utterance a line"),
        (json.dumps({"id": "b", "audio": "a.wav", "text": ""}), "lacks the field 'seconds'"),
        (json.dumps({**GOOD, "id": 7}), "id is 7, of the wrong type"),
        (json.dumps({**GOOD, "seconds": "1"}), "seconds is '1', of the wrong type"),
        (json.dumps({**GOOD, "seconds": -1}), "seconds is -1; give a time in seconds, zero or more"),
        (json.dumps(GOOD), "id 'a' is on line 1 too; ids must differ"),
        (json.dumps({**GOOD, "seconds": 1e-5}), "id 'a' is on line 1 too; ids must differ"),
    ],
)
def test_what_is_told_on_opening(kind: str, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + line + "\n")
    assert [error_message(act, path) for act in (LazyManifest, manifest.read)] == [f"{path}:3: {message}"] * 2
    assert list(tmp_path.iterdir()) == [path]  # no index of it, and no part of one


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({**GOOD, "id": "b"})[:-1].encode() + b", }",
        b'{"id": "b", "audio": 7, "text": "", "seconds": 1}',
        b'{"id": "b", "audio": "a", "text": "", "seconds": 1, "length": 1}',
        b'{"id": "b", "audio": "caf\xe9", "text": "", "seconds": 1}',
    ],
)
def test_what_is_told_when_a_line_is_used(kind: str, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\r\n".join([json.dumps(GOOD).encode(), b"", line]))
    opened = LazyManifest(path)
    assert opened[0].id == "a"
    lazily, at_once = error_message(lambda: opened[1]), error_message(manifest.read, path)
    assert lazily.removeprefix(f"{path}:3: ") == at_once.removeprefix(f"{path}:3: ").removeprefix(f"{path}: ")
    assert lazily.startswith(f"{path}:3: ")


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for name in ("absent.jsonl", ".", "empty.jsonl", "empty.jsonl/below.jsonl"):
        assert error_message(LazyManifest, tmp_path / name) == error_message(manifest.read, tmp_path / name)


def test_the_index_is_kept_until_the_manifest_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_manifest, "MIN_INDEXED_BYTES", 0)
    path, index = tmp_path / "a.jsonl", tmp_path / "a.jsonl.index"
    path.write_text(json.dumps(GOOD) + "\n")
    LazyManifest(path)
    with monkeypatch.context() as patch:
        patch.setattr(lazy_manifest, "_scan", lambda *_: pytest.fail("scanned again"))
        assert LazyManifest(path)[0].id == "a"
    for damage in (b"", b"asrattn1", index.read_bytes()[:-1]):
        index.write_bytes(damage)
        assert LazyManifest(path)[0].id == "a"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "id": "b"}) + "\n")
    assert [u.id for u in LazyManifest(path)] == ["a", "b"]
    copy: LazyManifest = pickle.loads(pickle.dumps(LazyManifest(path)))
    assert list(copy) == list(LazyManifest(path))


def test_a_folder_that_cannot_be_written_needs_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_manifest, "MIN_INDEXED_BYTES", 0)
    monkeypatch.setattr(os, "access", lambda *_: False)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD) + "\n")
    assert LazyManifest(path)[0].id == "a"
    assert list(tmp_path.iterdir()) == [path]


GROWTH = """
import sys
from pathlib import Path
from benchmarks import large_manifest
from asrattn.data import lazy_manifest
lazy_manifest.MIN_INDEXED_BYTES = 0
path = Path(sys.argv[1])
before = large_manifest.anonymous_rss_mb()
opened = lazy_manifest.LazyManifest(path)
again = lazy_manifest.LazyManifest(path)
assert len(opened) == len(again) == int(sys.argv[2])
float(again.seconds.sum(dtype=float)), again[len(again) - 1]
print(large_manifest.anonymous_rss_mb() - before)
"""


def memory_growth_mb(folder: Path, count: int, written: Callable[[Path, int], Path]) -> float:
    """Megabytes that opening a manifest of so many lines takes, in a process of its own."""
    path = written(folder / f"{count}.jsonl", count)
    words = [sys.executable, "-c", GROWTH, str(path), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    path.unlink()
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize(
    ("few", "many"), [(10_000, 100_000), pytest.param(1_000_000, 10_000_000, marks=pytest.mark.slow)]
)
def test_memory_does_not_follow_the_number_of_lines(tmp_path: Path, few: int, many: int) -> None:
    """As Python objects, a line takes more than half a kilobyte: 45 MB more, or 4.5 GB."""
    from benchmarks.large_manifest import write_manifest

    small, large = (
        memory_growth_mb(tmp_path, few, write_manifest),
        memory_growth_mb(tmp_path, many, write_manifest),
    )
    assert large - small < 20
