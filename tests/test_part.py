"""Parts of a work."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.part import WHOLE, Part


@given(st.lists(st.integers()), st.integers(1, 9))
def test_parts_are_everything_once(items: list[int], total: int) -> None:
    parts = [Part.parse(f"{number}/{total}").of(items) for number in range(1, total + 1)]
    assert sorted(i for part in parts for i in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_has_a_name_and_one_of_one_is_the_whole() -> None:
    assert Part.parse("2/8").name == "2-of-8"
    assert Part.parse("1/1") == WHOLE
    assert WHOLE.of("abc") == "abc"


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "²/3"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no part; give for example 1/8"):
        Part.parse(text)
