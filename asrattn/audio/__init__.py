"""Audio files: decoding, downmixing and resampling to mono float32 at the requested rate. No torch here.

soundfile reads wav, flac, mp3, ogg, aiff and NIST sphere. PyAV, an extra, reads the audio track of m4a, mp4, mov, webm,
mkv and aac. Codecs are imported when first needed. The format is detected from the
content, not from the name. Every failure is an AudioError of one line.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn import files
from asrattn.audio.interface import AudioDecoder, Wave, truncation_error
from asrattn.audio.pyav_backend import open_pyav
from asrattn.audio.soundfile_backend import open_soundfile
from asrattn.errors import AudioError

_CODECS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    ".sph": ("NIST", "PCM_16"),
}
EXTENSIONS: frozenset[str] = frozenset(
    {*_CODECS, ".oga", ".au", ".caf", ".w64", ".m4a", ".mp4", ".mov", ".webm", ".mkv", ".aac"}
)

_OVERSHOOT_SECONDS = 0.01  # seconds by which a segment may pass the end: lists of segments are rounded
_RATES = range(1000, 1_000_000)  # Hz; what lies outside comes from a damaged header


class AudioInfo(NamedTuple):
    """rate in Hz and channels as they are in the file, and its length in seconds."""

    rate: int
    channels: int
    seconds: float


def info(path: Path) -> AudioInfo:
    """The header. Raises AudioError, as `read` does for whatever shows without decoding."""
    with _open(path) as sound:
        return AudioInfo(sound.rate, sound.channels, sound.frames / sound.rate)


def check(path: Path) -> None:
    """Raises AudioError, as `read` does, for a file that cannot be opened; its content is not read."""
    _file(path).close()


def read(
    path: Path,
    rate: int,
    start: float | None = None,
    seconds: float | None = None,
    data: bytes | None = None,
) -> Wave:
    """(S,) float32, the mean of the channels, resampled to `rate` Hz.

    start, seconds   a segment of the file; found by seeking, so that memory follows the segment and not the file. An
                     end up to 10 ms past the end of the file is clipped
    data             the bytes of the file, where it lies in an archive; the path is for the messages then

    Raises AudioError for: missing, unreadable, a folder, empty, truncated, no audio, zero length, NaN or infinite
    samples, a rate of 0, a segment outside of the file, a container that needs PyAV where it is not installed.
    """
    _check_rate(rate, f"{path}: cannot be read at {rate} Hz")
    with _open(path, data) as sound:
        begin, count = _segment(path, sound, start, seconds)
        blocks = list(sound.blocks(begin, count))
        wave = blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])
        if len(wave) < count - sound.slack or not len(wave):
            raise truncation_error(
                path, f"after {(begin + len(wave)) / sound.rate:.2f} s of {sound.frames / sound.rate:.2f} s"
            )
        native = sound.rate
    _check_finite(wave, native, f"{path}: holds")
    return _resample(path, wave, native, rate)


def write(path: Path, wave: NDArray[Any], rate: int) -> None:
    """Write a wave (S,) in the format of the suffix, whole or not at all.

    Raises AudioError for a full disk, and as `encode` does.
    """
    data = encode(path, wave, rate)
    try:
        with files.atomic_write(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror})") from None


def encode(path: Path, wave: NDArray[Any], rate: int) -> memoryview:
    """The bytes of a file of this name for a wave (S,); PCM is 16 bit, what passes ±1 is clipped.

    Raises AudioError for a suffix or rate that cannot be written, an empty or unfinished wave.
    """
    if path.suffix.lower() not in _CODECS:
        raise AudioError(
            f"{path}: cannot write {path.suffix or 'no suffix'}; use one of {', '.join(_CODECS)}"
        )
    _check_rate(rate, f"{path}: cannot be written at {rate} Hz")
    if wave.ndim != 1 or not len(wave):
        raise AudioError(
            f"{path}: a wave of shape {wave.shape} cannot be written; give one channel (S,), S > 0"
        )
    _check_finite(wave, rate, f"{path}: cannot be written, it would hold")
    return _encode(path, wave, rate)


def _encode(path: Path, wave: NDArray[Any], rate: int) -> memoryview:
    """Encoded in memory: libsndfile would hide a full disk, which Python reports."""
    import soundfile

    codec, subtype = _CODECS[path.suffix.lower()]
    data = io.BytesIO()
    try:
        with soundfile.SoundFile(data, "w", rate, 1, format=codec, subtype=subtype) as out:
            for at in range(0, len(wave), 1 << 16):  # the Vorbis encoder keeps a whole write on its stack
                out.write(wave[at : at + (1 << 16)])
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: cannot be written at {rate} Hz ({error.error_string})") from None
    return data.getbuffer()


@contextmanager
def _open(path: Path, data: bytes | None = None) -> Iterator[AudioDecoder]:
    """The file, its header checked."""
    with _file(path) if data is None else io.BytesIO(data) as file:
        head = file.read(1024)
        file.seek(0)
        if not head:
            raise AudioError(f"{path}: is empty (0 bytes); record or copy it again")
        with _decoder(path, file, head) as sound:
            _check_rate(sound.rate, f"{path}: its header is damaged, it gives a rate of {sound.rate} Hz")
            if sound.frames <= 0:
                raise AudioError(f"{path}: holds no samples; it is of zero length or truncated, drop it")
            yield sound


def _file(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder; name an audio file in it")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path}: is a pipe or a device; save the audio to a file first")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise AudioError(f"{path}: does not exist; check the path") from None
    except PermissionError:
        raise AudioError(f"{path}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise AudioError(f"{str(path)!r}: cannot be opened ({error})") from None


def _decoder(path: Path, file: IO[bytes], head: bytes) -> AbstractContextManager[AudioDecoder]:
    """PyAV for its containers, soundfile for the rest; the first bytes decide."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return open_pyav(path, file, "mp4")
    if head[:4] == b"\x1aE\xdf\xa3":
        return open_pyav(path, file, "matroska")
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return open_pyav(path, file, "aac")
    return open_soundfile(path, file, head)


def _segment(path: Path, sound: AudioDecoder, start: float | None, seconds: float | None) -> tuple[int, int]:
    """First frame and number of frames in the file's own rate."""
    total = sound.frames / sound.rate
    first = 0.0 if start is None else start
    last = total if seconds is None else first + seconds
    inside = 0 <= first < min(last, total) and last <= total + _OVERSHOOT_SECONDS  # False for NaN as well
    begin = round(first * sound.rate) if inside else 0
    count = min(round(last * sound.rate), sound.frames) - begin if inside else 0
    if count <= 0:
        raise AudioError(
            f"{path}: the segment from {first:g} s to {last:g} s is empty or not within its {total:.3f} s; "
            "correct start and seconds"
        )
    return begin, count


def _resample(path: Path, wave: Wave, native: int, rate: int) -> Wave:
    """Resampling by soxr, (S,) -> (S',)."""
    if native == rate:
        return wave
    import soxr

    resampled: Wave = soxr.resample(wave, native, rate)
    if not len(resampled):
        raise AudioError(f"{path}: {len(wave)} samples at {native} Hz give none at {rate} Hz; drop it")
    return resampled


def _check_rate(rate: int, message: str) -> None:
    if rate not in _RATES:
        raise AudioError(
            f"{message}; a rate is a whole number of Hz from {_RATES.start} to {_RATES.stop - 1}"
        )


def _check_finite(wave: NDArray[Any], rate: int, message: str) -> None:
    good = np.isfinite(wave)
    if not good.all():
        at = int(np.argmin(good))
        raise AudioError(
            f"{message} {wave[at]} at {at / rate:.3f} s ({int((~good).sum())} samples are no numbers); "
            "make it again or drop it"
        )
