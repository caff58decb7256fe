"""Audio files of every format and header that the readers decode, made in memory, with the samples that went in."""

import io
import struct
from collections.abc import Callable

import numpy as np
import soundfile

RATE = 16000

# libsndfile's name, coding, how far a decoded sample of `chirp` may be off, samples that fill up the last block
SOUNDFILE_CODINGS: dict[str, tuple[str, str, float, int]] = {
    f"{form}-{coding}".lower(): (form, coding, tolerance, fill)
    for form, codings in {
        "WAV": "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM GSM610 G721_32 NMS_ADPCM_32",
        "WAVEX": "PCM_16 FLOAT",
        "RF64": "PCM_16 PCM_24 FLOAT",
        "W64": "PCM_16 PCM_24 FLOAT ULAW IMA_ADPCM MS_ADPCM GSM610",
        "AIFF": "PCM_S8 PCM_16 PCM_24 FLOAT ULAW IMA_ADPCM GSM610",
        "AU": "PCM_S8 PCM_16 PCM_24 FLOAT ULAW ALAW G721_32 G723_24",
        "CAF": "PCM_S8 PCM_16 PCM_24 FLOAT ULAW ALAC_16 ALAC_24",
        "FLAC": "PCM_S8 PCM_16 PCM_24",
        "NIST": "PCM_16 PCM_24 ULAW ALAW",
        "MP3": "MPEG_LAYER_III",
        "OGG": "VORBIS OPUS",
        "VOC": "PCM_16 ULAW",
        "AVR": "PCM_16",
        "PAF": "PCM_16",
        "SVX": "PCM_16",
        "MAT5": "PCM_16 FLOAT",
        "PVF": "PCM_16",
        "IRCAM": "PCM_16 FLOAT",
    }.items()
    for coding in codings.split()
    for tolerance in [
        0.25 if "ADPCM" in coding or coding.startswith(("G", "NMS")) else
        0.25 if form in ("MP3", "OGG") else
        0.01
    ]
    for fill in [
        1100 if coding in ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "G723_24", "NMS_ADPCM_32") else
        1 if form in ("VOC", "AVR") or (form == "AIFF" and coding in ("PCM_S8", "ULAW")) else 0
    ]
}  # fmt: skip


def chirp(samples: int, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """(samples,) or (samples, channels): a tone that rises and falls, so that no place sounds like another."""
    t = np.arange(samples) / rate
    phase = 2 * np.pi * (300 * t + 150 * np.sin(0.9 * t) * t)
    waves = [0.3 * np.sin(phase + c) for c in range(channels)]
    return np.stack(waves, 1).astype(np.float32) if channels > 1 else waves[0].astype(np.float32)


def encode(wave: np.ndarray, form: str, coding: str, rate: int = RATE) -> bytes:
    """The wave as a file of this format."""
    data = io.BytesIO()
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    with soundfile.SoundFile(data, "w", rate, channels, format=form, subtype=coding) as out:
        out.write(wave)
    return data.getvalue()


def patch(data: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """The file with other bytes so far behind the first mark."""
    at = data.index(mark) + offset
    return data[:at] + new + data[at + len(new) :]


def _little(value: int) -> bytes:
    return struct.pack("<I", value)


def _big(value: int) -> bytes:
    return struct.pack(">I", value)


def id3v2(size: int) -> bytes:
    """A tag in front, with a picture of so many bytes."""
    bits = bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127))
    return b"ID3\x04\0\0" + bits + (b"\xff\xfb\x90\x64" * (size // 4 + 1))[:size]


def ape(size: int) -> bytes:
    head = b"APETAGEX" + struct.pack("<4I", 2000, size + 32, 1, 0x80000000) + bytes(8)
    foot = b"APETAGEX" + struct.pack("<4I", 2000, size + 32, 1, 0x80000000) + bytes(8)
    return head + b"x" * size + foot


ID3V1 = b"TAG" + b"t" * 125
LYRICS = b"LYRICSBEGIN" + b"la " * 100 + b"LYRICSEND"
LYRICS2 = b"LYRICSBEGIN" + b"IND0000200" + b"000021" + b"LYRICS200"

# What recorders, streams and taggers do to a file; each keeps all its samples.
HEADERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "wav-zero": ("wav-pcm_16", lambda b: patch(b, b"data", 4, _little(0))),
    "wav-zero-riff-too": (
        "wav-pcm_16",
        lambda b: patch(patch(b, b"data", 4, _little(0)), b"RIFF", 4, _little(36)),
    ),
    "wav-ffffffff": ("wav-pcm_24", lambda b: patch(b, b"data", 4, _little(0xFFFFFFFF))),
    "wav-7fffffff": ("wav-float", lambda b: patch(b, b"data", 4, _little(0x7FFFFFFF))),
    "wav-too-small": ("wav-pcm_16", lambda b: patch(b, b"data", 4, _little(3200))),
    "wav-adpcm-zero": ("wav-ms_adpcm", lambda b: patch(b, b"data", 4, _little(0))),
    "wav-chunk-behind": ("wav-pcm_16", lambda b: b + b"LIST" + _little(4000) + b"x" * 4000),
    "wav-id3": ("wav-pcm_16", lambda b: id3v2(4000) + b + ID3V1),
    "wav-zeros": ("wav-pcm_16", lambda b: b + bytes(5000)),
    "rf64-zero": ("rf64-pcm_16", lambda b: patch(b, b"ds64", 16, bytes(8))),
    "rf64-unknown": ("rf64-pcm_16", lambda b: patch(b, b"ds64", 16, b"\xff" * 8)),
    "aiff-zero": ("aiff-pcm_16", lambda b: patch(b, b"SSND", 4, _big(0))),
    "aiff-eight": ("aiff-pcm_16", lambda b: patch(patch(b, b"SSND", 4, _big(8)), b"COMM", 10, _big(0))),
    "au-zero": ("au-pcm_16", lambda b: patch(b, b".snd", 8, _big(0))),
    "au-unknown": ("au-pcm_16", lambda b: patch(b, b".snd", 8, _big(0xFFFFFFFF))),
    "caf-unknown": ("caf-pcm_16", lambda b: patch(b, b"\0data", 5, b"\xff" * 8)),
    "caf-zero": ("caf-pcm_16", lambda b: patch(b, b"\0data", 5, bytes(8))),
    "w64-zero": ("w64-pcm_16", lambda b: patch(b, b"data", 16, bytes(8))),
    "nist-no-count": ("nist-pcm_16", lambda b: b.replace(b"sample_count", b"sample_xount")),
    "flac-unknown": ("flac-pcm_16", lambda b: b[:21] + bytes((b[21] & 0xF0,)) + bytes(4) + b[26:]),
    "flac-too-small": ("flac-pcm_16", lambda b: b[:21] + bytes((b[21] & 0xF0,)) + _big(1000) + b[26:]),
    "flac-id3": ("flac-pcm_16", lambda b: id3v2(70_000) + b + ID3V1),
    "mp3-picture-ape": ("mp3-mpeg_layer_iii", lambda b: id3v2(300_000) + b + ape(20_000)),
    "mp3-id3v2-behind": ("mp3-mpeg_layer_iii", lambda b: b + id3v2(4000)),
    "mp3-lyrics": ("mp3-mpeg_layer_iii", lambda b: id3v2(100) + b + LYRICS + ID3V1),
    "mp3-lyrics2": ("mp3-mpeg_layer_iii", lambda b: b + LYRICS2 + ID3V1),
    "mp3-two-tags": ("mp3-mpeg_layer_iii", lambda b: id3v2(100) + id3v2(5000) + b + ape(300) + ID3V1),
    "ogg-open": ("ogg-vorbis", lambda b: _without_end(b)),
    "opus-open": ("ogg-opus", lambda b: _without_end(b)),
}


def _without_end(data: bytes) -> bytes:
    """The last page of Ogg without its end-of-stream mark, as browsers' recorders write it; with its checksum."""
    at = data.rindex(b"OggS")
    page = bytearray(data[at:])
    page[5] &= ~4
    page[22:26] = bytes(4)
    page[22:26] = _little(_ogg_crc(bytes(page)))
    return data[:at] + bytes(page)


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
