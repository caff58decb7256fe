"""Sounds in, transcripts out: order, bad files, long files, batches."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import tiny
import torch

from asrattn import audio
from asrattn.checkpoint import Checkpoint
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.errors import AudioError, CheckpointError, ConfigError
from asrattn.inference import segmentation
from asrattn.inference.recognizer import InferencePrecision, Recognizer
from asrattn.inference.transcript import Failure, Transcript
from asrattn.text import EOS

LENGTHS = [1.3, 0.4, 2.2, 0.9, 1.8, 0.6]


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(tiny.model_file(tmp_path_factory.mktemp("model")), device="cpu")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sounds")
    return [tiny.sound(folder / f"{i}.wav", seconds, seed=i) for i, seconds in enumerate(LENGTHS)]


def transcripts(found: Iterator[Transcript | Failure]) -> list[Transcript]:
    outcomes = list(found)
    assert all(isinstance(outcome, Transcript) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Transcript)]


class TestTranscribe:
    def test_in_the_order_of_the_input(self, recognizer: Recognizer, sounds: list[Path]) -> None:
        found = transcripts(recognizer.transcribe(sounds))
        assert [t.path for t in found] == sounds
        assert [t.id for t in found] == [str(path) for path in sounds]
        assert [t.seconds for t in found] == pytest.approx(LENGTHS)
        assert len({t.text for t in found}) > 1, (
            "the model does not listen: the other tests would prove little"
        )
        assert all(np.isfinite(t.score) for t in found)

    def test_half_precision_is_of_the_products_alone(self, sounds: list[Path], tmp_path: Path) -> None:
        model = tiny.model_file(tmp_path)
        full, rough = (Recognizer.load(model, "cpu", precision) for precision in get_args(InferencePrecision))
        waves = [wave for path in sounds for wave in segmentation.read_waves(path, full.rate)]
        (enc, ctc), (other, rough_ctc) = full.encode(waves), rough.encode(waves)
        assert other.output.dtype == rough_ctc.dtype == torch.float32
        assert not torch.equal(other.output, enc.output)
        torch.testing.assert_close(rough_ctc, ctc, atol=0.1, rtol=0.05)
        tokens = full.recognize(waves)[0][0].tokens
        said = (full.losses(waves[:1], [tokens]), rough.losses(waves[:1], [tokens]))
        assert said[1] == pytest.approx(said[0]), "what is said of known texts does not depend on it"
        found = transcripts(rough.transcribe(sounds, words=True))
        assert all(np.isfinite(t.score) for t in found)

    @pytest.mark.parametrize("batch_seconds", [0.1, 2.0, 5.0, 1000.0])
    def test_batches_change_nothing(
        self, recognizer: Recognizer, sounds: list[Path], batch_seconds: float
    ) -> None:
        alone = [transcripts(recognizer.transcribe([path]))[0] for path in sounds]
        found = transcripts(recognizer.transcribe(sounds, batch_seconds=batch_seconds))
        assert [t.text for t in found] == [t.text for t in alone]
        assert [t.score for t in found] == pytest.approx([t.score for t in alone], abs=1e-3)

    def test_the_model_s_own_search_is_the_default(self, recognizer: Recognizer, sounds: list[Path]) -> None:
        own = transcripts(recognizer.transcribe(sounds, tiny.DECODING))
        assert transcripts(recognizer.transcribe(sounds)) == own

    @pytest.mark.parametrize("ctc", [0.0, 0.5, 1.0])
    def test_any_share_of_ctc(self, recognizer: Recognizer, sounds: list[Path], ctc: float) -> None:
        assert len(transcripts(recognizer.transcribe(sounds, replace(tiny.DECODING, ctc=ctc)))) == len(sounds)

    def test_any_rate_and_channel_count(self, recognizer: Recognizer, tmp_path: Path) -> None:
        wave = tiny.wave(1.5, rate=44100)
        soundfile.write(tmp_path / "stereo.flac", np.stack([wave, wave], 1), 44100)
        (found,) = transcripts(recognizer.transcribe([tmp_path / "stereo.flac"]))
        assert found.seconds == pytest.approx(1.5, abs=0.001)

    def test_files_are_read_as_they_are_needed(self, recognizer: Recognizer, sounds: list[Path]) -> None:
        asked = 0

        def endless() -> Iterator[Path]:
            nonlocal asked
            while True:
                asked += 1
                yield sounds[1]

        next(recognizer.transcribe(endless(), batch_seconds=1.0))
        assert asked < 100

    def test_nothing_gives_nothing(self, recognizer: Recognizer) -> None:
        assert list(recognizer.transcribe([])) == []

    def test_silence_is_transcribed_too(self, recognizer: Recognizer, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "silence.wav", np.zeros(tiny.RATE, np.float32), tiny.RATE)
        assert len(transcripts(recognizer.transcribe([tmp_path / "silence.wav"]))) == 1


class TestUtterances:
    def test_stretches_of_one_file(self, recognizer: Recognizer, tmp_path: Path) -> None:
        waves = [tiny.wave(1.0, seed=i) for i in range(3)]
        soundfile.write(tmp_path / "all.wav", np.concatenate(waves), tiny.RATE, subtype="FLOAT")
        utterances = [
            Utterance(f"u{i}", str(tmp_path / "all.wav"), "", 1.0, start=float(i)) for i in range(3)
        ]
        found = transcripts(recognizer.transcribe(utterances))
        hypotheses = recognizer.recognize(waves)
        assert [t.id for t in found] == ["u0", "u1", "u2"]
        assert [t.text for t in found] == [
            " ".join(recognizer.tokenizer.decode(h[0].tokens).split()) for h in hypotheses
        ]

    def test_evaluate_takes_the_time(
        self, recognizer: Recognizer, sounds: list[Path], tmp_path: Path
    ) -> None:
        utterances = [
            Utterance(path.stem, str(path), "a", 9.0) for path in [*sounds, tmp_path / "absent.wav"]
        ]
        watched = []

        def watch(outcomes: Iterator[Transcript | Failure]) -> Iterator[Transcript | Failure]:
            for outcome in outcomes:
                watched.append(outcome.id)
                yield outcome

        found = recognizer.evaluate(utterances, progress=watch)
        assert watched == [u.id for u in utterances]
        assert isinstance(found.outcomes[-1], Failure)
        assert found.audio_seconds == pytest.approx(sum(LENGTHS))
        assert found.wall_seconds > 0
        assert found.cpu_seconds > 0


class TestLongFiles:
    def test_pieces_are_joined(self, recognizer: Recognizer, tmp_path: Path) -> None:
        path = tiny.sound(tmp_path / "long.wav", 70.0)
        cut = list(segmentation.read_waves(path, tiny.RATE))
        assert len(cut) >= 3
        search = DecodingConfig(beam_size=2, nbest=2, max_length=0.05)
        (found,) = transcripts(recognizer.transcribe([path], search, batch_seconds=20.0))
        each = [recognizer.recognize([wave], search)[0] for wave in cut]
        best = [hypotheses[0] for hypotheses in each]
        texts = [recognizer.tokenizer.decode(hypothesis.tokens) for hypothesis in best]
        assert found.text == " ".join(" ".join(texts).split())
        assert found.seconds == pytest.approx(70.0)
        ends = np.cumsum([len(wave) / tiny.RATE for wave in cut])
        assert [piece.end for piece in found.segments] == pytest.approx(ends)
        assert [piece.start for piece in found.segments] == pytest.approx([0.0, *ends[:-1]])
        for piece, hypotheses in zip(found.segments, each, strict=True):
            assert [r.score for r in piece.nbest] == pytest.approx([h.score for h in hypotheses], rel=1e-4)
            assert [set(r.component_scores) for r in piece.nbest] == [{"attention", "ctc"}] * 2

    def test_memory_stays_bounded(
        self, recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tiny.sound(tmp_path / "long.wav", 200.0)
        sizes: list[float] = []
        original = recognizer._decode_sorted

        def watch(waves: list[np.ndarray], *rest: object) -> object:
            sizes.append(sum(map(len, waves)) / tiny.RATE)
            return original(waves, *rest)

        monkeypatch.setattr(recognizer, "_decode_sorted", watch)
        list(recognizer.transcribe([path], DecodingConfig(beam_size=1, max_length=0.05), batch_seconds=5.0))
        assert sum(sizes) == pytest.approx(200.0)
        assert max(sizes) <= 8 * 5.0 + segmentation.MAX_SEGMENT_SECONDS


class TestBadFiles:
    @pytest.fixture
    def bad(self, tmp_path: Path) -> dict[str, Path]:
        """Bad files by what their message must say."""
        files = {
            "does not exist": tmp_path / "absent.wav",
            "empty": tmp_path / "empty.wav",
            "not an audio file": tmp_path / "text.wav",
            "no samples": tmp_path / "nothing.wav",
            "no numbers": tmp_path / "nan.wav",
            "too short": tmp_path / "short.wav",
            "truncated": tmp_path / "cut.wav",
        }
        files["empty"].write_bytes(b"")
        files["not an audio file"].write_text("hello " * 100)
        soundfile.write(files["no samples"], np.zeros(0, np.float32), tiny.RATE)
        soundfile.write(files["no numbers"], np.full(8000, np.nan, np.float32), tiny.RATE, subtype="FLOAT")
        soundfile.write(files["too short"], np.zeros(20, np.float32), tiny.RATE)
        files["truncated"].write_bytes(tiny.sound(tmp_path / "whole.wav", 1.0).read_bytes()[:5000])
        return files

    def test_each_is_told_and_none_stops_the_others(
        self, recognizer: Recognizer, sounds: list[Path], bad: dict[str, Path]
    ) -> None:
        mixed = [path for path in bad.values() for path in (sounds[0], path)] + [sounds[0]]
        found = list(recognizer.transcribe(mixed))
        good = transcripts(iter(found[::2]))
        assert len(good) == len(bad) + 1
        assert len({t.text for t in good}) == 1
        for (reason, path), failure in zip(bad.items(), found[1::2], strict=True):
            assert isinstance(failure, Failure)
            assert failure.path == path
            assert reason in failure.message
            assert failure.message.startswith(str(path))
            assert "\n" not in failure.message

    def test_many_bad_files_are_told_soon(self, recognizer: Recognizer, tmp_path: Path) -> None:
        absent = (tmp_path / f"{i}.wav" for i in range(10**9))
        assert isinstance(next(recognizer.transcribe(absent)), Failure)

    def test_a_long_file_that_breaks_in_its_middle(
        self, recognizer: Recognizer, sounds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(stretch: segmentation.AudioRegion, *rest: object) -> Iterator[segmentation.AudioSegment]:
            yield segmentation.AudioSegment(tiny.wave(1.0))
            if stretch.path == sounds[1]:
                raise AudioError(f"{stretch.path}: is truncated")

        monkeypatch.setattr(segmentation, "read_segments", broken)
        first, second, third = recognizer.transcribe(sounds[:3])
        assert isinstance(second, Failure)
        assert isinstance(first, Transcript)
        assert isinstance(third, Transcript)
        assert first.text == third.text
        assert first.seconds == third.seconds == 1.0

    def test_where_nobody_speaks_it_does_not_listen(
        self, recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recognizer, "max_segment_seconds", 5.0)
        quiet = 1e-3 * np.random.default_rng(0).standard_normal(12 * tiny.RATE).astype(np.float32)
        said = tiny.wave(3.0)
        for name, wave in (("quiet", quiet), ("late", np.concatenate([quiet, said]))):
            audio.write(tmp_path / f"{name}.wav", wave, tiny.RATE)
        paths = [tmp_path / "quiet.wav", tmp_path / "late.wav"]
        nothing, late = transcripts(recognizer.transcribe(paths, words=True))
        assert (nothing.text, nothing.flags, nothing.segments) == ("", ("silence",), ())
        assert nothing.seconds == pytest.approx(12.0)
        assert late.seconds == pytest.approx(15.0)
        assert late.text
        assert 9.0 <= late.segments[0].start <= 12.0
        assert all(late.segments[0].start <= w.start <= w.end <= 15.0 for w in late.words)

    def test_a_model_reads_what_it_was_trained_on_at_once(self) -> None:
        for known, longest in (
            (6.1, 6.1),
            (0.8, segmentation.MIN_SEGMENT_LIMIT_SECONDS),
            (90.0, segmentation.MAX_SEGMENT_SECONDS),
        ):
            saved = Checkpoint(
                tiny.model(), tiny.TOKENIZER, tiny.card() | {"longest_seconds": known}, tiny.DECODING
            )
            assert Recognizer(saved, torch.device("cpu")).max_segment_seconds == longest

    @pytest.mark.parametrize("samples", [0, 1, 199])
    def test_waves_that_are_too_short(self, recognizer: Recognizer, samples: int) -> None:
        with pytest.raises(AudioError, match="too short"):
            recognizer.recognize([tiny.wave(1.0), np.zeros(samples, np.float32)])

    def test_the_shortest_wave(self, recognizer: Recognizer) -> None:
        recognizer.recognize([np.zeros(recognizer._min_samples, np.float32)])
        with pytest.raises(AudioError, match="too short"):
            recognizer.recognize([np.zeros(recognizer._min_samples - 1, np.float32)])

    def test_waves_of_no_numbers(self, recognizer: Recognizer) -> None:
        with pytest.raises(AudioError, match="NaN"):
            recognizer.recognize([np.full(8000, np.inf, np.float32)])


class TestExplain:
    def test_shapes(self, recognizer: Recognizer) -> None:
        tokens = recognizer.tokenizer.encode("the fox")
        found = recognizer.compute_attention(tiny.wave(1.5), tokens)
        frames = torch.tensor([1.5 * tiny.RATE])
        assert found.features.shape == (int(recognizer.model.frontend.lens(frames)), 16)
        assert found.weights.shape == (
            len(tokens) + 1,
            int(recognizer.model.encoder.lens(recognizer.model.frontend.lens(frames))),
        )
        np.testing.assert_allclose(found.weights.sum(1), 1.0, rtol=1e-4)
        assert found.pieces == ["t", "h", "e", " ", "f", "o", "x", "<eos>"]

    def test_rows_are_those_of_the_decoder(self, recognizer: Recognizer) -> None:
        wave = torch.from_numpy(tiny.wave(1.5))[None]
        with torch.inference_mode():
            enc = recognizer.model.encode(wave, torch.tensor([wave.shape[1]]))
            weights = recognizer.model.decoder(
                torch.tensor([[EOS, 5]]), enc.output, enc.lens
            ).alignment_weights
        np.testing.assert_allclose(
            recognizer.compute_attention(tiny.wave(1.5), [5]).weights, weights[0], rtol=1e-5
        )


class TestDevices:
    @pytest.mark.parametrize("device", ["gpu", "cuda:", "meta", "cuda:99"])
    def test_a_device_that_is_not_there(self, tmp_path: Path, device: str) -> None:
        with pytest.raises(ConfigError, match=device):
            Recognizer.load(tiny.model_file(tmp_path), device)

    def test_a_bad_model(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="does not exist"):
            Recognizer.load(tmp_path / "absent.safetensors")

    def test_too_little_memory_halves_the_batch(
        self, recognizer: Recognizer, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = transcripts(recognizer.transcribe(sounds))
        original = recognizer.encode
        sizes: list[int] = []

        def small(waves: list[np.ndarray]) -> object:
            if len(waves) > 2:
                raise torch.OutOfMemoryError
            sizes.append(len(waves))
            return original(waves)

        monkeypatch.setattr(recognizer, "encode", small)
        assert [t.text for t in transcripts(recognizer.transcribe(sounds))] == [t.text for t in expected]
        assert sum(sizes) == len(sounds)

    def test_too_little_memory_for_one(
        self, recognizer: Recognizer, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: object) -> object:
            raise torch.OutOfMemoryError

        monkeypatch.setattr(recognizer, "decode", never)
        with pytest.raises(ConfigError, match="too little memory for a beam of 3"):
            list(recognizer.transcribe(sounds))


def test_scripts_without_spaces_are_joined_without(tmp_path: Path) -> None:
    from asrattn import checkpoint
    from asrattn.model.speech_model import SpeechModel
    from asrattn.text import CharTokenizer

    tokenizer = CharTokenizer.train(["我喜欢听音乐"])
    path = tmp_path / "chinese.safetensors"
    checkpoint.save(
        path,
        SpeechModel(tiny.config(tokenizer.size)),
        tokenizer,
        {},
        DecodingConfig(beam_size=1, max_length=0.05),
    )
    loaded = Recognizer.load(path, "cpu")
    (found,) = transcripts(loaded.transcribe([tiny.sound(tmp_path / "long.wav", 40.0)]))
    assert len(found.segments) > 1
    assert " " not in found.text != ""


def test_using_a_model_needs_no_training_libraries(tmp_path: Path) -> None:
    model, sound = tiny.model_file(tmp_path), tiny.sound(tmp_path / "a.wav", 1.0)
    program = f"""
import sys
from pathlib import Path
from asrattn.inference.recognizer import Recognizer
outcomes = list(Recognizer.load(Path({str(model)!r}), "cpu").transcribe([Path({str(sound)!r})]))
assert outcomes[0].seconds == 1.0
heavy = {{"lightning", "librosa", "matplotlib", "scipy", "sentencepiece", "tensorboard"}} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
