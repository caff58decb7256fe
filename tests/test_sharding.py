"""Parts of a work."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.sharding import UNSHARDED, JobShard


@given(st.lists(st.integers()), st.integers(1, 9))
def test_parts_are_everything_once(items: list[int], total: int) -> None:
    parts = [JobShard.parse(f"{number}/{total}").select(items) for number in range(1, total + 1)]
    assert sorted(i for part in parts for i in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_has_a_name_and_one_of_one_is_the_whole() -> None:
    assert JobShard.parse("2/8").name == "2-of-8"
    assert JobShard.parse("1/1") == UNSHARDED
    assert UNSHARDED.select("abc") == "abc"


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "²/3"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a job shard; use for example 1/8"):
        JobShard.parse(text)
