"""Tables of recordings: delimited text (csv, tsv), JSON lines and JSON; a row that cannot be read has its fault."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from asrattn.errors import DataError
from data_prep import delimited, text_files

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_REMEDY = "save it as csv, tsv or JSON lines"


class Row(NamedTuple):
    """where: file and line, for messages. cells: one for each column. fault: why it cannot be used, or ""."""

    number: int
    where: str
    cells: list[str]
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """first: the first row of delimited text, which may be a header; None of JSON, whose keys are the columns."""

    path: Path
    columns: list[str]
    rows: list[Row]
    first: Row | None = None


@dataclass(frozen=True)
class TableFormat:
    """How a table is to be read; None: recognised."""

    delimiter: str | None = None
    encoding: str | None = None


def read_table(path: Path, form: TableFormat = TableFormat()) -> Table:
    """A table with the rows that can be read, and the faults of the others. Raises DataError for no table at all."""
    if path.suffix.lower() in (".xlsx", ".xls", ".ods", ".parquet", ".arrow"):
        raise DataError(f"{path}: {path.suffix} files are not read; {_REMEDY}")
    lines = text_files.split_lines(path, form.encoding, has_option=True)
    start = next((line for line in lines if line.strip()), "")
    if path.suffix.lower() in JSON_SUFFIXES or isinstance(_parse(start), dict):
        return _read_json(path, lines)
    try:
        head, records = delimited.parse(lines, form.delimiter)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    rows = [Row(r.number, f"{path.name}:{r.number}", r.cells, r.fault) for r in records]
    first = Row(head.number, f"{path.name}:{head.number}", head.cells, head.fault)
    return Table(path, [cell.strip() for cell in head.cells], rows, first)


def _read_json(path: Path, lines: list[str]) -> Table:
    whole = _parse("\n".join(lines))
    if isinstance(whole, dict) and "utts" in whole:
        raise DataError(
            f"{path}: lists features of ESPnet; use python -m data_prep kaldi with the folder of wav.scp"
        )
    items = list(_items(path, whole, lines))
    if not items:
        raise DataError(f"{path}: holds no row; {_REMEDY}")
    columns = list(dict.fromkeys(key for _, _, item in items if isinstance(item, dict) for key in item))
    return Table(path, columns, [_json_row(*item, columns) for item in items])


def _items(path: Path, whole: object, lines: list[str]) -> Iterator[tuple[int, str, object]]:
    """Number, place and value of each row: of a list, of an object of rows by id, of an object with a list "data"; or
    of JSON lines."""
    if isinstance(whole, dict) and isinstance(whole.get("data"), list):
        whole = whole["data"]
    if isinstance(whole, dict) and all(isinstance(value, dict) for value in whole.values()):
        whole = [{"id": key, **value} for key, value in whole.items()]
    if isinstance(whole, list):
        yield from ((n, f"{path.name}: item {n}", item) for n, item in enumerate(whole, 1))
    else:
        yield from ((n, f"{path.name}:{n}", _parse(line)) for n, line in enumerate(lines, 1) if line.strip())


def _parse(text: str) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # numbers of thousands of digits, thousands of brackets
        return None


def _json_row(number: int, where: str, item: object, columns: list[str]) -> Row:
    if not isinstance(item, dict):
        return Row(number, where, [], "is no JSON object; one utterance a line")
    return Row(number, where, [_cell(item.get(column)) for column in columns])


def _cell(value: object) -> str:
    """The text of a value; the path of the object that Hugging Face writes for audio; "" for other objects."""
    match value:
        case str(text):
            return text
        case bool() | None:
            return ""
        case int() | float():
            return str(value)
        case {"path": str(path)}:
            return path
    return ""


def rows_below(table: Table, has_header: bool) -> Iterator[Row]:
    """The rows of utterances: the first row too where it is no header."""
    if table.first and not has_header:
        yield table.first
    yield from table.rows
