"""`asrattn transcribe`: what is named, and what comes out."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny
import torch

from asrattn import audio
from asrattn.cli import transcript_output
from asrattn.cli.main import main


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """b.wav, a.flac, deep/c.ogg, and a text that is no sound."""
    made = tmp_path_factory.mktemp("sounds")
    tiny.sound(made / "b.wav", 1.0, seed=1)
    tiny.sound(made / "a.flac", 0.7, seed=2)
    tiny.sound(made / "deep" / "c.ogg", 1.3, seed=3)
    (made / "notes.txt").write_text("no sound")
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    """Status, lines of stdout, lines of stderr."""
    status = main(["transcribe", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def names(lines: list[str]) -> list[str]:
    return [Path(line.split("\t")[0]).name for line in lines]


class TestWhatIsNamed:
    def test_a_single_file_gives_its_text_only(self, capsys, model: Path, folder: Path) -> None:
        status, (line,), err = run(capsys, model, folder / "b.wav")
        _, many, _ = run(capsys, model, folder / "b.wav", folder / "a.flac")
        assert (status, err) == (0, [])
        assert many[0] == f"{folder / 'b.wav'}\t{line}"

    def test_a_folder_is_walked_in_order(self, capsys, model: Path, folder: Path) -> None:
        status, out, err = run(capsys, model, folder)
        assert (status, err) == (0, [])
        assert names(out) == ["a.flac", "b.wav", "c.ogg"]

    def test_a_pattern(self, capsys, model: Path, folder: Path) -> None:
        status, out, _ = run(capsys, model, f"{folder}/**/[bc].*", folder / "a.flac")
        assert status == 0
        assert names(out) == ["b.wav", "c.ogg", "a.flac"]

    def test_a_list_on_stdin(
        self, capsys, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{folder}/b.wav\n\n{folder}/a.flac\n"))
        assert names(run(capsys, model, "-")[1]) == ["b.wav", "a.flac"]

    def test_twice_is_once(self, capsys, model: Path, folder: Path) -> None:
        assert names(run(capsys, model, folder, folder / "b.wav")[1]) == ["a.flac", "b.wav", "c.ogg"]

    def test_a_file_whose_name_looks_like_a_pattern(self, capsys, model: Path, tmp_path: Path) -> None:
        tiny.sound(tmp_path / "take[1].wav", 0.5)
        status, out, _ = run(capsys, model, tmp_path / "take[1].wav")
        assert (status, len(out)) == (0, 1)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("empty", "holds no audio file"), ("*.wav", "no file matches"), ("absent.wav", "does not exist")],
    )
    def test_what_is_not_there_is_told_and_the_others_are_done(
        self, capsys, model: Path, folder: Path, tmp_path: Path, name: str, reason: str
    ) -> None:
        (tmp_path / "empty").mkdir()
        status, out, err = run(capsys, model, tmp_path / name, folder / "b.wav", folder / "a.flac")
        assert status == 1
        assert names(out) == ["b.wav", "a.flac"]
        assert err[0].startswith(f"asrattn: {tmp_path / name}: ")
        assert reason in err[0]


class TestWhatComesOut:
    def test_json_lines(self, capsys, model: Path, folder: Path) -> None:
        status, out, _ = run(capsys, model, folder, "--format", "json")
        assert status == 0
        lines = [json.loads(line) for line in out]
        assert [line["id"] for line in lines] == ["a", "b", "c"]
        assert [line["path"] for line in lines][1] == str(folder / "b.wav")
        assert [line["seconds"] for line in lines] == pytest.approx([0.7, 1.0, 1.3], abs=0.02)
        assert all(line["score"] < 0 for line in lines)
        assert [len(line["pieces"][0]["nbest"]) for line in lines] == [1] * 3
        assert [line["text"] for line in lines] == [
            line.split("\t")[1] for line in run(capsys, model, folder)[1]
        ]

    def test_several_readings(self, capsys, model: Path, folder: Path) -> None:
        for line in run(capsys, model, folder, "--format", "json", "--nbest", "3")[1]:
            told = json.loads(line)
            scores = [reading["score"] for reading in told["pieces"][0]["nbest"]]
            assert len(scores) == 3
            assert scores == sorted(scores, reverse=True)
            assert scores[0] == told["score"]

    @pytest.mark.parametrize("form", ["txt", "json"])
    def test_a_file_for_each_sound(
        self, capsys, model: Path, folder: Path, tmp_path: Path, form: str
    ) -> None:
        out = tmp_path / "new" / "texts"
        assert run(capsys, model, folder, "--out", out, "--format", form) == (0, [], [])
        names = ["a", "b", "deep/c"]  # the folders are the same
        assert sorted(p for p in out.rglob("*") if p.is_file()) == [out / f"{name}.{form}" for name in names]
        _, lines, _ = run(capsys, model, folder, "--format", form)
        expected = [line.split("\t")[-1] + "\n" for line in lines]
        assert [(out / f"{name}.{form}").read_text() for name in names] == expected

    def test_two_sounds_of_one_name_have_two_files(
        self, capsys, model: Path, folder: Path, tmp_path: Path
    ) -> None:
        tiny.sound(tmp_path / "more" / "b.flac", 0.5)
        out = tmp_path / "out"
        assert run(capsys, model, folder, tmp_path / "more", "--out", out, "--format", "json") == (0, [], [])
        found = {
            path.relative_to(out).as_posix(): json.loads(path.read_text()) for path in out.rglob("*.json")
        }
        names = {name for name in found if name.endswith("b.json")}
        assert names == {f"{folder.name}/b.json", f"{tmp_path.name}/more/b.json"}
        assert {found[name]["id"] for name in names} == {name.removesuffix(".json") for name in names}
        assert {found["a.json"]["id"], found["deep/c.json"]["id"]} == {"a", "c"}

    def test_equal_stems_in_one_folder_keep_their_suffixes(self, capsys, model: Path, tmp_path: Path) -> None:
        for name in ("a.wav", "a.flac", "day1/001.wav", "day2/001.wav"):
            tiny.sound(tmp_path / "rec" / name, 0.5)
        status, _, err = run(
            capsys, model, tmp_path / "rec", "--out", tmp_path / "out", "--format", "ctm,json"
        )
        assert (status, err) == (0, [])
        made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.json"))
        assert made == ["a.flac.json", "a.wav.json", "day1/001.json", "day2/001.json"]
        ids = [json.loads((tmp_path / "out" / name).read_text())["id"] for name in made]
        assert ids == ["a.flac", "a.wav", "day1/001", "day2/001"]

    def test_one_broken_file_among_many(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        for i in range(12):
            tiny.sound(tmp_path / f"{i:02}.wav", 0.3 + 0.05 * i, seed=i)
        (tmp_path / "05.wav").write_bytes(b"RIFF")
        status, out, err = run(capsys, model, tmp_path)
        assert status == 1
        assert names(out) == [f"{i:02}.wav" for i in range(12) if i != 5]
        assert len(err) == 2
        assert str(tmp_path / "05.wav") in err[0]
        assert err[1] == "asrattn: 1 of 12 could not be transcribed"

    def test_beam_and_ctc_reach_the_search(self, capsys, model: Path, folder: Path) -> None:
        def scores(*options: str) -> list[float]:
            return [
                json.loads(line)["score"]
                for line in run(capsys, model, folder, "--format", "json", *options)[1]
            ]

        assert scores("--beam", "3", "--ctc", "0.3") == scores()
        assert scores("--ctc", "1") != scores()

    def test_threads(self, capsys, model: Path, folder: Path) -> None:
        before = torch.get_num_threads()
        try:
            run(capsys, model, folder / "b.wav", "--threads", "2")
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_a_bad_model(self, capsys, folder: Path, tmp_path: Path) -> None:
        torch.save({"a": 1}, tmp_path / "last.ckpt")
        status, out, (err,) = run(capsys, tmp_path / "last.ckpt", folder)
        assert (status, out) == (1, [])
        assert "is a pickle" in err

    def test_a_device_that_is_not_there(self, capsys, model: Path, folder: Path) -> None:
        status, _, (err,) = run(capsys, model, folder, "--device", "cuda:77")
        assert status == 1
        assert "cuda:77" in err


class TestParts:
    """Of a job array: together they do what one does alone, and do not write over each other."""

    def test_lines_can_be_put_together(self, capsys, model: Path, folder: Path) -> None:
        _, whole, _ = run(capsys, model, folder)
        parts = [run(capsys, model, folder, "--shard", f"{number}/2") for number in (1, 2)]
        assert [status for status, _, _ in parts] == [0, 0]
        assert sorted(line for _, out, _ in parts for line in out) == sorted(whole)
        assert [len(out) for _, out, _ in parts] == [2, 1]

    def test_a_part_without_a_file_is_no_fault(self, capsys, model: Path, folder: Path) -> None:
        assert run(capsys, model, folder, "--shard", "4/4") == (0, [], [])

    def test_files_of_all_parts_differ(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        for number in (1, 2, 3):
            assert run(capsys, model, folder, "--shard", f"{number}/3", "--out", tmp_path)[0] == 0
        assert sorted(p.name for p in tmp_path.rglob("*.txt")) == ["a.txt", "b.txt", "c.txt"]
        tiny.sound(tmp_path / "sounds" / "b.wav", 1.0)
        for number in (1, 2, 3, 4):
            arguments = (folder, tmp_path / "sounds", "--shard", f"{number}/4", "--out", tmp_path / "out")
            assert run(capsys, model, *arguments)[0] == 0
        assert len(list((tmp_path / "out").rglob("b.txt"))) == 2

    def test_a_part_that_cannot_be_is_wrong_usage(self, capsys, model: Path, folder: Path) -> None:
        with pytest.raises(SystemExit) as left:
            run(capsys, model, folder, "--shard", "3/2")
        assert left.value.code == 2

    def test_subtitles_and_json_at_once(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        status, out, _ = run(capsys, model, folder, "--out", tmp_path, "--format", "srt,json,vtt")
        assert (status, out) == (0, [])
        made = [p for p in tmp_path.rglob("*") if p.is_file()]
        assert sorted(p.suffix for p in made) == [".json"] * 3 + [".srt"] * 3 + [".vtt"] * 3
        told = json.loads((tmp_path / "b.json").read_text())
        assert " ".join(word["word"] for word in told["words"]) == told["text"]
        assert told["words"][0]["word"] in (tmp_path / "b.srt").read_text()

    def test_silence_has_no_text_and_is_told(self, capsys, model: Path, tmp_path: Path) -> None:
        audio.write(tmp_path / "still.wav", np.zeros(tiny.RATE, np.float32), tiny.RATE)
        status, (line,), (warning,) = run(capsys, model, tmp_path / "still.wav", "--format", "json")
        assert status == 0
        assert json.loads(line)["text"] == ""
        assert json.loads(line)["flags"] == ["silence"]
        assert warning == f"{tmp_path / 'still.wav'}: {transcript_output.FLAG_MESSAGES['silence']}"


class TestNames:
    """Names that file systems have, and terminals and encodings have not."""

    ODD = ("caf\udce9", "line\nbreak", "\x1b[31mred", "[take 1] (2)", "-dash", "e\u0301", "\u00e9", "x" * 251)

    @pytest.fixture
    def odd(self, tmp_path: Path) -> Path:
        for number, name in enumerate(self.ODD):
            tiny.sound(tmp_path / "source.wav", 0.4, seed=number)
            (tmp_path / "odd").mkdir(exist_ok=True)
            (tmp_path / "source.wav").rename(tmp_path / "odd" / f"{name}.wav")
        return tmp_path / "odd"

    @pytest.mark.parametrize("form", ["txt", "json", "ctm"])
    def test_each_has_its_file(self, capsys, model: Path, odd: Path, tmp_path: Path, form: str) -> None:
        status, _, err = run(capsys, model, odd, "--out", tmp_path / "out", "--format", form)
        assert (status, err) == (0, [])
        assert len(list((tmp_path / "out").iterdir())) == len(self.ODD)

    @pytest.mark.parametrize("form", ["txt", "json", "ctm"])
    def test_what_is_printed_is_one_line_each_in_utf8(
        self, model: Path, odd: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        screen = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
        monkeypatch.setattr("sys.stdout", screen)
        assert main(["transcribe", str(model), str(odd), "--format", form]) == 0
        screen.flush()
        shown = screen.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert "\x1b" not in shown
        if form != "ctm":
            assert len(shown.splitlines()) == len(self.ODD)

    def test_messages_are_one_line_each(self, capsys, model: Path, odd: Path) -> None:
        for path in odd.iterdir():
            path.write_bytes(b"no sound")
        status, out, err = run(capsys, model, odd)
        assert (status, out) == (1, [])
        assert len(err) == len(self.ODD) + 1
        assert not any("\x1b" in line or "\udce9" in line for line in err)

    def test_a_list_in_any_encoding(
        self, capsys, model: Path, odd: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed = b"\0".join(os.fsencode(path) for path in sorted(odd.iterdir()))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed), "utf-8"))
        status, out, _ = run(capsys, model, "-")
        assert (status, len(out)) == (0, len(self.ODD))

    def test_one_output_that_cannot_be_written(
        self, capsys, model: Path, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "b.txt").mkdir()
        status, _, err = run(capsys, model, folder, "--out", tmp_path)
        assert status == 1
        assert "b.wav: its transcript cannot be written" in err[0]
        assert err[1] == "asrattn: 1 of 3 could not be transcribed"
        assert {p.name for p in tmp_path.rglob("*.txt") if p.is_file()} == {"a.txt", "c.txt"}

    def test_links_and_hidden_files(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "speaker").symlink_to(folder)
        (tmp_path / "loop").symlink_to(tmp_path)
        for name in ("._a.wav", ".Trash-1000/old.wav", "__MACOSX/a.wav", "@eaDir/a.wav"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"no sound")
        status, out, err = run(capsys, model, tmp_path)
        assert (status, names(out)) == (0, ["a.flac", "b.wav", "c.ogg"])
        (told,) = err
        assert "1 folders @eaDir, 1 folders __MACOSX, 1 hidden files, 1 hidden folders" in told
        assert names(run(capsys, model, f"{tmp_path}/**/[abc].*")[1]) == ["a.flac", "b.wav", "c.ogg"]


class TestSkipExisting:
    def test_what_is_there_is_not_done_again(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        run(capsys, model, folder, "--out", tmp_path, "--format", "txt,json")
        (tmp_path / "a.txt").write_text("kept")
        (tmp_path / "b.json").unlink()
        status, _, err = run(
            capsys, model, folder, "--out", tmp_path, "--format", "txt,json", "--skip-existing"
        )
        assert (status, err) == (0, ["2 of 3 are transcribed already"])
        assert (tmp_path / "a.txt").read_text() == "kept"
        assert (tmp_path / "b.json").exists()

    def test_it_needs_a_folder(self, capsys, model: Path, folder: Path) -> None:
        status, _, (err,) = run(capsys, model, folder, "--skip-existing")
        assert status == 1
        assert "needs --out" in err


class TestChannels:
    @pytest.fixture
    def call(self, folder: Path, tmp_path: Path) -> Path:
        waves = [audio.read(folder / name, tiny.RATE)[:5000] for name in ("b.wav", "a.flac")]
        soundfile.write(tmp_path / "call.wav", np.stack(waves, 1), tiny.RATE, subtype="FLOAT")
        return tmp_path / "call.wav"

    def test_each_channel_has_its_transcript(self, capsys, model: Path, call: Path, tmp_path: Path) -> None:
        _, out, err = run(capsys, model, call, "--channel", "each", "--format", "json")
        assert err == []
        told = [json.loads(line) for line in out]
        assert [each["channel"] for each in told] == [1, 2]
        assert told[0]["score"] != told[1]["score"]
        (one,) = run(capsys, model, call, "--channel", "2", "--format", "json")[1]
        assert json.loads(one) == told[1]
        run(capsys, model, call, "--channel", "each", "--out", tmp_path / "out", "--format", "ctm,txt")
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
            "call.1.ctm", "call.1.txt", "call.2.ctm", "call.2.txt",
        ]  # fmt: skip
        for line in (tmp_path / "out" / "call.2.ctm").read_text().splitlines():
            assert line.startswith("call 2 ")

    def test_a_mix_is_told(self, capsys, model: Path, call: Path) -> None:
        status, _, (err,) = run(capsys, model, call)
        assert status == 0
        assert "its channels differ and are averaged" in err

    def test_a_channel_that_is_not_there(self, capsys, model: Path, call: Path, folder: Path) -> None:
        status, out, err = run(capsys, model, call, folder / "b.wav", "--channel", "2")
        assert (status, len(out)) == (1, 1)
        assert "b.wav: has no channel 2; it has 1" in err[0]
