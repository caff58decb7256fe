"""Delimited tables: every delimiter and quoting that programs write; a bad row costs itself alone."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import delimited
from data_prep.delimited import Record


def parse(text: str, delimiter: str | None = None) -> tuple[Record, list[Record]]:
    return delimited.parse(text.split("\n"), delimiter)


def good(text: str, delimiter: str | None = None) -> list[list[str]]:
    return [row.cells for row in parse(text, delimiter)[1] if not row.fault]


def faults(text: str) -> dict[int, str]:
    return {row.number: row.fault for row in parse(text)[1] if row.fault}


def table(delimiter: str, row: str, count: int = 100, at: int = 50) -> str:
    """A hundred rows below a header; the one on line `at` + 1 is `row`."""
    rows = [f"a{n}.wav{delimiter}say number {n}" for n in range(1, count + 1)]
    rows[at - 1] = row.replace("|", delimiter)
    return "\n".join([f"path{delimiter}sentence", *rows, ""])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a50.wav|one|two", "has 3 columns, the table has 2"),
        ("a50.wav|one\ntwo", "lines 51 to 52 are one row"),
        ("a50.wav|one\ntwo three\nfour", "lines 51 to 53 are one row"),
        ("a50.wav", "has 1 columns, the table has 2"),
        ("a50.wav|one|", "has 3 columns, the table has 2"),
    ],
)
def test_a_bad_row_costs_itself_alone(delimiter: str, row: str, reason: str) -> None:
    text = table(delimiter, row)
    assert len(good(text)) == 99
    assert list(faults(text)) == [51]
    assert reason in faults(text)[51]


@pytest.mark.parametrize("row", ['"a50.wav|one', 'a50.wav|"one', 'a50.wav|"one" two', 'a50.wav|"one\ntwo'])
def test_a_stray_quotation_mark_swallows_no_other_row(row: str) -> None:
    text = table(",", row)
    assert [cells[0] for cells in good(text)] == [f"a{n}.wav" for n in range(1, 101) if n != 50]
    assert "quotation mark" in faults(text)[51]


def test_two_stray_marks_do_not_make_one_row() -> None:
    text = table(",", 'a50.wav|"one').replace("a51.wav,say number 51", 'a51.wav,say number 51"')
    assert len(good(text)) == 99
    assert list(faults(text)) == [51]


def test_a_quoted_cell_may_span_lines_and_numbers_stay_right() -> None:
    text = table(",", 'a50.wav|"one\ntwo, three\nfour"').replace("a60.wav,say", "a60.wav,x,say")
    assert ["a50.wav", "one\ntwo, three\nfour"] in good(text)
    assert list(faults(text)) == [63]  # the 60th row, two lines further down


def test_a_line_break_within_a_wide_table() -> None:
    rows = [f"s{n % 3}\ta{n}.mp3\tSay {n}.\ttwenties\t\tus" for n in range(9)]
    rows[4] = rows[4].replace("Say 4.", "Say\n4.")
    text = "\n".join(["client_id\tpath\tsentence\tage\tgender\taccents", *rows])
    assert len(good(text)) == 8
    assert "lines 6 to 7 are one row" in faults(text)[6]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("path,text\na.wav,x\n", [["a.wav", "x"]]),
        ("path;text\na.wav;Hello, you\nb.wav;Oh, no\n", [["a.wav", "Hello, you"], ["b.wav", "Oh, no"]]),
        ("path\ttext\na.wav\tHello, you\n", [["a.wav", "Hello, you"]]),
        ("path|text\na.wav|Hello, you; me\n", [["a.wav", "Hello, you; me"]]),
        ("sep=;\npath;text\na.wav;x,y\n", [["a.wav", "x,y"]]),
        ('"path","text"\n"a.wav","Hello, ""you"""\n', [["a.wav", 'Hello, "you"']]),
        ("'path','text'\n'a.wav','Hello, you'\n", [["a.wav", "Hello, you"]]),
        (
            'path\ttext\na.wav\t"Hello\nb.wav\tHe said "no"\n',
            [["a.wav", '"Hello'], ["b.wav", 'He said "no"']],
        ),
        ('path\ttext\na.wav\t"He said ""no"""\nb.wav\tx\n', [["a.wav", 'He said "no"'], ["b.wav", "x"]]),
        ('path\ttext\na.wav\t"Hello."\nb.wav\tx\n', [["a.wav", '"Hello."'], ["b.wav", "x"]]),
        ('"path"\t"text"\n"a.wav"\t"Hello."\n', [["a.wav", "Hello."]]),
        ("path,text\r\na.wav,x\r\n\r\n,,\r\n,\r\nb.wav,y\r\n", [["a.wav", "x"], ["b.wav", "y"]]),
        ("path,text\na.wav,x,\nb.wav,y,\n", [["a.wav", "x", ""], ["b.wav", "y", ""]]),
        ("path,text,\na.wav,x\nb.wav,y\n", [["a.wav", "x"], ["b.wav", "y"]]),
    ],
)
def test_delimiter_and_quoting_are_recognised(text: str, cells: list[list[str]]) -> None:
    assert good(text) == cells
    assert parse(text)[0].cells[:2] == ["path", "text"]


def test_a_header_of_another_width_has_a_fault() -> None:
    assert parse("path,text,more\na.wav,x\nb.wav,y\n")[0].fault == "has 3 columns, most rows have 2"


@pytest.mark.parametrize("text", ["", "\n \n", "one\ntwo\n"])
def test_what_is_no_table_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|has no delimiter"):
        parse(text)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff"), max_size=12)
ROWS = st.lists(st.tuples(st.integers(0, 999), CELLS, CELLS), min_size=1, max_size=12)


@given(ROWS, st.sampled_from(",;\t|"), st.booleans())
def test_what_the_csv_module_writes_is_read_back(rows, delimiter: str, all_quoted: bool) -> None:
    """Quoted throughout, or as spreadsheets do it, with line breaks, marks and delimiters in the cells."""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerows([("path", "text", "note"), *((f"a{n}.wav", *cells) for n, *cells in rows)])
    expected = [[f"a{n}.wav", *cells] for n, *cells in rows]
    found = [row.cells for row in parse(out.getvalue(), delimiter)[1] if not row.fault]
    if delimiter in ",;" or all_quoted:
        assert found == expected


@given(st.text(max_size=200), st.sampled_from([None, ",", ";", "\t", "|"]))
def test_any_text_gives_rows_or_a_reason(text: str, delimiter: str | None) -> None:
    lines = text.split("\n")
    try:
        head, rows = delimited.parse(lines, delimiter)
    except ValueError:
        return
    numbers = [head.number, *(row.number for row in rows)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= len(lines)
    assert all(row.fault or len(row.cells) == len(rows[0].cells) for row in rows if not rows[0].fault)
