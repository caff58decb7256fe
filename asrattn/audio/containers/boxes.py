"""MP4 and Matroska: whether a file is as long as its outermost elements say. FFmpeg takes what is left of a cut one."""

from asrattn.audio.containers.layout import ByteReader, SoundBytes

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


def unmatched_bytes(file: SoundBytes, name: str) -> int:
    """How many bytes are left behind the end of an MP4 or Matroska file; below 0: how many it lacks; 0 for other
    formats, and if only zeros are left. Raises OSError."""
    reader = ByteReader(file)
    try:
        end = _mp4_end(reader) if name == "mp4" else _matroska_end(reader) if name == "matroska" else 0
        return reader.size - end if (end and not reader.is_zero(end, reader.size)) or end > reader.size else 0
    finally:
        reader.release()


def _mp4_end(reader: ByteReader) -> int:
    """Where the last box at the top ends, before another file or bytes that are no box."""
    at = 0
    while at < reader.size:
        head = reader.read(at, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0 and head[4:8].isalnum():
            return reader.size
        if size < 8 or not head[4:8].isalnum() or (at and head[4:8] == b"ftyp"):
            break
        at += size
    return at


def _matroska_end(reader: ByteReader) -> int:
    """Where the last segment ends, for FFmpeg reads on in a second file; 0 where one does not say so, as if live."""
    at = 0
    while reader.read(at, 4) == _EBML:
        for mark in (_EBML, _SEGMENT):
            head = reader.read(at, 12)
            size, width = _variable_size(head[4:])
            if head[:4] != mark or size is None:
                return 0
            at += 4 + width + size
    return at


def _variable_size(data: bytes) -> tuple[int | None, int]:
    """The size of an element and how many bytes it takes; None for an unknown one."""
    width = 9 - data[0].bit_length() if data and data[0] else 8
    bits = 7 * width
    size = int.from_bytes(data[:width], "big") & ((1 << bits) - 1)
    return (None if size == (1 << bits) - 1 else size), width
