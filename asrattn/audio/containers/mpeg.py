"""MPEG audio (mp3, mp2): frames are walked from header to header, which gives streams and true lengths."""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from asrattn.audio.containers import tags
from asrattn.audio.containers.layout import AudioStream, ByteReader, Layout, Piece, patch

_BITRATES = {  # kbit/s by MPEG 1 or 2, and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_MAX_SEARCH_BYTES = 1 << 16  # for the first frame
_ID3V1_BYTES = 128
_FOLLOWING_FRAMES = 3  # that make a frame of what looks like one
_SPARE_SHARE = 50  # one part of so many is appended, where the decoder estimates the length


class Frame(NamedTuple):
    """A frame of MPEG audio; `kind` is what stays the same in one stream, side_info the bytes behind the header."""

    size: int
    samples: int
    rate: int
    layer: int
    kind: tuple[int, int, bool]
    side_info: int


class _Run(NamedTuple):
    """Frames of one stream, each by its place; `promised` by a header of the length at `header`, if it has one."""

    head: bytes
    first: Frame
    spans: list[tuple[int, int]]
    frames: int
    header: int | None
    promised: int | None


@lru_cache(maxsize=1 << 14)
def parse_frame(head: bytes) -> Frame | None:
    """The frame with this header of four bytes; None if it is none, or of the free format."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or not 0 < bitrate < 15 or rate == 3:
        return None
    mpeg, mono, padding = 1 if version == 3 else 2, head[3] >> 6 == 3, head[2] >> 1 & 1
    hertz, bits = _RATES[version][rate], 1000 * _BITRATES[mpeg, layer][bitrate - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and mpeg == 2 else 1152
    size = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    side_info = (17, 32)[not mono] if mpeg == 1 else (9, 17)[not mono]
    return Frame(size, samples, hertz, layer, (version << 2 | layer, rate, mono), side_info)


def _find(reader: ByteReader, begin: int, until: int, end: int) -> int | None:
    """The first frame from `begin` on, and before `until`, that others of its kind follow, or the end."""
    for at, block in reader.blocks(begin, until, 3):
        place = block.find(b"\xff")
        while place >= 0:
            if at + place < until and _is_followed(reader, at + place, block[place : place + 4], end):
                return at + place
            place = block.find(b"\xff", place + 1)
    return None


def _is_followed(reader: ByteReader, at: int, head: bytes, end: int) -> bool:
    frame = parse_frame(head)
    for _ in range(_FOLLOWING_FRAMES):
        at += frame.size if frame else 0
        following = parse_frame(reader.read(at, 4)) if frame and at < end else None
        if not frame or not following or following.kind != frame.kind:
            return frame is not None and (at == end or _is_tag(reader, at))
        frame = following
    return True


def _is_tag(reader: ByteReader, at: int) -> bool:
    return tags.tag_end(reader, at) > at


def read_layout(reader: ByteReader, begin: int) -> Layout | None:
    """The streams of frames from `begin` on; None where there are none."""
    end = tags.tags_begin(reader, begin)
    first = _find(reader, begin, min(end, begin + _MAX_SEARCH_BYTES), end)
    if first is None:
        return None
    walk = _Walk(reader, end)
    walk.go(first)
    notes = []
    strange = walk.strange + (0 if reader.is_zero(begin, first) else first - begin)
    if strange:
        notes.append(f"bytes that are no mp3 frames are left out ({strange} bytes)")
    truncated = next(filter(None, (_truncated(run, walk.partial) for run in walk.runs)), "")
    if walk.partial and not truncated:
        notes.append("its last mp3 frame is incomplete; all before it is read")
    runs = [run for run in walk.runs if run.frames]
    if not runs:
        return None
    return Layout(tuple(map(_stream, runs)), end, tuple(notes), truncated)


class _Walk:
    """Goes from frame to frame, and collects runs of frames which belong together."""

    def __init__(self, reader: ByteReader, end: int) -> None:
        self.reader, self.end = reader, end
        self.runs: list[_Run] = []
        self.strange = 0  # bytes that belong to no frame or tag
        self.partial = False  # the last frame is not whole

    def go(self, at: int) -> None:
        spans: list[tuple[int, int]] = []
        begin, count = at, 0
        head, first, header, promised = b"", None, None, None

        def close() -> None:
            if begin < at:
                spans.append((begin, at))
            if first and (count or header is not None):
                self.runs.append(_Run(head, first, spans, count, header, promised))

        while at < self.end:
            here = self.reader.read(at, 4)
            frame = parse_frame(here)
            if frame is None or at + frame.size > self.end:
                if begin < at:
                    spans.append((begin, at))
                begin = at = self._skip(at, frame)
                continue
            length = _length_header(self.reader, at, frame)
            if first is None or frame.kind != first.kind or length is not None:
                close()
                spans, begin, count, head, first = [], at, 0, here, frame
                header, promised = (None, None) if length is None else (at, length or None)
                if length is not None:
                    at += frame.size
                    continue
            count += 1
            at += frame.size
        close()

    def _skip(self, at: int, frame: Frame | None) -> int:
        """Where the walk goes on, where there is no whole frame."""
        after = tags.tag_end(self.reader, at)
        if after == at and self.reader.read(at, 3) == b"TAG":
            after = at + _ID3V1_BYTES
        if after > at:
            return after
        found = _find(self.reader, at + 1, self.end, self.end)
        if found is None and frame:
            self.partial = True
        else:
            self.strange += (self.end if found is None else found) - at
        return self.end if found is None else found


def _length_header(reader: ByteReader, at: int, frame: Frame) -> int | None:
    """The frames that a Xing, Info or VBRI header promises, 0 if it does not say; None if this frame holds audio."""
    if frame.layer != 3:
        return None
    body = reader.read(at + 4, min(frame.size - 4, 64))
    place = frame.side_info
    if body[place : place + 4] in (b"Xing", b"Info"):
        flags = body[place + 4 : place + 12]
        return struct.unpack(">II", flags)[1] if len(flags) == 8 and flags[3] & 1 else 0
    return 0 if body[32:36] == b"VBRI" else None


def _truncated(run: _Run, partial: bool) -> str:
    if run.promised is None or run.frames >= run.promised - (not partial):
        return ""
    seconds = run.first.samples / run.first.rate
    return f"after {run.frames * seconds:.2f} s of {run.promised * seconds:.2f} s"


def _stream(run: _Run) -> AudioStream:
    """With a header of the true length in front, without which decoders guess."""
    if run.first.layer != 3:
        spare = bytes(sum(end - begin for begin, end in run.spans) // _SPARE_SHARE + 2 * run.first.size)
        return AudioStream((*run.spans, spare), run.frames * run.first.samples)
    if run.header is not None and run.promised is not None:
        if run.promised == run.frames:
            return AudioStream(tuple(run.spans))
        (begin, end), *rest = run.spans
        place = run.header + 4 + run.first.side_info + 8
        return AudioStream((*patch(begin, end, {place: struct.pack(">I", run.frames)}), *rest))
    pieces: Iterator[Piece] = iter(run.spans)
    if run.header is not None:
        (begin, end), *rest = run.spans
        pieces = iter([(begin + run.first.size, end), *rest])
    return AudioStream((_xing_frame(run), *pieces))


def _xing_frame(run: _Run) -> bytes:
    """A frame without audio that tells how many others follow."""
    head = bytes((0xFF, run.head[1] | 1, 0x80 | run.head[2] & 0x0C, run.head[3]))
    frame = parse_frame(head)
    assert frame is not None
    body = head + bytes(frame.side_info) + b"Xing" + struct.pack(">II", 1, run.frames)
    return body.ljust(frame.size, b"\0")
