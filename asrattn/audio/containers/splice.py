"""Pieces of a file, and bytes in between, read as one file."""

import io
from collections.abc import Sequence

from asrattn.audio.containers.layout import Piece, SoundBytes

_BUFFER_BYTES = 1 << 16


class Splice:
    """What soundfile and PyAV read as a file. An OSError while reading ends the file for them; it is kept in `error`,
    for a callback must not raise."""

    def __init__(self, file: SoundBytes, pieces: Sequence[Piece]) -> None:
        self.error: OSError | None = None
        self._file, self._at = file, 0
        self._pieces: list[tuple[int, Piece]] = []  # with the places where they begin
        self.size = 0
        self._buffer: tuple[int, bytes] = (0, b"")  # decoders read a few bytes at a time
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            if length > 0:
                self._pieces.append((self.size, piece))
                self.size += length

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        count = max(self.size - self._at, 0) if count < 0 else count
        begin, kept = self._buffer
        if not begin <= self._at <= self._at + count <= begin + len(kept):
            begin, kept = self._buffer = self._at, self._read(self._at, max(count, _BUFFER_BYTES))
        data = kept[self._at - begin : self._at - begin + count]
        self._at += len(data)
        return data

    def _read(self, at: int, count: int) -> bytes:
        """The bytes from a place on, without the buffer; fewer at the end, and where the file became shorter."""
        end, parts = min(at + count, self.size), []
        try:
            for begin, piece in self._pieces:
                length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
                if begin + length > at < end:
                    parts.append(self._part(piece, at - begin, min(end - begin, length)))
                    at += len(parts[-1])
                    if at < min(end, begin + length):
                        break
        except OSError as error:
            self.error = self.error or error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _part(self, piece: Piece, begin: int, end: int) -> bytes:
        """The bytes of a piece between two places in it."""
        if isinstance(piece, bytes):
            return piece[begin:end]
        self._file.seek(piece[0] + begin)
        return self._file.read(end - begin) or b""
