"""The measures of a sound, against sounds of which they are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny
from hypothesis import given
from hypothesis import strategies as st

from asrattn import audio
from asrattn.corpus_check.audio_quality import check_audio
from asrattn.corpus_check.audio_stats import (
    FLOOR_DB,
    MAX_ANALYZED_SECONDS,
    AudioStats,
    measure_utterance,
    measure_utterances,
    measure_wave,
)
from asrattn.corpus_check.finding import CheckedUtterance
from asrattn.data.manifest import Utterance

RATE = 8000


def tone(seconds: float, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def utterance(path: Path, seconds: float = 1.0, **more) -> Utterance:
    return Utterance(path.stem, str(path), "TEXT", seconds, **more)


def test_a_tone_in_numbers() -> None:
    found = measure_wave(tone(2.0), RATE, 2)
    assert (found.rate, found.channels, found.seconds) == (RATE, 2, 2.0)
    assert found.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert found.dynamic_range == pytest.approx(0, abs=0.5)
    assert found.dc_offset == pytest.approx(0, abs=1e-4)
    assert found.speech_seconds == pytest.approx(2.0)
    assert found.clipped_fraction == 0


def test_pauses_do_not_count_as_speech() -> None:
    wave = np.concatenate([np.zeros(RATE), tone(0.5), np.zeros(RATE), tone(0.5)]).astype(np.float32)
    assert measure_wave(wave, RATE).speech_seconds == pytest.approx(1.0, abs=0.05)


def test_an_offset_is_no_sound() -> None:
    wave = np.concatenate([np.zeros(RATE, np.float32), tone(1.0)]) + np.float32(0.2)
    assert measure_wave(wave, RATE).dc_offset == pytest.approx(0.2, abs=1e-3)
    assert measure_wave(wave, RATE).speech_seconds == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_word_without_pauses_has_a_pitch_and_noise_has_none(rate: int) -> None:
    draw = np.random.default_rng(0)
    noise = (0.05 * draw.standard_normal(rate)).astype(np.float32)
    time = np.arange(rate // 4) / rate
    vowel = sum(np.sin(2 * np.pi * 120 * n * time) / n for n in range(1, 9)).astype(np.float32) / 10
    found = measure_wave(vowel + noise[: len(vowel)], rate)
    assert found.dynamic_range < 15
    assert found.voicing > 0.7
    assert measure_wave(noise, rate).voicing < 0.4
    assert measure_wave(noise[:9], rate).voicing == 0


def test_digital_silence() -> None:
    found = measure_wave(np.zeros(RATE, np.float32), RATE)
    assert (found.level, found.dynamic_range, found.speech_seconds) == (FLOOR_DB, 0, 0)
    assert not found.envelope.any()


@pytest.mark.parametrize("gain", [1.0, 0.3])  # clipped when it was recorded, or turned down afterwards
def test_flat_tops_are_clipped(gain: float) -> None:
    wave = gain * np.clip(tone(1.0, 2.0), -1, 1)
    assert measure_wave(wave, RATE).clipped_fraction > 0.3


def test_a_lossy_codec_makes_of_clipped_samples_such_beyond_full_scale() -> None:
    wave = tone(1.0, 0.5)
    wave[::50] = 1.1
    assert measure_wave(wave, RATE).clipped_fraction == pytest.approx(0.02)


@given(st.integers(1, 3000), st.integers(0, 100))
def test_any_length_gives_a_finite_look(samples: int, seed: int) -> None:
    wave = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    found = measure_wave(wave, RATE)
    assert np.isfinite([*found[2:8], found.voicing, *found.envelope.astype(float)]).all()
    assert 0 <= found.clipped_fraction <= 1
    assert FLOOR_DB <= found.level <= 0


def test_the_digest_does_not_hang_on_the_format(tmp_path: Path) -> None:
    import soundfile

    samples = np.rint(tiny.wave(1.0) * 30000).astype(np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, samples, RATE)
    wav, flac = (measure_utterance(utterance(tmp_path / name)) for name in ("a.wav", "a.flac"))
    other = measure_utterance(utterance(tiny.sound(tmp_path / "b.wav", 1.0, seed=1)))
    assert isinstance(wav, AudioStats)
    assert isinstance(flac, AudioStats)
    assert isinstance(other, AudioStats)
    assert wav.digest == flac.digest != other.digest


def test_the_outline_does_not_hang_on_the_level() -> None:
    wave = tiny.wave(2.0)
    loud, soft = (measure_wave(gain * wave, RATE).envelope.astype(float) for gain in (1.0, 0.1))
    assert loud @ soft > 0.999
    assert loud @ measure_wave(tiny.wave(2.0, seed=1), RATE).envelope.astype(float) < 0.99


def test_a_stretch_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, np.concatenate([tone(1.0), np.zeros(RATE, np.float32)]), RATE)
    heard = [measure_utterance(utterance(path, start=start)) for start in (0.0, 1.0)]
    assert [isinstance(each, AudioStats) and each.level > -20 for each in heard] == [True, False]


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "does not exist" in str(measure_utterance(utterance(tmp_path / "a.wav")))
    path = tiny.sound(tmp_path / "b.wav", 1.0)
    assert "not within" in str(measure_utterance(utterance(path, start=5.0)))


def test_of_a_long_file_the_beginning_is_looked_at(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("asrattn.corpus_check.audio_stats.MAX_ANALYZED_SECONDS", MAX_ANALYZED_SECONDS / 600)
    path = tmp_path / "a.wav"
    audio.write(path, np.concatenate([tone(1.0), np.zeros(2 * RATE, np.float32)]), RATE)
    found = measure_utterance(utterance(path, 3.0))
    assert isinstance(found, AudioStats)
    assert (found.seconds, found.dynamic_range < 1) == (3.0, True)


@pytest.mark.multi
def test_processes_find_the_same(tmp_path: Path) -> None:
    utterances = [utterance(tiny.sound(tmp_path / f"{i}.wav", 0.5, i)) for i in range(20)]
    utterances[3] = replace(utterances[3], audio=str(tmp_path / "none.wav"))
    alone, together = (list(measure_utterances(utterances, jobs)) for jobs in (1, 2))
    assert [str(each) for each in alone] == [str(each) for each in together]


def test_what_is_odd_about_a_file_is_found(tmp_path: Path):
    wave = tone(2.0, 0.3) * np.linspace(0, 1, 16000, dtype=np.float32)
    for name, data in {
        "beyond": wave * np.float32(32768),
        "cancelled": np.stack([wave, -wave], 1),
        "mixed": np.stack([wave, wave[::-1]], 1),
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", data, 16000, subtype="FLOAT")
    notes = {}
    for name in ("beyond", "cancelled", "mixed"):
        found = measure_utterance(Utterance(name, str(tmp_path / f"{name}.wav"), "a", 1.0))
        assert not isinstance(found, str)
        case = CheckedUtterance("train", 1, Utterance(name, name, "a", 1.0), found)
        notes[name] = [finding.kind.name for finding in check_audio([case])]
    assert "beyond ±1" in notes["beyond"]
    assert "clipping" not in notes["beyond"]
    assert "cancelled channels" in notes["cancelled"]
    assert "several channels" in notes["mixed"]
