"""Speech while it comes in: utterances end at pauses, stable words stay, chunks do not matter."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn import audio
from asrattn.cli.main import main
from asrattn.inference import streaming
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.streaming import DecodedChunk, StreamingRecognizer, _LocalAgreement

QUIET = 1e-3 * np.random.default_rng(0).standard_normal(tiny.RATE).astype(np.float32)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(tiny.model_file(tmp_path_factory.mktemp("model")), device="cpu")


def steady(seconds: float, seed: int = 0) -> np.ndarray:
    """Sound without pauses, though not even."""
    random = np.random.default_rng(seed)
    loud = 0.1 + 0.05 * np.sin(np.arange(round(seconds * tiny.RATE)) / 800)
    return (loud * random.standard_normal(len(loud))).astype(np.float32)


def talk(*seconds: float) -> np.ndarray:
    """Sounds of these lengths, a second of quiet before each and behind the last."""
    return np.concatenate([QUIET, *(x for n, s in enumerate(seconds) for x in (steady(s, n), QUIET))])


def heard(stream: StreamingRecognizer, wave: np.ndarray, size: int) -> list[DecodedChunk]:
    found = [each for i in range(0, len(wave), size) for each in stream.feed(wave[i : i + size])]
    return [*found, *stream.finish()]


def test_each_utterance_ends_at_its_pause(recognizer: Recognizer) -> None:
    finals = [each for each in heard(recognizer.stream(), talk(2.0, 1.5, 3.0), 800) if each.final]
    assert [round(each.start) for each in finals] == [1, 4, 6]
    for each, begin, length in zip(finals, (1.0, 4.0, 6.5), (2.0, 1.5, 3.0), strict=True):
        assert each.start == pytest.approx(
            begin, abs=2 * streaming.STEP_SECONDS + streaming.LEADING_SILENCE_SECONDS
        )
        assert each.stable == " ".join(word.text for word in each.words)
        assert all(begin - 0.1 <= w.start <= w.end <= begin + length + 0.1 for w in each.words)


def test_what_ends_is_read_as_a_file_is(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = recognizer.transcribe_wave
    monkeypatch.setattr(recognizer, "transcribe_wave", lambda wave: read.append(wave) or original(wave))
    finals = [each.stable for each in heard(recognizer.stream(), talk(2.0, 1.5), 1000) if each.final]
    assert finals == [text for wave in read if (text := original(wave)[0])]
    assert len(finals) == 2


@given(st.integers(1, 30_000))
@settings(max_examples=10)
def test_the_size_of_the_chunks_does_not_matter(recognizer: Recognizer, size: int) -> None:
    wave = talk(1.2, 0.8)
    assert heard(recognizer.stream(), wave, size) == heard(recognizer.stream(), wave, 800)


def test_stable_words_stay_until_the_end(recognizer: Recognizer) -> None:
    found = heard(recognizer.stream(), talk(6.0), 800)
    partial = [each for each in found if not each.final]
    assert len(partial) > 3
    for before, after in pairwise(partial):
        assert after.stable.startswith(before.stable)
        assert (before.stable, before.tentative) != (after.stable, after.tentative)


def test_without_pauses_memory_stays_flat(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognizer, "max_segment_seconds", 4.0)
    stream = recognizer.stream()
    longest, finals = 0, []
    for i in range(0, 20 * tiny.RATE, 4000):
        finals += [each for each in stream.feed(steady(20.0)[i : i + 4000]) if each.final]
        longest = max(longest, len(stream._buffer))
    assert longest <= 4.5 * tiny.RATE
    assert len(finals) >= 4


def test_silence_says_nothing_and_is_not_kept(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    for _ in range(30):
        assert list(stream.feed(QUIET)) == []
        assert (
            len(stream._buffer)
            <= (streaming.LEADING_SILENCE_SECONDS + streaming.STEP_SECONDS) * tiny.RATE + 1
        )
    assert list(stream.finish()) == []


def test_two_readings_make_a_word_stable_but_for_the_last() -> None:
    reading = _LocalAgreement().update(["a", "b", "c"])
    assert reading.split() == ([], ["a", "b", "c"])
    reading = reading.update(["a", "b", "d", "e"])
    assert reading.split() == (["a", "b"], ["d", "e"])
    reading = reading.update(["x", "y", "d", "f"])
    assert reading.split() == (["a", "b", "d"], ["f"]), "what is stable stays, whatever is read later"
    assert reading.update([]).split() == (["a", "b", "d"], [])


class TestCommand:
    def test_a_file_in_the_place_of_the_microphone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = tiny.model_file(tmp_path)
        audio.write(tmp_path / "talk.wav", talk(2.0, 1.5), tiny.RATE)
        assert main(["listen", str(model), str(tmp_path / "talk.wav")]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [round(float(line.split()[0])) for line in lines] == [1, 4]

    def test_no_microphone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
        assert main(["listen", str(tiny.model_file(tmp_path))]) == 1
        assert "pip install asrattn[mic], or name a file" in capsys.readouterr().err
