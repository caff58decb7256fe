"""soundfile backend: wav, flac, mp3, ogg, aiff, NIST sphere and what else libsndfile decodes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from asrattn.audio import containers
from asrattn.audio.containers.layout import AudioStream, Layout, SoundBytes
from asrattn.audio.containers.splice import Splice
from asrattn.audio.interface import AudioDecoder, Wave, explain_decode_error, truncation_error
from asrattn.errors import AudioError

_BLOCK = 1 << 18  # frames decoded at once: bounds the memory, also where a damaged header promises years
_MP3_FRAME = 1152
_VORBIS_PAGE = 255 * 2048  # frames at most in a page of Ogg
_BLOCK_CODINGS = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "G723", "NMS_ADPCM")
_MAX_FILL = 8192  # frames at most that fill up the last block of a coding
_MAX_LAYOUTS = 1024
_layouts: dict[
    tuple[int, ...], Layout
] = {}  # of the files that were opened lately, by what changes when they do


class _StreamDecoder:
    """One stream of a file."""

    def __init__(self, file: SoundBytes, stream: AudioStream) -> None:
        self._file, self._stream = file, stream
        self._open()
        self.rate: int = self.sound.samplerate
        self.channels: int = self.sound.channels
        self.format: str = self.sound.format
        self.frames = _true_frames(self.sound, stream)
        # Decoders of lossy codings keep a state: only some can seek, and they need a run-up.
        self._seekable: bool = self.sound.seekable() and not self.sound.subtype.startswith("ALAC")

    def _open(self) -> None:
        import soundfile

        self.splice = Splice(self._file, self._stream.pieces)
        self.sound = soundfile.SoundFile(self.splice)
        self._position = 0

    def close(self) -> None:
        self.sound.close()

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        end = min(begin + count, self.frames)
        while begin < end:
            # Also between two blocks soundfile seeks, which spoils the state of a decoder: each gets its run-up.
            at = self._seek(begin)
            block = self.sound.read(min(end - begin, _BLOCK) + begin - at, dtype="float32", always_2d=True)
            if self.splice.error:
                raise self.splice.error
            self._position = at + len(block)
            if self._position <= begin:
                break
            yield block[begin - at :]
            begin = self._position

    def _seek(self, begin: int) -> int:
        """Go to a frame at or before `begin`; where that is."""
        if self._seekable:
            at = max(begin - self._preroll(begin), 0)
            self.sound.seek(at)
            return at
        if begin < self._position:
            self.close()
            self._open()
        return self._position

    def _preroll(self, begin: int) -> int:
        """Frames to decode before a segment: an mp3 frame borrows bits from up to ten before it, and a seek into
        the last page of a Vorbis stream misses its place."""
        if self.format == "MP3":
            return 16 * _MP3_FRAME
        last_page = self.sound.subtype == "VORBIS" and begin > self.frames - _VORBIS_PAGE
        return _VORBIS_PAGE if last_page else 0


class _SoundfileDecoder:
    """All streams of a file, one after the other."""

    def __init__(self, streams: list[_StreamDecoder], notes: tuple[str, ...]) -> None:
        self.streams, self.notes = streams, notes
        self.rate, self.channels = streams[0].rate, streams[0].channels
        self.frames = sum(stream.frames for stream in streams)

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        first, end = 0, begin + count
        for stream in self.streams:
            last = first + stream.frames
            if begin < last and first < end:
                low, high = max(begin, first), min(end, last)
                yield from stream.blocks(low - first, high - low)
            first = last


@contextmanager
def open_soundfile(path: Path, file: SoundBytes) -> Iterator[AudioDecoder]:
    """libsndfile's view of the file. Raises AudioError for what it cannot decode, LibsndfileError for a coding that it
    does not know; also inside the with block."""
    import soundfile

    layout = _layout(path, file)
    if layout.truncated:
        raise truncation_error(path, layout.truncated)
    if not layout.streams:
        raise AudioError(f"{path}: holds tags and no audio; drop it")
    with ExitStack() as stack:
        streams: list[_StreamDecoder] = []
        notes = layout.notes
        for stream in layout.streams:
            decoder = _StreamDecoder(file, stream)
            stack.callback(decoder.close)
            if streams and (decoder.rate, decoder.channels) != (streams[0].rate, streams[0].channels):
                notes += ("a stream of another rate or channel count follows, which is not read",)
                break
            streams.append(decoder)
        try:
            yield _SoundfileDecoder(streams, notes)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: {explain_decode_error(error.code, error.error_string)}") from None


def _layout(path: Path, file: SoundBytes) -> Layout:
    """The streams of a file."""
    key = containers.file_key(file)
    known = _layouts.get(key) if key else None
    if known is None:
        known = containers.read_layout(file)
        if key:
            if len(_layouts) >= _MAX_LAYOUTS:
                _layouts.clear()
            _layouts[key] = known
    return known


def _true_frames(sound: Any, stream: AudioStream) -> int:
    frames: int = sound.frames
    if stream.frames is not None:
        return min(frames, stream.frames)
    filled = stream.fact is not None and 0 <= frames - stream.fact < _MAX_FILL
    return stream.fact if stream.fact and filled and sound.subtype.startswith(_BLOCK_CODINGS) else frames
