"""soundfile backend: wav, flac, mp3, ogg, aiff and NIST sphere."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asrattn.audio.interface import AudioDecoder, Wave, explain_decode_error, truncation_error
from asrattn.errors import AudioError

_BLOCK = 1 << 20  # frames decoded at once: bounds the memory, also where a damaged header promises years
_PIPED_WAV_BYTES = (
    0x7FFF0000  # bytes; a wav written into a pipe promises more than this, not knowing its length
)
_MP3_FRAME = 1152
_MP3_TAIL = 256  # bytes that tags may take at the end
_VORBIS_PAGE = 255 * 2048  # frames at most in a page of Ogg


class _SoundfileDecoder:
    def __init__(self, path: Path, file: IO[bytes], sound: Any, head: bytes) -> None:
        self.path, self.file, self.sound = path, file, sound
        self.rate: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: int = sound.frames
        # Without a length header libsndfile guesses the length of an mp3 from its bit rate.
        self.guessed = sound.format == "MP3" and b"Xing" not in head and b"Info" not in head
        self.slack = 2 * _MP3_FRAME if sound.format == "MP3" else 0
        if self.guessed:
            self.slack += self.frames // 50

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        at = max(begin - self._preroll(begin), 0)
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

    def _preroll(self, begin: int) -> int:
        """Frames to decode before a segment: an mp3 frame borrows bits from up to ten before it, and a seek into
        the last page of a Vorbis stream misses its place."""
        if self.sound.format == "MP3":
            return 16 * _MP3_FRAME
        last_page = self.sound.subtype == "VORBIS" and begin > self.frames - _VORBIS_PAGE
        return _VORBIS_PAGE if last_page else 0

    def _check_end(self, at: int, end: int) -> None:
        """A guessed length may be too long, or too short, and then audio would be lost silently."""
        position = self.file.tell()
        rest = self.file.seek(0, os.SEEK_END) - position
        self.file.seek(position)
        if at < end - self.slack or (self.guessed and end >= self.frames and rest > _MP3_TAIL):
            raise AudioError(
                f"{self.path}: is an mp3 that ends after {at / self.rate:.2f} s with {rest} bytes left, where "
                f"{self.frames / self.rate:.2f} s were expected; it is truncated or has no length header, "
                "which ffmpeg -i old.mp3 -c copy new.mp3 writes"
            )


@contextmanager
def open_soundfile(path: Path, file: IO[bytes], head: bytes) -> Iterator[AudioDecoder]:
    """libsndfile's view of the file. Raises AudioError for what it cannot decode, also inside the with block."""
    import soundfile

    try:
        # By descriptor, or from memory: given a name, libsndfile takes any bytes called .au or .raw for audio.
        source = file if isinstance(file, io.BytesIO) else file.fileno()
        with soundfile.SoundFile(source, closefd=False) as sound:
            _check_truncation(path, sound, head)
            yield _SoundfileDecoder(path, file, sound, head)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: {explain_decode_error(error.code, error.error_string)}") from None


def _check_truncation(path: Path, sound: Any, head: bytes) -> None:
    """libsndfile quietly takes what is left of a truncated file; its log and the header know better."""
    log = sound.extra_info
    for promised, found in re.findall(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        if int(found) < int(promised) < _PIPED_WAV_BYTES:
            raise truncation_error(path, f"({found} of {promised} bytes of audio are there)")
    if "lacks an end-of-stream" in log or "Junk after the last page" in log:
        raise truncation_error(path, f"after {sound.frames / sound.samplerate:.2f} s")
    count = re.search(rb"sample_count -i (\d+)", head) if sound.format == "NIST" else None
    if count and sound.frames < int(count[1]):
        raise truncation_error(path, f"({sound.frames} of {int(count[1])} samples are there)")
