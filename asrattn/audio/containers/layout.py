"""What the bytes of a file say of the audio in it: streams and true lengths. Nothing is decoded here."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int]  # from this byte of the file up to, and without, that one
Piece = bytes | Span
SoundBytes = io.RawIOBase | io.BytesIO  # a file, opened without a buffer, or the bytes of one

OPEN_NOTE = "its header gives no length; it is read to its end"
WRONG_LENGTH_NOTE = "its header gives a wrong length; it is read to its end"


def left_note(count: int) -> str:
    return f"bytes are left after the end of the audio, which are not read ({count} bytes)"


@dataclass(frozen=True)
class AudioStream:
    """One stream of audio, to be decoded alone.

    pieces     parts of the file, and bytes that replace wrong ones, which together are a file for the decoder
    frames     how many sample frames there are; None: as many as the decoder says
    fact       how many there are without those that fill up the last block of a coding in blocks
    """

    pieces: tuple[Piece, ...]
    frames: int | None = None
    fact: int | None = None


@dataclass(frozen=True)
class Layout:
    """Streams that follow each other, up to the byte `end`; what is odd about them, and where they are truncated (""
    if they are not)."""

    streams: tuple[AudioStream, ...]
    end: int
    notes: tuple[str, ...] = ()
    truncated: str = ""


class ByteReader:
    """A file, read at any place; a short read marks its end. Raises OSError."""

    def __init__(self, file: SoundBytes) -> None:
        self._file = file if isinstance(file, io.BytesIO) else io.BufferedReader(file, 1 << 16)
        self.size = self._file.seek(0, io.SEEK_END)

    def read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)

    def blocks(self, begin: int, end: int, overlap: int = 0) -> Iterator[tuple[int, bytes]]:
        """Places and bytes of consecutive blocks, each with the first bytes of the next."""
        size = 1 << 18
        for at in range(begin, end, size):
            yield at, self.read(at, min(size + overlap, end - at))

    def is_zero(self, begin: int, end: int) -> bool:
        """Whether there are nothing but zeros."""
        return not any(any(block) for _, block in self.blocks(begin, end))

    def release(self) -> None:
        """Leave the file open."""
        if isinstance(self._file, io.BufferedReader):
            self._file.detach()


def patch(begin: int, end: int, patches: dict[int, bytes]) -> tuple[Piece, ...]:
    """The bytes from `begin` to `end`, with those at some places replaced."""
    pieces: list[Piece] = []
    at = begin
    for place, new in sorted(patches.items()):
        pieces += [(at, place), new]
        at = place + len(new)
    return (*pieces, (at, end))
