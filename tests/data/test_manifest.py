import errno
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ManifestError

TIMES = st.floats(0, 1e6)
NAMES = st.characters(exclude_characters="\0", exclude_categories=["Cs"])  # no file and no terminal takes NUL
WORDS = st.text(NAMES, min_size=1)
UTTERANCES = st.builds(
    Utterance,
    id=WORDS,
    audio=st.from_regex(r"[a-zäö1 ]+(/[a-z.]+)?\.wav", fullmatch=True),
    text=st.text(),
    seconds=TIMES,
    speaker=st.text(NAMES),
    start=st.none() | TIMES,
)
GOOD = {"id": "a", "audio": "a.wav", "text": "hello", "seconds": 1.5}
HELLO = Utterance("a", "a.wav", "hello", 1.5)


def lines(path: Path, *plain: object) -> Path:
    path.write_text("".join(json.dumps(p) + "\n" for p in plain), encoding="utf-8")
    return path


@given(utterances=st.lists(UTTERANCES, min_size=1, max_size=4, unique_by=lambda u: u.id))
def test_round_trip(utterances: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("corpus") / "train.jsonl"
    manifest.write(path, utterances)
    back = manifest.read(path)
    assert [Path(u.audio).relative_to(path.parent).as_posix() for u in back] == [u.audio for u in utterances]
    manifest.write(path, back)
    assert manifest.read(path) == back
    for one, other in zip(utterances, back, strict=True):
        assert (one.id, one.text, one.seconds, one.speaker, one.start) == (
            (other.id, other.text, other.seconds, other.speaker, other.start)
        )


def test_one_utterance_a_line_and_only_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "new" / "test.jsonl"
    manifest.write(path, [HELLO, Utterance("b", "b.wav", "grüß\u2028dich", 2.0, "s1", 0.0)])
    first, second = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert json.loads(first) == GOOD
    assert "grüß" in second
    assert json.loads(second)["start"] == 0.0


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    old, new, elsewhere = tmp_path / "old", tmp_path / "new", tmp_path / "elsewhere" / "b.wav"
    audio = [str(old / "wav" / "a.wav"), str(elsewhere)]
    manifest.write(old / "train.jsonl", [Utterance(a, a, "", 1.0) for a in audio])
    assert [u.audio for u in manifest.read(old / "train.jsonl")] == audio
    shutil.move(old, new)
    assert [u.audio for u in manifest.read(new / "train.jsonl")] == [
        str(new / "wav" / "a.wav"),
        str(elsewhere),
    ]


def test_a_folder_behind_a_link_can_be_moved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for folder in ("real", "link"):
        audio = str(tmp_path / folder / "a.wav")
        manifest.write(tmp_path / "link" / "train.jsonl", [Utterance("a", audio, "", 1.0)])
        assert json.loads((tmp_path / "real" / "train.jsonl").read_text())["audio"] == "a.wav"


def test_audio_is_found_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(tmp_path / "a.jsonl", GOOD)
    monkeypatch.chdir(tmp_path)
    found = manifest.read(Path("a.jsonl"))
    monkeypatch.chdir("/")
    assert found[0].audio == str(tmp_path / "a.wav")


def test_a_file_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    audio = str(tmp_path / "caf\udce9.wav")  # what os.fsdecode makes of a Latin-1 é
    manifest.write(tmp_path / "a.jsonl", [Utterance("a", audio, "", 1.0)])
    assert manifest.read(tmp_path / "a.jsonl")[0].audio == audio


def test_an_id_of_a_file_name_that_is_no_utf8_can_be_read_again(tmp_path: Path) -> None:
    manifest.write(tmp_path / "a.jsonl", [Utterance("caf\udce9", "a.wav", "", 1.0, speaker="\0")])
    found = manifest.read(tmp_path / "a.jsonl")[0]
    assert (found.id, found.speaker) == (r"caf\udce9", r"\x00")


def test_blank_lines_null_and_a_byte_order_mark_are_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\ufeff" + json.dumps({**GOOD, "start": None}) + "\r\n\r\n  \n", encoding="utf-8")
    assert manifest.read(path) == [Utterance("a", str(tmp_path / "a.wav"), "hello", 1.5)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "is no JSON (Expecting value); one utterance a line"),
        (json.dumps(GOOD)[:-3], "is no JSON (Expecting ',' delimiter); one utterance a line"),
        ("1" * 5000, "is no JSON (a number of 5000 digits); one utterance a line"),
        ("[" * 100_000, "is no JSON (too large); one utterance a line"),
        ("[" * 200 + "]" * 200, "is no JSON (nested deeper than 100); one utterance a line"),
        (json.dumps(GOOD).replace("1.5", "1" * 400), "is no JSON (a number of 400 digits); one utterance a line"),
        (json.dumps(GOOD).replace("1.5", "1e400"), "is no JSON (a number that is too large)"),
        (json.dumps(GOOD).replace("1.5", "NaN"), "is no JSON (NaN is no number of JSON)"),
        (json.dumps({**GOOD, "tags": {"snr": 1}}).replace(": 1}", ": -Infinity}"), "is no JSON (-Infinity is no"),
        (json.dumps({**GOOD, "seconds": 1e9}), "seconds is 1000000000.0; give a time in seconds, zero or more"),
        (json.dumps({**GOOD, "start": 1e300}), "start is 1e+300; give a time in seconds, zero or more"),
        (json.dumps({**GOOD, "id": "a\ud800"}), "is no JSON (half of a surrogate pair in a text)"),
        (json.dumps({**GOOD, "id": "a\udce9"}), "id is 'a\\udce9', with characters that no text has; correct it"),
        (json.dumps({**GOOD, "text": "a\udce9"}), "text is 'a\\udce9', with characters that no text has"),
        (json.dumps({**GOOD, "speaker": "a\0"}), "speaker is 'a\\x00', with characters that no text has"),
        (json.dumps({**GOOD, "audio": "a\0.wav"}), "audio is 'a\\x00.wav', with characters that no text has"),
        (json.dumps({**GOOD, "tags": {"a\0": 1}}), "the name of a tag is 'a\\x00', with characters that no text has"),
        (json.dumps({**GOOD, "tags": {"a": "\udc80"}}), "the tag a is '\\udc80', with characters that no text has"),
        ("[1]", "is no JSON object; one utterance a line"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "text"}), "lacks the field 'text'"),
        (json.dumps({**GOOD, "duration": 1}), "'duration' is no field of an utterance (id, audio, text, seconds, "),
        (json.dumps({**GOOD, "id": 7}), "id is 7, of the wrong type"),
        (json.dumps({**GOOD, "text": None}), "text is None, of the wrong type"),
        (json.dumps({**GOOD, "seconds": "1"}), "seconds is '1', of the wrong type"),
        (json.dumps({**GOOD, "seconds": True}), "seconds is True, of the wrong type"),
        (json.dumps({**GOOD, "seconds": -1}), "seconds is -1; give a time in seconds, zero or more"),
        (json.dumps({**GOOD, "seconds": float("nan")}), "is no JSON (NaN is no number of JSON)"),
        (json.dumps({**GOOD, "start": float("inf")}), "is no JSON (Infinity is no number of JSON)"),
        (json.dumps({**GOOD, "start": -0.5}), "start is -0.5; give a time in seconds, zero or more"),
        (json.dumps({**GOOD, "id": ""}), "id is empty; every utterance needs one"),
        (json.dumps({**GOOD, "audio": ""}), "audio is empty; every utterance needs one"),
        (json.dumps(GOOD), "id 'a' is on line 1 too; ids must differ"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = lines(tmp_path / "a.jsonl", GOOD)
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(ManifestError) as told:
        manifest.read(path)
    assert str(told.value).startswith(f"{path}:3: {message}")
    assert "\n" not in str(told.value)


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "caf\xe9"}')
    for name, message in [
        ("absent.jsonl", "does not exist; make it with python -m data_prep"),
        (".", "is a folder; name a manifest"),
        ("empty.jsonl", "holds no utterance; prepare it again with python -m data_prep"),
        ("latin.jsonl", "is not UTF-8 text; a manifest is JSON lines"),
        ("empty.jsonl/below.jsonl", "cannot be read (Not a directory)"),
    ]:
        with pytest.raises(ManifestError) as told:
            manifest.read(tmp_path / name)
        assert str(told.value).startswith(f"{tmp_path / name}: {message}")


def test_what_was_there_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    manifest.write(path, [HELLO])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ManifestError, match="id 'a' occurs twice; ids must differ"):
        manifest.write(path, [HELLO, HELLO])
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ManifestError, match=r"a\.jsonl: cannot be written \(No space left on device\)"):
        manifest.write(path, [Utterance("b", "b.wav", "", 1.0)])
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]
    assert [u.id for u in manifest.read(path)] == ["a"]


def test_a_manifest_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ManifestError, match=r"cannot be written \(File exists\)"):
        manifest.write(tmp_path / "file" / "a.jsonl", [HELLO])
