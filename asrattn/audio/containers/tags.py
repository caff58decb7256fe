"""Tags in front of and behind the audio: ID3v1, ID3v2, APEv2, Lyrics3."""

import struct

from asrattn.audio.containers.layout import ByteReader

_ID3V1_BYTES, _ID3V1_EXTENDED_BYTES = 128, 227
_LYRICS3V1_BYTES = 5100  # at most


def tag_end(reader: ByteReader, at: int) -> int:
    """Where the tags that begin at this byte end; `at` itself without one."""
    while size := _tag_size(reader.read(at, 32)):
        at += size
    return at


def _tag_size(head: bytes) -> int:
    """Bytes of the tag with this head; 0 if it is none."""
    if len(head) >= 10 and head[:3] == b"ID3" and max(head[6:10]) < 128 and head[3] != 0xFF:
        return _syncsafe(head[6:10]) + (20 if head[5] & 0x10 else 10)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return int(struct.unpack("<I", head[12:16])[0]) + 32
    return 0


def _syncsafe(data: bytes) -> int:
    """The 28 bits of an ID3v2 size."""
    return data[0] << 21 | data[1] << 14 | data[2] << 7 | data[3]


def tags_begin(reader: ByteReader, begin: int) -> int:
    """Where the tags at the end of the file begin; the end of the file without one."""
    end = reader.size
    while (size := _last_tag_size(reader, end)) and end - size >= begin:
        end -= size
    return end


def _last_tag_size(reader: ByteReader, end: int) -> int:
    if end >= _ID3V1_BYTES and reader.read(end - _ID3V1_BYTES, 3) == b"TAG":
        return _ID3V1_BYTES
    if end >= _ID3V1_EXTENDED_BYTES and reader.read(end - _ID3V1_EXTENDED_BYTES, 4) == b"TAG+":
        return _ID3V1_EXTENDED_BYTES
    foot = reader.read(end - 32, 32) if end >= 32 else bytes(32)
    if foot[:8] == b"APETAGEX":
        size, _, flags = struct.unpack("<3I", foot[12:24])
        return int(size) + (32 if flags >> 31 else 0)
    if foot[-10:-7] == b"3DI" and max(foot[-4:]) < 128:
        return _syncsafe(foot[-4:]) + 20
    if foot[-9:] == b"LYRICS200" and foot[-15:-9].isdigit():
        return int(foot[-15:-9]) + 15
    if foot[-9:] == b"LYRICSEND":
        text = reader.read(max(end - _LYRICS3V1_BYTES - 20, 0), min(end, _LYRICS3V1_BYTES + 20))
        begin = text.rfind(b"LYRICSBEGIN")
        return len(text) - begin if begin >= 0 else 0
    return 0
