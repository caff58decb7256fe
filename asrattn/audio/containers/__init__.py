"""Containers: which streams of audio lie in a file, without tags, with their true lengths."""

import os

from asrattn.audio.containers import chunks, flac, formats, mpeg, ogg, tags
from asrattn.audio.containers.layout import AudioStream, ByteReader, Layout, SoundBytes, left_note

HEAD_BYTES = 1024
_MARK_BYTES = 16
_PADDING_BYTES = 64
_PARSERS = dict.fromkeys(("riff", "aiff", "w64", "caf", "au", "nist", "voc"), chunks.read_layout)
_PARSERS |= {"ogg": ogg.read_layout, "flac": flac.read_layout}


def read_layout(file: SoundBytes) -> Layout:
    """The streams of a file, one after the other. Raises OSError."""
    reader = ByteReader(file)
    try:
        return _read_all(reader)
    finally:
        reader.release()


def read_head(file: SoundBytes) -> bytes:
    """The first bytes behind tags. Raises OSError."""
    reader = ByteReader(file)
    try:
        return reader.read(tags.tag_end(reader, 0), HEAD_BYTES) or reader.read(0, HEAD_BYTES)
    finally:
        reader.release()


def file_key(file: SoundBytes) -> tuple[int, ...] | None:
    """What changes when a file does; None for one in memory."""
    try:
        found = os.fstat(file.fileno())
    except OSError:  # io.UnsupportedOperation
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_all(reader: ByteReader) -> Layout:
    streams: list[AudioStream] = []
    notes: list[str] = []
    truncated, at = "", tags.tag_end(reader, 0)
    while at < reader.size and not truncated:
        part = _read_one(reader, at, first=not streams)
        if part is None:
            notes.append(left_note(reader.size - at))
            break
        streams += part.streams
        notes += part.notes
        truncated = part.truncated
        at = tags.tag_end(reader, _behind_zeros(reader, part.end))
        if reader.is_zero(at, reader.size) or at >= tags.tags_begin(reader, at):
            break
    if len(streams) > 1:
        notes.append(f"several streams follow each other; all are read ({len(streams)} streams)")
    return Layout(tuple(streams), at, tuple(dict.fromkeys(notes)), truncated)


def _read_one(reader: ByteReader, at: int, first: bool) -> Layout | None:
    """The streams that begin here; None if none does."""
    head = reader.read(at, HEAD_BYTES)
    name = formats.libsndfile_format(head)
    if name in _PARSERS:
        return _PARSERS[name](reader, at)
    if not first and head[:1] != b"\xff":
        return None
    if name:
        return _copies(reader, at, head[:_MARK_BYTES])
    whole = Layout((AudioStream(((at, reader.size),)),), reader.size) if first else None
    return mpeg.read_layout(reader, at) or whole


def _copies(reader: ByteReader, begin: int, mark: bytes) -> Layout:
    """A format without lengths: another stream begins where its first bytes recur."""
    starts = []
    for at, block in reader.blocks(begin, reader.size, len(mark) - 1):
        place = block.find(mark)
        while place >= 0:
            starts.append(at + place)
            place = block.find(mark, place + len(mark))
    spans = zip(starts, [*starts[1:], reader.size], strict=True)
    return Layout(tuple(AudioStream((span,)) for span in spans), reader.size)


def _behind_zeros(reader: ByteReader, at: int) -> int:
    """The first byte, of the next few, that is not padding."""
    return at + next((place for place, byte in enumerate(reader.read(at, _PADDING_BYTES)) if byte), 0)
