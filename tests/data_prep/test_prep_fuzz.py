"""Damaged lists cost what is damaged: no traceback, no changed text (the long run: benchmarks.fuzz_tables)."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import fuzz_tables


@pytest.fixture(scope="module", params=fuzz_tables.corpora())
def damaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A corpus of each kind, and its folder."""
    corpus = fuzz_tables.corpora()[request.param]
    folder = tmp_path_factory.mktemp("fuzz") / "recordings"
    fuzz_tables.write_recordings(folder, corpus)
    return folder, corpus


def prepare(
    damaged: tuple[Path, fuzz_tables.Corpus], content: bytes, touched: set[str]
) -> fuzz_tables.Outcome:
    folder, corpus = damaged
    (folder / corpus.file).write_bytes(content)
    return fuzz_tables.prepare(folder, folder.parent / "out", corpus, touched)


def test_undamaged_lists_are_read_whole(damaged) -> None:
    outcome = prepare(damaged, damaged[1].content, set())
    assert (outcome.refused, outcome.trace, outcome.wrong) == (False, "", ())
    assert len((damaged[0].parent / "out" / "dropped.tsv").read_text().splitlines()) == 1


@given(st.randoms(use_true_random=False))
def test_damage_costs_what_it_touches(damaged, draw: random.Random) -> None:
    content, touched = fuzz_tables.damage(damaged[1].content, draw)
    outcome = prepare(damaged, content, touched)
    assert outcome.trace == ""
    assert outcome.wrong == ()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_refused(damaged, content: bytes) -> None:
    assert prepare(damaged, content, set(fuzz_tables.texts())).trace == ""
