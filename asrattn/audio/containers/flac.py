"""FLAC: several streams in one file, and headers that give no length or a wrong one."""

import struct

from asrattn.audio.containers import tags
from asrattn.audio.containers.crc import make_table
from asrattn.audio.containers.layout import (
    OPEN_NOTE,
    WRONG_LENGTH_NOTE,
    AudioStream,
    ByteReader,
    Layout,
    patch,
)

_MARK = b"fLaC\x00\x00\x00\x22"  # the begin of a stream: its first block is STREAMINFO, of 34 bytes
_TOTAL_PLACE = 21  # of the byte with the first four bits of the number of samples
_MIN_FRAME_BYTES = 8
_TAIL_BYTES = 1 << 17  # at the end, where the last frame begins


def read_layout(reader: ByteReader, begin: int) -> Layout:
    """The streams from `begin` on."""
    end = tags.tags_begin(reader, begin)
    starts = [begin, *_later_streams(reader, _audio_begin(reader, begin), end)]
    notes, streams, truncated = [], [], ""
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        head = reader.read(start, 42).ljust(42, b"\0")
        promised = (head[_TOTAL_PLACE] & 0xF) << 32 | int.from_bytes(head[22:26], "big")
        found, end = _last_sample(reader, start, stop, head)
        if promised > found or not found:
            truncated = truncated or f"({found} of {promised} samples are there)"
        total = struct.pack(">BI", head[_TOTAL_PLACE] & 0xF0 | found >> 32, found & 0xFFFFFFFF)
        if promised == found:
            streams.append(AudioStream(((start, end),)))
        else:
            streams.append(AudioStream(patch(start, end, {start + _TOTAL_PLACE: total})))
            notes.append(WRONG_LENGTH_NOTE if promised else OPEN_NOTE)
    return Layout(tuple(streams), end, tuple(dict.fromkeys(notes)), truncated)


def _audio_begin(reader: ByteReader, at: int) -> int:
    """Behind the blocks of metadata."""
    at += 4
    while len(head := reader.read(at, 4)) == 4:
        at += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    return min(at, reader.size)


def _later_streams(reader: ByteReader, begin: int, end: int) -> list[int]:
    found = []
    for at, block in reader.blocks(begin, end, len(_MARK) - 1):
        place = block.find(_MARK)
        while place >= 0:
            found.append(at + place)
            place = block.find(_MARK, place + 1)
    return found


def _last_sample(reader: ByteReader, begin: int, end: int, head: bytes) -> tuple[int, int]:
    """How many samples there are up to the end of the last whole frame, by its header, and where that is; 0 samples
    without a frame."""
    at = max(_audio_begin(reader, begin), end - _TAIL_BYTES)
    tail = reader.read(at, end - at)
    block = int.from_bytes(head[10:12], "big")
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if tail[place + 1 : place + 2] in (b"\xf8", b"\xf9"):
            total = _frame_end(tail[place : place + 16], block)
            size = 0 if total is None else _frame_size(tail[place:])
            if total is not None and size:
                return total, at + place + size
    return 0, end


def _frame_size(data: bytes) -> int:
    """The size of the frame that begins here, up to the checksum in its last two bytes; 0 if it is not whole.

    The last place with the right checksum: by chance one of 65536 places has it.
    """
    crc, size = 0, 0
    for place, byte in enumerate(data, 1):
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
        if crc == 0 and place > _MIN_FRAME_BYTES:
            size = place
    return size


def _frame_end(head: bytes, block: int) -> int | None:
    """The number of the sample behind the frame with this header; None if it is no header of a frame."""
    if len(head) < 6 or head[3] & 1 or head[2] & 0xF == 0xF or not head[2] >> 4:
        return None
    number, at = _coded_number(head)
    size, at = _block_size(head, at)
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 0xF, 0)
    if at >= len(head) or size is None or number is None or _crc8(head[:at]) != head[at]:
        return None
    variable = head[1] & 1  # then frames are counted by samples
    return (number if variable else number * block) + size


def _coded_number(head: bytes) -> tuple[int | None, int]:
    """The number of the frame or sample, written as UTF-8 is, and where it ends."""
    ones = 8 - (head[4] ^ 0xFF).bit_length()
    if ones == 0:
        return head[4], 5
    more = head[5 : 4 + ones]
    if not 2 <= ones <= 7 or any(byte & 0xC0 != 0x80 for byte in more):
        return None, 5
    number = head[4] & (0x7F >> ones)
    for byte in more:
        number = number << 6 | byte & 0x3F
    return number, 4 + ones


def _block_size(head: bytes, at: int) -> tuple[int | None, int]:
    code = head[2] >> 4
    if code == 6:
        return int.from_bytes(head[at : at + 1], "big") + 1, at + 1
    if code == 7:
        return int.from_bytes(head[at : at + 2], "big") + 1, at + 2
    return (192 if code == 1 else 576 << code - 2 if code <= 5 else 256 << code - 8), at


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


_CRC8 = make_table(8, 0x07)
_CRC16 = make_table(16, 0x8005)
