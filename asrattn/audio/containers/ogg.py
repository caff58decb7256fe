"""Ogg (Vorbis, Opus, FLAC, Speex): pages are walked, which gives the streams that follow each other."""

from asrattn.audio.containers import tags
from asrattn.audio.containers.crc import make_table
from asrattn.audio.containers.layout import AudioStream, ByteReader, Layout, patch

_PAGE_HEAD_BYTES = 27
_BEGINS, _ENDS = 2, 4  # flags of a page
_UNENDED_NOTE = (
    "its last page of Ogg has no end-of-stream mark: a recorder left it open, or what followed is missing"
)


def read_layout(reader: ByteReader, begin: int) -> Layout:
    """The chained streams from `begin` on."""
    end = tags.tags_begin(reader, begin)
    starts, at, last = [begin], begin, begin
    was_first, ended, truncated = True, True, ""
    while size := _page_size(reader, at):
        if at + size > end:
            truncated = "within a page of Ogg"
            break
        flags = reader.read(at + 5, 1)[0]
        if flags & _BEGINS and not was_first:
            starts.append(at)
        was_first, ended = bool(flags & _BEGINS), bool(flags & _ENDS)
        last, at = at, at + size
    if at < end and not truncated and not reader.is_zero(at, end) and _has_page(reader, at, end):
        truncated = "between two pages of Ogg, or damaged there"
    notes = () if ended or truncated else (_UNENDED_NOTE,)
    spans = list(zip(starts, [*starts[1:], at], strict=True))
    streams = [AudioStream((span,)) for span in spans]
    if notes:  # the decoder is given the mark: it then knows which samples of the last page are padding
        streams[-1] = AudioStream(patch(*spans[-1], {last: _ended_page(reader.read(last, at - last))}))
    return Layout(tuple(streams), at, notes, truncated)


def _ended_page(page: bytes) -> bytes:
    """The page with an end-of-stream mark, and its checksum."""
    head = page[:5] + bytes((page[5] | _ENDS,)) + page[6:22]
    crc = 0
    for byte in head + bytes(4) + page[26:]:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC32[crc >> 24 ^ byte]
    return head + crc.to_bytes(4, "little") + page[26:]


_CRC32 = make_table(32, 0x04C11DB7)


def _has_page(reader: ByteReader, begin: int, end: int) -> bool:
    """Whether a page, or a piece of its head, follows."""
    rest = reader.read(begin, 4)
    return rest == b"OggS"[: len(rest)] or any(
        b"OggS\0" in block for _, block in reader.blocks(begin, end, 4)
    )


def _page_size(reader: ByteReader, at: int) -> int:
    """Bytes of the page that begins here; 0 if none does."""
    head = reader.read(at, _PAGE_HEAD_BYTES)
    if len(head) < _PAGE_HEAD_BYTES or head[:5] != b"OggS\0":
        return 0
    sizes = reader.read(at + _PAGE_HEAD_BYTES, head[26])
    return _PAGE_HEAD_BYTES + head[26] + sum(sizes)
