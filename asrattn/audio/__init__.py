"""Audio files: decoding, downmixing and resampling to mono float32 at the requested rate. No torch here.

soundfile reads wav, flac, mp3, ogg, aiff and NIST sphere. PyAV, an extra, reads the audio track of m4a, mp4, mov, webm,
mkv and aac. Codecs are imported when first needed. The format is detected from the
content, not from the name. Every failure is an AudioError of one line.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asrattn import files
from asrattn.audio import containers
from asrattn.audio.containers import formats
from asrattn.audio.containers.formats import EXTENSIONS
from asrattn.audio.containers.layout import SoundBytes
from asrattn.audio.interface import AudioDecoder, Wave, explain_decode_error, truncation_error
from asrattn.audio.pyav_backend import open_pyav
from asrattn.audio.samples import Channel, SampleStats, select
from asrattn.audio.soundfile_backend import open_soundfile
from asrattn.audio.walker import same_name
from asrattn.errors import AudioError

__all__ = ["EXTENSIONS", "AudioInfo", "Sound", "check", "encode", "info", "open_sound", "read", "write"]

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
_OVERSHOOT_SECONDS = 0.01  # seconds by which a segment may pass the end: lists of segments are rounded
_KEPT_SECONDS = 60.0  # of the last segment, which the next may overlap
_RATES = range(1000, 1_000_000)  # Hz; what lies outside comes from a damaged header


class AudioInfo(NamedTuple):
    """rate in Hz and channels as they are in the file, and its length in seconds."""

    rate: int
    channels: int
    seconds: float


def info(path: Path) -> AudioInfo:
    """Rate, channels and true length; decodes only what tells its length in no other way.

    Raises AudioError, as `read` does for whatever shows without decoding.
    """
    with open_sound(path) as sound:
        return AudioInfo(sound.rate, sound.channels, sound.seconds)


def check(path: Path) -> None:
    """Raises AudioError, as `read` does, for a file that cannot be opened; its content is not read."""
    _file(path).close()


def read(
    path: Path,
    rate: int,
    start: float | None = None,
    seconds: float | None = None,
    data: bytes | None = None,
    channel: Channel = None,
) -> Wave:
    """(S,) float32, the mean of the channels or one of them, resampled to `rate` Hz.

    start, seconds   a segment of the file; found by seeking, so that memory follows the segment and not the file. An
                     end up to 10 ms past the end of the file is clipped
    data             the bytes of the file, where it lies in an archive; the path is for the messages then
    channel          counted from 1; None: the mean of all

    Raises AudioError for: missing, unreadable, a folder, empty, truncated, no audio, zero length, NaN or infinite
    samples, a rate of 0, a segment outside of the file, a channel that is not there, a container that needs PyAV where
    it is not installed.
    """
    with open_sound(path, data) as sound:
        return sound.read(rate, start, seconds, channel)


class Sound:
    """An open audio file. seconds: its true length; `notes` says what is odd about it and what was read of it."""

    def __init__(self, path: Path, decoder: AudioDecoder) -> None:
        self.path, self._decoder = path, decoder
        self.rate, self.channels, self.frames = decoder.rate, decoder.channels, decoder.frames
        self.seconds = self.frames / self.rate
        self.stats = SampleStats()
        self._last: tuple[int, Wave] = (
            0,
            np.zeros((0, 1), np.float32),
        )  # what was read last, and where it began

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._decoder.notes, *self.stats.notes())

    def read(
        self,
        rate: int,
        start: float | None = None,
        seconds: float | None = None,
        channel: Channel = None,
    ) -> Wave:
        """As `audio.read`. Segments one after the other are decoded once, also where the coding cannot seek."""
        _check_rate(rate, f"{self.path}: cannot be read at {rate} Hz")
        if channel is not None and not 1 <= channel <= self.channels:
            raise AudioError(f"{self.path}: has no channel {channel}; it has {self.channels}")
        begin, count = _segment(self.path, self, start, seconds)
        blocks = [select(block, channel, self.stats) for block in self._blocks(begin, count)]
        wave = blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])
        if len(wave) < count or not len(wave):
            there, total = (begin + len(wave)) / self.rate, self.seconds
            raise truncation_error(self.path, f"or damaged after {there:.2f} s of {total:.2f} s")
        _check_finite(wave, self.rate, f"{self.path}: holds")
        self.stats.add(wave)
        return _resample(self.path, wave, self.rate, rate)

    def _blocks(self, begin: int, count: int) -> list[Wave]:
        """Frames (n, channels) of the file; those at the end of the last segment are not decoded again."""
        first, kept = self._last
        head = kept[begin - first : begin - first + count] if begin >= first else kept[:0]
        blocks = [head] if len(head) else []
        blocks += self._decoder.blocks(begin + len(head), count - len(head)) if len(head) < count else []
        if blocks and count <= _KEPT_SECONDS * self.rate and count < self.frames:
            blocks = [np.concatenate(blocks)]
            self._last = begin, blocks[0]
        return blocks


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
def open_sound(path: Path, data: bytes | None = None) -> Iterator[Sound]:
    """An audio file, its header checked. Raises AudioError as `read` does, also inside the with block."""
    try:
        with ExitStack() as stack:
            file: SoundBytes = _file(path) if data is None else io.BytesIO(data)
            stack.callback(file.close)
            head = containers.read_head(file)
            if not head:
                raise AudioError(f"{path}: is empty (0 bytes); record or copy it again")
            decoder = _open_decoder(stack, path, file, head)
            _check_rate(decoder.rate, f"{path}: its header is damaged, it gives a rate of {decoder.rate} Hz")
            if decoder.frames <= 0:
                raise AudioError(f"{path}: holds no samples; it is of zero length or truncated, drop it")
            yield Sound(path, decoder)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}); copy it again") from None


def _file(path: Path) -> io.FileIO:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder; name an audio file in it")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path}: is a pipe or a device; save the audio to a file first")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        if other := same_name(path):
            return other.open("rb", buffering=0)
        why = "is a link to what is not there" if path.is_symlink() else "does not exist"
        raise AudioError(f"{path}: {why}; check the path") from None
    except PermissionError:
        raise AudioError(f"{path}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise AudioError(f"{str(path)!r}: cannot be opened ({error})") from None


def _open_decoder(stack: ExitStack, path: Path, file: SoundBytes, head: bytes) -> AudioDecoder:
    """PyAV for its containers, soundfile for the rest, and PyAV for codings that soundfile lacks; the bytes decide."""
    if name := formats.ffmpeg_format(head):
        return stack.enter_context(open_pyav(path, file, name))
    import soundfile

    try:
        return stack.enter_context(open_soundfile(path, file))
    except soundfile.LibsndfileError as error:
        name = formats.ffmpeg_alternative(head)
        if name:
            with suppress(AudioError):
                return stack.enter_context(open_pyav(path, file, name))
        raise AudioError(f"{path}: {explain_decode_error(error.code, error.error_string)}") from None


def _segment(path: Path, sound: Sound, start: float | None, seconds: float | None) -> tuple[int, int]:
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
