"""WAV, RF64, W64, AIFF, CAF, AU and NIST sphere: where the samples lie, whatever the header says of their number.

A program that writes into a pipe, or dies, leaves a length of zero, or of 2 or 4 GiB, in the header.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from asrattn.audio.containers import formats, mpeg, tags
from asrattn.audio.containers.layout import (
    OPEN_NOTE,
    WRONG_LENGTH_NOTE,
    AudioStream,
    ByteReader,
    Layout,
    patch,
)

UNKNOWN_BYTES = 0x7FFF0000  # what a header that does not know the length promises, at least
_UNKNOWN_32 = 0xFFFFFFFF
_DS64_DATA_PLACE = 8  # of the size of the samples in the chunk ds64
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # of the names of chunks
_MPEG_CODINGS = (0x50, 0x55)
_VOC_SOUNDS = (1, 2, 9)  # kinds of blocks with samples
_FILES = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff", b"riff")  # names that begin another file
_MIN_UNCLOSED_BYTES = 1024  # fewer behind the samples are no samples
_NIST_MAX_HEAD_BYTES = 1 << 16


class Form(NamedTuple):
    """How chunks are written: format of name and size, bytes in front of the first, name of the one with the samples,
    bytes in it before the samples, alignment; whether sizes count the head."""

    head: str
    first: int
    samples: bytes
    skip: int = 0
    align: int = 2
    inclusive: bool = False


class Chunk(NamedTuple):
    """A chunk of `size` bytes at `begin`."""

    name: bytes
    begin: int
    size: int


class Samples(NamedTuple):
    """The samples of a file: bytes from `begin` on, how many the header promises (None: it does not know), the byte up
    to which the chunks are whole, whether the samples come last, where the header has their size and in which form,
    and the number of sample frames by the chunk `fact`."""

    begin: int
    promised: int | None
    stop: int
    last: bool
    place: int = 0
    size: str = ""
    extra: int = 0  # what that size counts beside the bytes from `begin` on
    fact: int | None = None
    width: int = 0  # bytes of a sample of all channels, if the header counts such
    is_mpeg: bool = False


_RIFF = Form("<4sI", 12, b"data")
_RIFX = Form(">4sI", 12, b"data")
_AIFF = Form(">4sI", 12, b"SSND", 8)
_W64 = Form("<16sq", 40, b"data" + _W64_TAIL, align=8, inclusive=True)
_CAF = Form(">4sq", 8, b"data", 4, align=1)


def read_layout(reader: ByteReader, begin: int) -> Layout:
    """The stream of the file that begins here."""
    end = tags.tags_begin(reader, begin)
    found = _find_samples(reader, begin, end)
    if found is None:
        return Layout((AudioStream(((begin, end),)),), end)
    if found.is_mpeg and (frames := mpeg.read_layout(reader, found.begin)):
        return frames
    there = end - found.begin
    if found.promised is None or _is_unclosed(reader, found, end):
        note = WRONG_LENGTH_NOTE if found.promised else OPEN_NOTE
        size = there + found.extra
        size = min(size, _UNKNOWN_32 - 1) if found.size[-1:] in "I" else size
        patches = {found.place: struct.pack(found.size, size)} if found.size else {}
        return Layout((AudioStream(patch(begin, end, patches), fact=found.fact),), end, (note,))
    if found.promised > there:
        unit, per_unit = ("samples", found.width) if found.width else ("bytes of audio", 1)
        text = f"({there // per_unit} of {found.promised // per_unit} {unit} are there)"
        return Layout((AudioStream(((begin, end),)),), end, truncated=text)
    stop = min(found.stop, end)
    return Layout((AudioStream(((begin, stop),), fact=found.fact),), stop)


def _find_samples(reader: ByteReader, begin: int, end: int) -> Samples | None:
    head = reader.read(begin, 24)
    if head[:4] in (b".snd", b"dns."):
        return _au_samples(head, begin)
    if head[:7] == b"NIST_1A":
        return _nist_samples(reader, begin)
    if head[:8] == b"Creative":
        return _voc_samples(reader, begin, end)
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        form = _RIFF
    else:
        form = {b"RIFX": _RIFX, b"FORM": _AIFF, b"riff": _W64}.get(head[:4], _CAF)
    chunks = list(_chunks(reader, begin + form.first, end, form))
    data = next((each for each in chunks if each.name == form.samples), None)
    return None if data is None else _chunk_samples(reader, begin, chunks, data, form)


def _chunks(reader: ByteReader, at: int, end: int, form: Form) -> Iterator[Chunk]:
    """The chunks that are there as a whole, and that of the samples also if it is not."""
    width, large = struct.calcsize(form.head), 0
    while at + width <= end:
        name, size = struct.unpack(form.head, reader.read(at, width))
        size -= width if form.inclusive else 0
        if name == form.samples and size == _UNKNOWN_32 and large:
            size = int(struct.unpack("<Q", reader.read(large, 8).ljust(8, b"\0"))[0])
        whole = 0 <= size <= end - at - width
        if (not (whole and _is_name(name)) and name != form.samples) or name[:4] in _FILES:
            return
        at += width
        yield Chunk(name, at, size)
        if not whole:
            return
        large = at + _DS64_DATA_PLACE if name == b"ds64" else large
        at += size
        if -size % form.align == 0 or not _is_name(reader.read(at, 4)):  # not all writers align
            at += -size % form.align


def _is_name(name: bytes) -> bool:
    return len(name) >= 4 and all(32 <= byte < 127 for byte in name[:4]) and name[:4].strip() != b""


def _chunk_samples(reader: ByteReader, begin: int, chunks: list[Chunk], data: Chunk, form: Form) -> Samples:
    width = struct.calcsize(form.head)
    size = form.head[0] + form.head[-1]
    place, promised = data.begin - struct.calcsize(size), data.size
    if chunks[0].name == b"ds64" and int.from_bytes(reader.read(place, 4), "little") == _UNKNOWN_32:
        place, size = chunks[0].begin + _DS64_DATA_PLACE, "<Q"
    unknown = promised < 0 or (promised >= UNKNOWN_BYTES and data.begin + promised > reader.size)
    last = chunks[-1]
    stop = max(last.begin + last.size, data.begin + max(promised, 0))
    return Samples(
        begin=data.begin + form.skip,
        promised=None if unknown else max(promised - form.skip, 0),
        stop=stop,
        last=last is data,
        place=place,
        size=size,
        extra=form.skip + (width if form.inclusive else 0),
        fact=_fact(reader, chunks),
        is_mpeg=_coding(reader, chunks) in _MPEG_CODINGS,
    )


def _fact(reader: ByteReader, chunks: list[Chunk]) -> int | None:
    """Sample frames by the chunk `fact`: codings in blocks fill up the last one."""
    fact = next((each for each in chunks if each.name[:4] == b"fact" and each.size >= 4), None)
    return int.from_bytes(reader.read(fact.begin, 4), "little") if fact else None


def _coding(reader: ByteReader, chunks: list[Chunk]) -> int:
    """The number of the coding by the chunk `fmt ` of a WAV file."""
    found = next((each for each in chunks if each.name == b"fmt "), None)
    return int.from_bytes(reader.read(found.begin, 2), "little") if found else 0


def _au_samples(head: bytes, begin: int) -> Samples:
    order = ">" if head[:4] == b".snd" else "<"
    start, size = struct.unpack(f"{order}II", head[4:12].ljust(8, b"\0"))
    promised = None if size >= UNKNOWN_BYTES else int(size)
    at = begin + start
    return Samples(at, promised, at + (promised or 0), True, begin + 8, f"{order}I")


def _nist_samples(reader: ByteReader, begin: int) -> Samples | None:
    """Sphere counts samples; without a count, and in compressed codings, libsndfile finds them."""
    head = reader.read(begin, _NIST_MAX_HEAD_BYTES)
    size = re.match(rb"NIST_1A\n *(\d{1,6})\n", head)
    fields = dict(
        re.findall(rb"^(\w+) -(?:i|s\d+) (\d{1,12}) *$", head.partition(b"end_head")[0], re.MULTILINE)
    )
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    if not size or any(name not in fields for name in names) or b",embedded-" in head:
        return None
    count, channels, width = (int(fields[name]) for name in names)
    at = begin + int(size[1])
    width *= channels
    return Samples(at, count * width, at + count * width, True, width=width)


def _voc_samples(reader: ByteReader, begin: int, end: int) -> Samples | None:
    """Blocks of a byte for the kind and three for the size; the last one ends the file."""
    at = begin + int.from_bytes(reader.read(begin + 20, 2), "little")
    while at + 4 <= end and (kind := reader.read(at, 1)[0]):
        size = int.from_bytes(reader.read(at + 1, 3), "little")
        if at + 4 + size > end and kind in _VOC_SOUNDS:
            return Samples(at + 4, size, end, True)
        at += 4 + size
    return None


def _is_unclosed(reader: ByteReader, found: Samples, end: int) -> bool:
    """Whether samples follow that the header does not count: then neither a chunk nor a file, text or silence do."""
    assert found.promised is not None
    begin = found.begin + found.promised
    if not found.last or end - begin < (_MIN_UNCLOSED_BYTES if found.promised else 1):
        return False
    for at in (begin, begin + 1):
        head = reader.read(at, 1024)
        if formats.libsndfile_format(head) or formats.ffmpeg_format(head):
            return False
    return not _is_text(head) and not reader.is_zero(begin, end)


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
