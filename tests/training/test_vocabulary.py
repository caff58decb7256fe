"""Which token stands where in two vocabularies."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import TextError
from asrattn.text import RESERVED, BpeConfig, BpeTokenizer, CharConfig, CharTokenizer
from asrattn.training.vocabulary import extend_tokenizer, shared_token_ids

TEXTS = ["the cat sat on the mat", "the rat that sat there", "a hat for the cat"]
alphabets = st.lists(st.sampled_from(string.ascii_lowercase + " "), min_size=1, unique=True).map("".join)


@given(alphabets, alphabets)
def test_shared_tokens_write_the_same_and_none_is_missed(ours: str, theirs: str) -> None:
    a, b = CharTokenizer(ours), CharTokenizer(theirs)
    rows = shared_token_ids(a, b)
    assert all(a.decode([i]) == b.decode([j]) for i, j in rows.items())
    assert len(rows) == RESERVED + len(set(ours) & set(theirs))
    assert len(set(rows.values())) == len(rows)
    assert shared_token_ids(a, a) == {i: i for i in range(a.size)}


def test_byte_pairs_are_told_apart_by_the_space_before_them() -> None:
    pairs = BpeTokenizer.train(TEXTS, 30)
    assert len(set(pairs.tokens)) == len(pairs.tokens) == pairs.size - RESERVED
    assert {"a", " a"} <= set(pairs.tokens)
    letters = CharTokenizer(" ax")
    rows = shared_token_ids(letters, pairs)
    assert set(rows) == {0, 1, 2, 3, 4}
    assert pairs.tokens[rows[4] - RESERVED] == "a"


def test_characters_are_added_and_none_is_lost() -> None:
    known = CharTokenizer("zba ")
    assert extend_tokenizer(known, CharConfig(), ["ab é", "e"]) == CharTokenizer("zba eé")
    assert extend_tokenizer(known, CharConfig(), ["ab"]) == known


def test_byte_pairs_stay_while_they_can_write_everything() -> None:
    known = BpeTokenizer.train(TEXTS, 30)
    assert extend_tokenizer(known, BpeConfig(size=30), ["that hat"]) is known
    assert extend_tokenizer(known, BpeConfig(size=31), TEXTS) == BpeTokenizer.train(TEXTS, 31)
    texts = [*TEXTS, "a zebra"]
    assert extend_tokenizer(known, BpeConfig(size=30), texts) == BpeTokenizer.train(texts, 30)
    assert extend_tokenizer(known, CharConfig(), ["ab"]) == CharTokenizer("ab")
    with pytest.raises(TextError):
        extend_tokenizer(known, BpeConfig(size=500), TEXTS)
