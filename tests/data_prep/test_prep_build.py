"""What is common to all corpora: opening, dropping with reasons, writing whole manifests."""

import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrattn.data import manifest
from asrattn.errors import DataError
from data_prep import build
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import CorpusEntry


def _reasons(dest: Path) -> dict[str, str]:
    rows = (dest / "dropped.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[0].split("\t") == ["split", "id", "audio", "reason"]
    return {row.split("\t")[1]: row.split("\t")[3] for row in rows[1:]}


def _check(
    dest: Path, *entries: CorpusEntry, options: PrepOptions = DEFAULT_OPTIONS
) -> list[manifest.Utterance]:
    return build.build_splits(build.open_dest(dest), {"train": entries}, options)["train"]


def test_every_broken_file_is_dropped_with_its_reason_and_the_good_ones_stay(sound, tmp_path: Path):
    good = sound(tmp_path / "good.wav")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no sound\n" * 50)
    (tmp_path / "cut.wav").write_bytes(good.read_bytes()[:-500])
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan, 0.1]), 16000, subtype="FLOAT")
    names = ("missing", "empty", "text", "cut", "zero", "nan", "good")
    entries = [CorpusEntry(name, tmp_path / f"{name}.wav", "yes") for name in names]
    dest = tmp_path / "out"
    kept = _check(
        dest,
        *entries,
        CorpusEntry("wordless", good, " \n"),
        CorpusEntry("told", good, "yes", drop_reason="the list says so"),
    )
    assert [u.id for u in kept] == ["good"]
    reasons = _reasons(dest)
    assert set(reasons) == {"missing", "empty", "text", "cut", "zero", "nan", "wordless", "told"}
    assert reasons["told"] == "the list says so"
    assert "transcript is empty" in reasons["wordless"]
    for name, words in {
        "missing": "does not exist",
        "empty": "is empty",
        "nan": "nan",
        "cut": "truncated",
    }.items():
        assert words in reasons[name]


def test_quick_reads_headers_only(sound, tmp_path: Path):
    soundfile.write(tmp_path / "nan.wav", np.full(1600, np.nan), 16000, subtype="FLOAT")
    entry = CorpusEntry("nan", tmp_path / "nan.wav", "yes")
    assert _check(tmp_path / "out", entry, options=PrepOptions(quick=True))[0].seconds == pytest.approx(0.1)
    with pytest.raises(DataError, match=r"no usable utterance; 1 were dropped.*nan"):
        _check(tmp_path / "out", entry)


def test_segments_are_kept_within_their_file(sound, tmp_path: Path):
    long = sound(tmp_path / "long.wav", seconds=2.0)
    dest = tmp_path / "out"
    kept = _check(
        dest,
        CorpusEntry("inside", long, "a", start=0.5, end=1.25),
        CorpusEntry("rounded", long, "a", start=1.5, end=2.3),
        CorpusEntry("open", long, "a", start=1.75),
        CorpusEntry("beyond", long, "a", start=1.0, end=3.0),
        CorpusEntry("behind", long, "a", start=2.0, end=2.2),
        CorpusEntry("backwards", long, "a", start=1.0, end=0.5),
        CorpusEntry("nan", long, "a", start=float("nan"), end=0.5),
    )
    assert [(u.id, u.start, u.seconds) for u in kept] == [
        ("inside", 0.5, 0.75),
        ("rounded", 1.5, 0.5),
        ("open", 1.75, 0.25),
    ]
    assert set(_reasons(dest)) == {"beyond", "behind", "backwards", "nan"}


def test_the_number_of_jobs_changes_nothing(sound, tmp_path: Path):
    entries = [CorpusEntry(f"{n}", sound(tmp_path / f"{n}.wav", 0.05 + n / 100), "a") for n in range(12)]
    one, many = (_check(tmp_path / "out", *entries, options=PrepOptions(jobs=jobs)) for jobs in (1, 5))
    assert one == many
    assert [u.id for u in one] == [e.id for e in entries]


@pytest.mark.parametrize(("other", "kept"), [("train", "a.wav"), ("test", "b.wav")])
def test_of_an_id_that_stands_twice_one_is_dropped(sound, tmp_path: Path, other: str, kept: str):
    """In one split the second; of two splits that of train, as test sets stay as published."""
    entry = CorpusEntry("same", sound(tmp_path / "a.wav"), "a", where="list.csv:2")
    twin = entry._replace(audio=sound(tmp_path / "b.wav"), where="list.csv:3")
    listed = {"train": [entry], "test": []}
    listed[other] = [*listed[other], twin]
    splits = build.build_splits(build.open_dest(tmp_path / "out"), listed, DEFAULT_OPTIONS)
    assert [Path(u.audio).name for us in splits.values() for u in us] == [kept]
    assert "'same' stands twice" in _reasons(tmp_path / "out")["same"]


def test_an_unusable_entry_keeps_no_other_out(sound, tmp_path: Path):
    good = sound(tmp_path / "a.wav")
    (tmp_path / "a.flac").touch()
    kept = _check(tmp_path / "out", CorpusEntry("a", tmp_path / "a.flac", "x"), CorpusEntry("a", good, "x"))
    assert [Path(u.audio) for u in kept] == [good]


def test_reasons_name_the_line_of_the_list(sound, tmp_path: Path):
    entry = CorpusEntry("a", tmp_path / "a.wav", "x", where="list.csv:7")
    _check(tmp_path / "out", entry, CorpusEntry("b", sound(tmp_path / "b.wav"), "x"))
    assert _reasons(tmp_path / "out")["a"].startswith("list.csv:7: ")


@pytest.mark.parametrize("field", ["id", "text", "speaker"])
@pytest.mark.parametrize("character", ["\0", "\udce9"])
def test_what_no_manifest_can_hold_is_dropped(sound, tmp_path: Path, field: str, character: str):
    good = CorpusEntry("b", sound(tmp_path / "b.wav"), "x")
    bad = CorpusEntry("a", good.audio, "x")._replace(**{field: f"x{character}"})
    assert [u.id for u in _check(tmp_path / "out", bad, good)] == ["b"]


def test_one_channel_of_several_is_dropped(tmp_path: Path):
    soundfile.write(tmp_path / "two.wav", np.zeros((1600, 2)), 16000)
    soundfile.write(tmp_path / "one.wav", np.zeros(1600), 16000)
    entries = [
        CorpusEntry(name, tmp_path / f"{name}.wav", "x", channel=channel)
        for name, channel in (("two", 2), ("one", 1))
    ]
    assert [u.id for u in _check(tmp_path / "out", *entries)] == ["one"]
    assert "is channel 2 of the 2 of two.wav" in _reasons(tmp_path / "out")["two"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PrepOptions(), "Don't stop — thirty-one “Ärger”, NOW!"),
        (PrepOptions(lower=True), "don't stop — thirty-one “ärger”, now!"),
        (PrepOptions(upper=True, strip_punctuation=True), "DON'T STOP THIRTY-ONE ÄRGER NOW"),
        (PrepOptions(lower=True, strip_punctuation=True), "don't stop thirty-one ärger now"),
    ],
)
def test_transcripts_stay_as_published_unless_asked(options: PrepOptions, expected: str):
    assert build.clean_transcript(" Don't  stop —\tthirty-one “Ärger”, NOW!\n", options) == expected


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("IŞIK İSTANBUL", PrepOptions(lower=True), "işik istanbul"),
        ("IŞIK İSTANBUL", PrepOptions(lower=True, language="tr"), "ışık istanbul"),
        ("ışık istanbul", PrepOptions(upper=True, language="az"), "IŞIK İSTANBUL"),
        ("don’t don't donʼt", PrepOptions(strip_punctuation=True), "don't don't don't"),
        ('צה״ל, צה"ל צ׳יפס.', PrepOptions(strip_punctuation=True), "צה״ל צה״ל צ׳יפס"),
        ("col·lecció – EU:n", PrepOptions(strip_punctuation=True), "col·lecció EU:n"),
    ],
)
def test_transcripts_change_by_the_rules_of_their_language(text: str, options: PrepOptions, expected: str):
    assert build.clean_transcript(text, options) == expected


@pytest.mark.parametrize(("text", "warned"), [("IŞIK İSTANBUL", True), ("ışık", True), ("Istanbul", False)])
def test_case_of_turkish_texts_without_a_language_is_told(
    sound, tmp_path: Path, caplog, text: str, warned: bool
):
    entry = CorpusEntry("a", sound(tmp_path / "a.wav"), text)
    for options, told in (
        (PrepOptions(lower=True), warned),
        (PrepOptions(lower=True, language="tr"), False),
        (DEFAULT_OPTIONS, False),
    ):
        caplog.clear()
        _check(tmp_path / "out", entry, options=options)
        assert ("add --language tr" in caplog.text) == told


def test_a_text_of_punctuation_alone_is_dropped_when_it_is_stripped(sound, tmp_path: Path):
    entries = [
        CorpusEntry("dots", sound(tmp_path / "a.wav"), "... !"),
        CorpusEntry("word", tmp_path / "a.wav", "word."),
    ]
    assert len(_check(tmp_path / "out", *entries)) == 2
    assert [
        u.text for u in _check(tmp_path / "out", *entries, options=PrepOptions(strip_punctuation=True))
    ] == ["word"]


def test_a_second_preparation_removes_the_splits_it_does_not_make(sound, tmp_path: Path, caplog):
    dest = build.open_dest(tmp_path / "out")
    utterances = _check(dest, *(CorpusEntry(f"{n}", sound(tmp_path / f"{n}.wav"), "a") for n in range(3)))
    splits = dict(zip(("train", "dev", "test"), ([u] for u in utterances), strict=True))
    assert list(build.write_manifests(dest, splits)) == ["train", "dev", "test"]
    with caplog.at_level(logging.WARNING):
        paths = build.write_manifests(dest, {"test": splits["test"], "train": utterances[:2], "dev": []})
    assert list(paths) == ["train", "test"]
    assert sorted(p.name for p in dest.iterdir()) == ["dropped.tsv", "test.jsonl", "train.jsonl"]
    assert "no dev.jsonl" in caplog.text


def test_manifests_point_right_from_behind_a_link(sound, tmp_path: Path):
    wav = sound(tmp_path / "corpus" / "a.wav")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    dest = build.open_dest(tmp_path / "link" / "out")
    paths = build.write_manifests(
        dest, build.build_splits(dest, {"train": [CorpusEntry("a", wav, "a")]}, DEFAULT_OPTIONS)
    )
    for path in (paths["train"], tmp_path / "link" / "out" / "train.jsonl"):
        assert Path(manifest.read(path)[0].audio).samefile(wav)


def test_a_destination_below_a_file_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file/out: cannot be written"):
        build.open_dest(tmp_path / "file" / "out")


def test_a_full_disk_is_told(sound, tmp_path: Path, monkeypatch):
    def full(path: Path, utterances: list[manifest.Utterance]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    dest = build.open_dest(tmp_path / "out")
    splits = build.build_splits(
        dest, {"train": [CorpusEntry("a", sound(tmp_path / "a.wav"), "a")]}, DEFAULT_OPTIONS
    )
    monkeypatch.setattr(manifest, "write", full)
    with pytest.raises(DataError, match="No space left on device"):
        build.write_manifests(dest, splits)
