"""`asrattn transcribe`: what is named, and what comes out."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
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
        assert sorted(p.name for p in out.iterdir()) == [f"{stem}.{form}" for stem in "abc"]
        _, lines, _ = run(capsys, model, folder, "--format", form)
        expected = [line.split("\t")[-1] + "\n" for line in lines]
        assert [(out / f"{stem}.{form}").read_text() for stem in "abc"] == expected

    def test_two_sounds_for_one_file(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        tiny.sound(tmp_path / "b.flac", 0.5)
        status, out, err = run(capsys, model, folder, tmp_path / "b.flac", "--out", tmp_path / "out")
        assert (status, out) == (1, [])
        assert "would both be written to" in err[0]
        assert not (tmp_path / "out").exists()

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
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt", "c.txt"]
        tiny.sound(tmp_path / "sounds" / "b.wav", 1.0)
        status, _, (told,) = run(
            capsys, model, folder, tmp_path / "sounds", "--shard", "1/4", "--out", tmp_path / "out"
        )
        assert status == 1
        assert "would both be written to" in told

    def test_a_part_that_cannot_be_is_wrong_usage(self, capsys, model: Path, folder: Path) -> None:
        with pytest.raises(SystemExit) as left:
            run(capsys, model, folder, "--shard", "3/2")
        assert left.value.code == 2

    def test_subtitles_and_json_at_once(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        status, out, _ = run(capsys, model, folder, "--out", tmp_path, "--format", "srt,json,vtt")
        assert (status, out) == (0, [])
        assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json"] * 3 + [".srt"] * 3 + [".vtt"] * 3
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
