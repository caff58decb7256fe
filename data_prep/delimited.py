"""Delimited tables (csv, tsv) as spreadsheets and scripts write them: delimiter and quoting are recognised.

A row that cannot be read costs that row alone. A quotation mark that is never closed does not swallow the rows below
it, and a line break in a cell without quotation marks does not turn half a row into a whole one.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_DELIMITERS = "\t|;,"  # the first one that suits is taken: texts have commas, hardly ever tabs
_SAMPLE_LINES = 1000
MIN_CONSISTENT_FRACTION = 0.6  # of the lines that have the same number of cells
MAX_CELL_LINES = 30  # in a quoted cell; a mark that is open for longer was never meant to be
MIN_QUOTED_FRACTION = 0.9  # of the cells with quotation marks that must be quoted as spreadsheets do it

_EXCEL_CELL = re.compile(r'"(?:[^"]|"")*"')


class Record(NamedTuple):
    """A row: the number of its first line, its cells, and why it cannot be used ("" if it can)."""

    number: int
    cells: list[str]
    fault: str = ""


@dataclass(frozen=True)
class Dialect:
    """quote: the quotation mark around cells; "" where marks are characters like any other."""

    delimiter: str
    quote: str


class _Piece(NamedTuple):
    """What the lines [start, start + line_count) hold, before rows that were cut by a line break are found."""

    start: int
    line_count: int
    cells: list[str]
    fault: str = ""


def parse(lines: Sequence[str], delimiter: str | None = None) -> tuple[Record, list[Record]]:
    """The first row, which may be a header, and the others; empty rows are passed over.

    A row with another number of cells than most has a fault; the first row keeps its cells even then. Raises
    ValueError, with the reason, for a table without a row or without a delimiter that suits.
    """
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ValueError("is empty")
    if sep := re.fullmatch(r"\"?sep=(.)\"?", lines[first].strip("\r\n ")):  # Excel's own first line
        delimiter = delimiter or sep[1]
        first += 1
    dialect = _recognise(lines[first:], delimiter)
    pieces = list(_pieces(lines, first, dialect, frozenset(), 0))
    if not pieces:
        raise ValueError("is empty")
    width = _width(pieces)
    shapes = _first_shapes(pieces, width)
    if any(p.line_count > 1 for p in pieces):
        pieces = list(_pieces(lines, first, dialect, shapes, width))
    head, *rest = pieces
    rows = list(_rows(rest, width, shapes))
    return _head(head, rows, width), rows


def _recognise(lines: Sequence[str], delimiter: str | None) -> Dialect:
    sample = [line for line in lines[:_SAMPLE_LINES] if line.strip()]
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda d: _suitability(sample, d))
        if _suitability(sample, delimiter) <= 0:
            raise ValueError("has no delimiter that splits its rows alike; name it with --delimiter")
    if sample and re.fullmatch(rf"'[^']*'(?:{re.escape(delimiter)}'[^']*')*", sample[0].strip()):
        return Dialect(delimiter, "'")
    quoted = delimiter in ",; " or _is_quoted(lines, delimiter)
    return Dialect(delimiter, '"' if quoted else "")


def _suitability(sample: Sequence[str], delimiter: str) -> float:
    """The share of lines with the most frequent number of cells, if that is two or more; the first line counts most."""
    counts = [len(_loose_cells(line, delimiter)) for line in sample]
    width, alike = Counter(counts).most_common(1)[0]
    fraction = alike / len(counts)
    if width < 2 or (fraction < MIN_CONSISTENT_FRACTION and counts[0] != width):
        return 0.0
    # alike to a tenth, the rarer character in texts wins: max() takes the first
    return (2.0 if counts[0] == width else 1.0) + round(fraction, 1)


def _loose_cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line or len(line) > csv.field_size_limit():
        return line.split(delimiter)
    return next(csv.reader([line.replace("\r", " ")], delimiter=delimiter), [])


def _is_quoted(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a table of tabs or bars is quoted as spreadsheets do it; elsewhere a mark is part of the text."""
    header = next((line for line in lines if line.strip()), "").split(delimiter)
    if all(_EXCEL_CELL.fullmatch(cell.strip()) for cell in header):
        return True
    marked = [cell for line in lines if '"' in line for cell in line.split(delimiter) if '"' in cell]
    excel = [cell for cell in marked if _EXCEL_CELL.fullmatch(cell.strip())]
    doubled = any('""' in cell.strip()[1:-1] for cell in excel)
    return doubled and len(excel) >= MIN_QUOTED_FRACTION * len(marked)


def _pieces(
    lines: Sequence[str], first: int, dialect: Dialect, shapes: frozenset[str], width: int
) -> Iterator[_Piece]:
    """What stands on each line, or on several that a quoted cell spans; nothing for rows without content.

    shapes: of the first cells of rows, where they are known; a quoted cell holds no line that looks like a row.
    """
    at = first
    while at < len(lines):
        piece = _piece(lines, at, dialect)
        swallowed = (_piece(lines, i, dialect) for i in range(at + 1, at + piece.line_count))
        if shapes and any(len(p.cells) == width and _shape(p.cells[0]) in shapes for p in swallowed):
            piece = _Piece(at, 1, [], "a quotation mark is opened and not closed")
        at += piece.line_count
        if piece.fault or any(cell.strip() for cell in piece.cells):
            yield piece


def _piece(lines: Sequence[str], at: int, dialect: Dialect) -> _Piece:
    line = lines[at].rstrip("\r")
    if not dialect.quote or dialect.quote not in line:
        return _Piece(at, 1, line.split(dialect.delimiter))
    fault = "a quotation mark is opened and not closed"
    for count in range(1, min(MAX_CELL_LINES, len(lines) - at) + 1):
        try:
            return _Piece(at, count, _strict_cells(lines[at : at + count], dialect))
        except csv.Error as error:
            if "unexpected end" not in str(error):
                if count == 1:
                    fault = "a quotation mark within a quoted cell is not doubled"
                break
    return _Piece(at, 1, [], fault)


def _strict_cells(lines: Iterable[str], dialect: Dialect) -> list[str]:
    text = [line.replace("\r", " ") + "\n" for line in lines]
    return next(csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True), [])


def _width(pieces: Sequence[_Piece]) -> int:
    """The number of cells that most rows have; the first row's own where hardly any two rows are alike."""
    head, *rest = pieces
    usual = Counter(len(p.cells) for p in rest if not p.fault)
    found, count = usual.most_common(1)[0] if usual else (len(head.cells), 0)
    return found if 2 * count > len(rest) or head.fault else len(head.cells)


def _head(head: _Piece, rows: Sequence[Record], width: int) -> Record:
    """The first row; it may end with a delimiter though the others do not, or the other way round."""
    number, cells = head.start + 1, list(head.cells)
    if len(cells) == width + 1 and not cells[-1].strip():
        del cells[-1]
    elif len(cells) == width - 1 and not any(row.cells[-1].strip() for row in rows if not row.fault):
        cells.append("")
    if head.fault or len(cells) == width:
        return Record(number, cells, head.fault)
    return Record(number, cells, f"has {len(cells)} columns, most rows have {width}")


def _first_shapes(pieces: Sequence[_Piece], width: int) -> frozenset[str]:
    """How the first cells of rows on one line look."""
    return frozenset(
        _shape(p.cells[0]) for p in pieces[1:] if p.line_count == 1 and len(p.cells) == width and not p.fault
    )


@lru_cache(maxsize=1 << 16)
def _shape(cell: str) -> str:
    """A word becomes w, one with a digit 9: LJ001-0001 is 9-9, and clips/a1.wav is w/9.w."""
    return re.sub(r"\w+", lambda word: "9" if any(map(str.isdigit, word[0])) else "w", cell.strip())


def _rows(pieces: Sequence[_Piece], width: int, shapes: frozenset[str]) -> Iterator[Record]:
    """The rows; those that a line break has cut are one row with a fault."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and _continues(group, piece, width, shapes):
            group.append(piece)
            continue
        if group:
            yield _row(group, width)
        group = [piece]
    if group:
        yield _row(group, width)


def _continues(group: Sequence[_Piece], piece: _Piece, width: int, shapes: frozenset[str]) -> bool:
    """Whether the piece is the rest of the row before it: it does not begin as rows do, and together they fit."""
    if piece.fault or group[0].fault or len(piece.cells) >= width:
        return False
    together = sum(len(p.cells) for p in group) - (len(group) - 1) + len(piece.cells) - 1
    return together <= width and _shape(piece.cells[0]) not in shapes


def _row(group: Sequence[_Piece], width: int) -> Record:
    first, last = group[0], group[-1]
    number = first.start + 1
    if len(group) > 1:
        return Record(
            number, [], f"a line break cuts it: lines {number} to {last.start + last.line_count} are one row"
        )
    if first.fault or len(first.cells) == width:
        return Record(number, first.cells, first.fault)
    return Record(number, [], f"has {len(first.cells)} columns, the table has {width}")
