"""Mutated audio files: bytes changed, cut off, put behind, left out or doubled, and lengths that lie."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from asrattn import audio
from asrattn.errors import AudioError

RATE, SAMPLES = 16000, 12345
_SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "wav-float": ("WAV", "FLOAT"),
    "wav-adpcm": ("WAV", "MS_ADPCM"),
    "wav-gsm": ("WAV", "GSM610"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "ULAW"),
    "caf": ("CAF", "PCM_16"),
    "caf-alac": ("CAF", "ALAC_16"),
    "flac": ("FLAC", "PCM_16"),
    "nist": ("NIST", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "voc": ("VOC", "PCM_16"),
}
_PYAV = {
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "aac": ("adts", "aac"),
    "mkv": ("matroska", "flac"),
}
FORMATS = (*_SOUNDFILE, *_PYAV)
_LOSSLESS = ("wav", "wav-float", "rf64", "w64", "aiff", "caf", "caf-alac", "flac", "nist", "mkv")
_MUTATIONS = ("flip", "head", "cut", "behind", "remove", "double", "zero")
_HEAD_BYTES = 128


@cache
def wave() -> NDArray[np.float32]:
    t = np.arange(SAMPLES) / RATE
    return (0.3 * np.sin(2 * np.pi * (300 * t + 400 * t**2))).astype(np.float32)


@cache
def whole_file(name: str) -> bytes:
    data = io.BytesIO()
    if name in _SOUNDFILE:
        form, coding = _SOUNDFILE[name]
        with soundfile.SoundFile(data, "w", RATE, 1, format=form, subtype=coding) as out:
            out.write(wave())
        return data.getvalue()
    import av

    container, codec = _PYAV[name]
    with av.open(data, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave()[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return data.getvalue()


@cache
def _unchanged(name: str) -> NDArray[np.float32]:
    return audio.read(Path(name), RATE if name in _SOUNDFILE else 48000, data=whole_file(name))


def mutation(number: int) -> str:
    return _MUTATIONS[number % len(_MUTATIONS)]


def make(name: str, number: int) -> bytes:
    """The file with a mutation that the number determines."""
    draw = np.random.default_rng((number, 7))
    data = bytearray(whole_file(name))
    at, count = int(draw.integers(1, len(data))), int(draw.integers(1, 2000))
    noise = draw.bytes(count)
    match mutation(number):
        case "flip" | "head":
            limit = min(_HEAD_BYTES, len(data)) if mutation(number) == "head" else len(data)
            for _ in range(int(draw.integers(1, 12))):
                data[int(draw.integers(0, limit))] = int(
                    draw.choice([0, 255, 127, 128, int(draw.integers(256))])
                )
        case "cut":
            del data[at:]
        case "behind":
            data += (noise, bytes(count), b"text\n" * (count // 5 + 1), bytes(data))[int(draw.integers(4))]
        case "remove":
            del data[at : at + count]
        case "double":
            data[at:at] = data[at : at + count]
        case "zero":
            data[at : at + count] = bytes(len(data[at : at + count]))
    return bytes(data)


def attempt(name: str, number: int, data: bytes) -> str | None:
    """Read the file as a whole and in part."""
    path = Path(f"{name}-{number}")
    try:
        with audio.open_sound(path, data) as sound:
            frames, rate = sound.frames, sound.rate
            found = sound.read(rate)
            notes = sound.notes
        at, count = frames // 3, max(frames // 4, 1)
        part = audio.read(path, rate, at / rate, count / rate, data)
    except AudioError as error:
        return None if "\n" not in str(error) else "a message of two lines"
    if len(found) != frames:
        return f"{frames} frames promised, {len(found)} read"
    if not np.isfinite(found).all():
        return "samples that are no numbers"
    if len(part) != count or not np.allclose(
        part, found[at : at + count], atol=1e-3 * max(1, np.abs(found).max())
    ):
        return f"a segment of {len(part)} frames from {at} is not a part of the whole"
    return _lost_in_silence(name, number, found, notes)


def _lost_in_silence(name: str, number: int, found: NDArray[np.float32], notes: tuple[str, ...]) -> str:
    """Where the samples are known: cut off, or put behind, without a word."""
    if mutation(number) not in ("cut", "behind") or notes:
        return ""
    expected = _unchanged(name)
    if len(found) < len(expected) and name not in ("aac",):  # a stream without any length
        return f"{len(found)} of {len(expected)} samples, and nothing said"
    if (
        name in _LOSSLESS
        and mutation(number) == "behind"
        and not np.array_equal(found[: len(expected)], expected)
    ):
        return "other samples, and nothing said"
    return ""
