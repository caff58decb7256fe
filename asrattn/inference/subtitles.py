"""Subtitle cues: words in groups, lines broken by display width, times that are never empty and never overlap."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from asrattn.inference.transcript import Word
from asrattn.text.characters import is_spaceless

# Readable subtitles: two lines of 42 columns, at most seven seconds, a new one at each pause of the speaker.
MAX_LINE_WIDTH, MAX_LINES, MAX_CUE_SECONDS, MIN_PAUSE_SECONDS = 42, 2, 7.0, 1.0
MIN_CUE_SECONDS, MIN_WORD_SECONDS = 0.3, 0.01
_MAX_GLUED_WIDTH = 8  # columns of characters that stand together on a line
_THAI_LAO_BEFORE = "เแโใไເແໂໃໄ"  # vowels written before their consonant
_THAI_LAO_AFTER = "\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3"  # and after it
_SMALL_KANA = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮーゝゞヽヾ々〻"


class Cue(NamedTuple):
    """start and end in milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]


class _Piece(NamedTuple):
    """A word, or a part of one that may stand on another line; `space` before it. Times in seconds."""

    text: str
    start: float
    end: float
    space: bool


def make_cues(words: Sequence[Word], seconds: float) -> list[Cue]:
    """The cues of words in an audio of this length."""
    groups = list(_groups(list(_pieces(words))))
    times = spread_times(
        [(group[0].start, group[-1].end) for group in groups], seconds, MIN_CUE_SECONDS, MAX_CUE_SECONDS
    )
    return [Cue(*time, tuple(_lines(group))) for time, group in zip(times, groups, strict=True)]


def spread_times(
    times: Sequence[tuple[float, float]], seconds: float, shortest: float, longest: float = float("inf")
) -> list[tuple[int, int]]:
    """(start, end) in seconds -> in milliseconds: in order, none empty or overlapping, all within the audio.

    shortest   what an empty one is given, or less where the audio has no room; longest: where a longer one ends
    """
    if not times:
        return []
    n, last = len(times), max(end for _, end in times)
    total = max(int(1000 * seconds + 1e-6) or round(1000 * last), n)
    least = max(1, min(round(1000 * shortest), total // n))
    starts = [max(0, round(1000 * start)) for start, _ in times]
    for i in range(1, n):
        starts[i] = max(starts[i], starts[i - 1] + least)
    for i in reversed(range(n)):
        starts[i] = min(starts[i], (starts[i + 1] if i + 1 < n else total) - least)
    found = []
    for start, after, (_, end) in zip(starts, [*starts[1:], total], times, strict=True):
        stop = min(max(round(1000 * end), start + least), after)
        found.append((start, int(min(stop, start + 1000 * longest))))
    return found


def display_width(text: str) -> int:
    """Columns: full-width characters count 2, marks and invisible ones 0."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pieces(words: Iterable[Word]) -> Iterator[_Piece]:
    """Words, without white space in them; those of scripts without spaces, and those wider than a line, in parts."""
    last = ""
    for word in words:
        text = " ".join(word.text.split())
        if not text:
            continue
        space = bool(last) and not (_joins(last) and _joins(text[0]))
        last = text[-1]
        splits = display_width(text) > MAX_LINE_WIDTH or any(map(is_spaceless, text))
        parts = _unbreakable_parts(text) if splits else [text]
        at, per_column = word.start, (word.end - word.start) / max(display_width(text), 1)
        for part in parts:
            end = at + per_column * display_width(part)
            yield _Piece(part, at, end, space)
            at, space = end, False


def _joins(character: str) -> bool:
    """Whether it needs no space beside another such one: scripts without spaces, full-width punctuation."""
    return is_spaceless(character) or (
        unicodedata.east_asian_width(character) in "WF" and unicodedata.category(character)[0] == "P"
    )


def _unbreakable_parts(text: str) -> list[str]:
    """Characters with their marks; closing signs, small kana and Thai vowels stand with their neighbours."""
    parts: list[str] = []
    for character in text:
        fits = parts and display_width(parts[-1] + character) <= _MAX_GLUED_WIDTH
        if parts and (_width(character) == 0 or (fits and _holds_together(parts[-1][-1], character))):
            parts[-1] += character
        else:
            parts.append(character)
    return parts


def _holds_together(before: str, after: str) -> bool:
    kinds = unicodedata.category(before), unicodedata.category(after)
    return (
        before == "\u200d"
        or kinds[0] in ("Ps", "Pi")
        or before in _THAI_LAO_BEFORE
        or kinds[1] in ("Pe", "Pf", "Po", "Mc", "Lm")
        or after in _THAI_LAO_AFTER
        or after in _SMALL_KANA
        or (before.isascii() and after.isascii() and before.isalnum() and after.isalnum())
    )


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces that fit into one cue, in width and time."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and (
            piece.start - group[-1].end > MIN_PAUSE_SECONDS
            or piece.end - group[0].start > MAX_CUE_SECONDS
            or len(_lines([*group, piece])) > MAX_LINES
        ):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _lines(group: Sequence[_Piece]) -> list[str]:
    lines = [group[0].text]
    for piece in group[1:]:
        longer = f"{lines[-1]}{' ' * piece.space}{piece.text}"
        if display_width(longer) <= MAX_LINE_WIDTH:
            lines[-1] = longer
        else:
            lines.append(piece.text)
    return lines
