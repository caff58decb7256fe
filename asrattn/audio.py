"""Sound files -> mono float32 at the rate one asks for. The codecs are imported when first needed; no torch here.

soundfile reads wav, flac, mp3, ogg, aiff and NIST sphere. PyAV, an extra, reads the sound track of m4a, mp4, mov, webm,
mkv and aac. A file is judged by its content, not by its name. Every failure is an AudioError of one line.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import AudioError

Wave = NDArray[np.float32]

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

_BLOCK = 1 << 20  # frames decoded at once: bounds the memory, also where a damaged header promises years
_OVERSHOOT = 0.01  # seconds by which a segment may pass the end: lists of segments are rounded
_RATES = range(1000, 1_000_000)  # Hz; what lies outside comes from a damaged header
_ENDLESS = (
    0x7FFF0000  # bytes; programs that write wav into a pipe promise more than this, not knowing the length
)
_MP3_FRAME = 1152
_MP3_TAIL = 1 << 11  # bytes that tags may take at the end
_VORBIS_PAGE = 255 * 2048  # frames at most in a page of Ogg


class AudioInfo(NamedTuple):
    """rate in Hz and channels as they are in the file, and its length in seconds."""

    rate: int
    channels: int
    seconds: float


class _Sound(Protocol):
    """An open file: `slack` frames fewer than promised are no damage."""

    rate: int
    channels: int
    frames: int
    slack: int

    def blocks(self, begin: int, count: int) -> Iterator[Wave]: ...


def info(path: Path) -> AudioInfo:
    """What the header says. Raises AudioError, as `read` does for whatever shows without decoding."""
    with _open(path) as sound:
        return AudioInfo(sound.rate, sound.channels, sound.frames / sound.rate)


def read(path: Path, rate: int, start: float | None = None, seconds: float | None = None) -> Wave:
    """(S,) float32, the mean of the channels, resampled to `rate` Hz.

    start, seconds: a segment of the file; found by seeking, so that memory follows the segment and not the file. An end
    up to 10 ms past the end of the file is clipped.

    Raises AudioError for: missing, unreadable, a folder, empty, truncated, no sound, zero length, NaN or infinite
    samples, a rate of 0, a segment outside of the file, a container that needs PyAV where it is not installed.
    """
    _check_rate(rate, f"{path}: cannot be read at {rate} Hz")
    with _open(path) as sound:
        begin, count = _segment(path, sound, start, seconds)
        blocks = list(sound.blocks(begin, count))
        wave = blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])
        if len(wave) < count - sound.slack or not len(wave):
            raise _cut_short(
                path, f"after {(begin + len(wave)) / sound.rate:.2f} s of {sound.frames / sound.rate:.2f} s"
            )
        native = sound.rate
    _check_finite(wave, native, f"{path}: holds")
    return _resample(path, wave, native, rate)


def write(path: Path, wave: NDArray[Any], rate: int) -> None:
    """Write a wave (S,) in the format of the suffix, whole or not at all; PCM is 16 bit, what passes ±1 is clipped.

    Raises AudioError for a suffix or rate that cannot be written, an empty or unfinished wave, a full disk.
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
    data = _encode(path, wave, rate)
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise AudioError(f"{path}: cannot be written ({error.strerror})") from None


def _encode(path: Path, wave: NDArray[Any], rate: int) -> memoryview:
    """Encoded in memory: libsndfile would hide a full disk, which Python tells."""
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
def _open(path: Path) -> Iterator[_Sound]:
    """The file, its header checked."""
    with _file(path) as file:
        head = file.read(1024)
        file.seek(0)
        if not head:
            raise AudioError(f"{path}: is empty (0 bytes); record or copy it again")
        with _decoder(path, file, head) as sound:
            _check_rate(sound.rate, f"{path}: its header is damaged, it gives a rate of {sound.rate} Hz")
            if sound.frames <= 0:
                raise AudioError(f"{path}: holds no samples; it is of zero length or cut short, leave it out")
            yield sound


def _file(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder; name a sound file in it")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path}: is a pipe or a device; save the sound to a file first")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise AudioError(f"{path}: does not exist; check the path") from None
    except PermissionError:
        raise AudioError(f"{path}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise AudioError(f"{str(path)!r}: cannot be opened ({error})") from None


def _decoder(path: Path, file: IO[bytes], head: bytes) -> AbstractContextManager[_Sound]:
    """PyAV for its containers, soundfile for the rest, told apart by the first bytes."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return _container(path, file, "mp4")
    if head[:4] == b"\x1aE\xdf\xa3":
        return _container(path, file, "matroska")
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return _container(path, file, "aac")
    return _plain(path, file, head)


def _segment(path: Path, sound: _Sound, start: float | None, seconds: float | None) -> tuple[int, int]:
    """First frame and number of frames in the file's own rate."""
    total = sound.frames / sound.rate
    first = 0.0 if start is None else start
    last = total if seconds is None else first + seconds
    inside = 0 <= first < min(last, total) and last <= total + _OVERSHOOT  # False for NaN as well
    begin = round(first * sound.rate) if inside else 0
    count = min(round(last * sound.rate), sound.frames) - begin if inside else 0
    if count <= 0:
        raise AudioError(
            f"{path}: the segment from {first:g} s to {last:g} s is empty or not within its {total:.3f} s; "
            "correct start and seconds"
        )
    return begin, count


def _resample(path: Path, wave: Wave, native: int, rate: int) -> Wave:
    if native == rate:
        return wave
    import soxr

    resampled: Wave = soxr.resample(wave, native, rate)
    if not len(resampled):
        raise AudioError(f"{path}: {len(wave)} samples at {native} Hz give none at {rate} Hz; leave it out")
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
            "make it again or leave it out"
        )


def _cut_short(path: Path, where: str) -> AudioError:
    return AudioError(f"{path}: is cut short {where}; copy it again, or convert what is left to a new file")


# soundfile


class _Plain:
    def __init__(self, path: Path, file: IO[bytes], sound: Any, head: bytes) -> None:
        self.path, self.file, self.sound = path, file, sound
        self.rate: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: int = sound.frames
        told = b"Xing" in head or b"Info" in head  # else the length is guessed from the bit rate
        self.slack = (2 if told else 4) * _MP3_FRAME if sound.format == "MP3" else 0

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        at = max(begin - self._run_up(begin), 0)
        self.sound.seek(at)
        while at < begin + count:
            block = self.sound.read(min(begin + count - at, _BLOCK), dtype="float32", always_2d=True)
            if not len(block):
                break
            wanted = block[max(begin - at, 0) :]
            at += len(block)
            if len(wanted):
                yield wanted[:, 0] if self.channels == 1 else wanted.mean(axis=1)
        if self.sound.format == "MP3":
            self._check_end(at, begin + count)

    def _run_up(self, begin: int) -> int:
        """Frames to decode before a segment: an mp3 frame borrows bits from up to ten before it, and a seek into
        the last page of a Vorbis stream misses its place."""
        if self.sound.format == "MP3":
            return 16 * _MP3_FRAME
        last_page = self.sound.subtype == "VORBIS" and begin > self.frames - _VORBIS_PAGE
        return _VORBIS_PAGE if last_page else 0

    def _check_end(self, at: int, end: int) -> None:
        """Where the length is a guess, it may be too long, or too short, and sound would be lost in silence."""
        rest = os.fstat(self.file.fileno()).st_size - self.file.tell()
        if at < end - self.slack or (end >= self.frames and rest > _MP3_TAIL):
            raise AudioError(
                f"{self.path}: is an mp3 that ends after {at / self.rate:.2f} s with {rest} bytes left, where "
                f"{self.frames / self.rate:.2f} s were expected; it is cut short or has no length header, "
                "which ffmpeg -i old.mp3 -c copy new.mp3 writes"
            )


@contextmanager
def _plain(path: Path, file: IO[bytes], head: bytes) -> Iterator[_Sound]:
    import soundfile

    try:
        # By descriptor: given a name, libsndfile takes any bytes called .au or .raw for sound.
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            _refuse_cut(path, sound, head)
            yield _Plain(path, file, sound, head)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: {_reason(error.code, error.error_string)}") from None


def _reason(code: int, text: str) -> str:
    if code == 1:
        return "is no sound file, or in a format that is not known; convert it to wav or flac"
    if "SF_INFO struct incomplete" in text:
        return "its header is damaged, it gives a rate or a channel count of 0; record or copy it again"
    if "unimplemented" in text:
        return "is in a coding that is not known (a compressed sphere file?); convert it to wav or flac"
    text = text.removeprefix("Error : ").rstrip(".")
    return f"cannot be decoded ({text}); it is damaged or cut short, copy it again or leave it out"


def _refuse_cut(path: Path, sound: Any, head: bytes) -> None:
    """libsndfile quietly takes what is left of a truncated file; its log and the header know better."""
    log = sound.extra_info
    for promised, found in re.findall(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        if int(found) < int(promised) < _ENDLESS:
            raise _cut_short(path, f"({found} of {promised} bytes of sound are there)")
    if "lacks an end-of-stream" in log or "Junk after the last page" in log:
        raise _cut_short(path, f"after {sound.frames / sound.samplerate:.2f} s")
    count = re.search(rb"sample_count -i (\d+)", head) if sound.format == "NIST" else None
    if count and sound.frames < int(count[1]):
        raise _cut_short(path, f"({sound.frames} of {int(count[1])} samples are there)")


# PyAV


class _Track:
    """The first sound track of a container."""

    def __init__(self, container: Any, seconds: float) -> None:
        self.container, self.stream = container, container.streams.audio[0]
        self.rate: int = self.stream.rate or 0
        self.channels: int = self.stream.channels
        self.slack = self.rate // 10  # containers count in packets and milliseconds
        self.frames = round(seconds * self.rate)

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        import av

        origin = self.stream.start_time or 0
        if begin and self.container.format.name != "aac":  # a bare aac stream has no index to seek in
            before = max(begin / self.rate - 0.25, 0.0)  # codecs need a run-up
            self.container.seek(int(before / self.stream.time_base) + origin, stream=self.stream)
        planes = av.AudioResampler(format="fltp")
        at: int | None = None
        for frame in self.container.decode(self.stream):
            if at is None:
                at = round(((frame.pts or origin) - origin) * self.stream.time_base * self.rate)
            for part in planes.resample(frame):
                block = part.to_ndarray().mean(axis=0)
                wanted = block[max(begin - at, 0) : max(begin + count - at, 0)]
                at += len(block)
                if len(wanted):
                    yield wanted
            if at >= begin + count:
                return


def _seconds(path: Path, container: Any, stream: Any) -> float:
    """Length by the index where there is one, else by the packets' times, without decoding."""
    bare = container.format.name == "aac"
    if stream.duration is not None and not bare:
        return float(stream.duration * stream.time_base)
    ends = (p.pts + (p.duration or 0) for p in container.demux(stream) if p.pts is not None)
    seconds = float((max(ends, default=0) - (stream.start_time or 0)) * stream.time_base)
    promised = (container.duration or 0) / 1e6
    if seconds < promised - 0.1 and len(container.streams) == 1 and not bare:
        raise _cut_short(path, f"after {seconds:.2f} s of {promised:.2f} s")
    return seconds


@contextmanager
def _container(path: Path, file: IO[bytes], name: str) -> Iterator[_Sound]:
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(f"{path}: is {name}, which needs PyAV; pip install asrattn[video]") from None
    try:
        # An open file and a fixed format: nothing in it can make FFmpeg open another file or an address.
        with av.open(file, format=name, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise AudioError(f"{path}: holds no sound track; name another file")
            seconds = _seconds(path, container, container.streams.audio[0])
        file.seek(0)  # opened anew, for a decoder that is rewound loses its first packet
        with av.open(file, format=name, metadata_errors="replace") as container:
            yield _Track(container, seconds)
    except av.FFmpegError as error:
        raise AudioError(f"{path}: {_reason(0, str(error.strerror))}") from None
