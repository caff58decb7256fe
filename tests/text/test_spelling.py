"""CTC labels of tokens: bytes of spoken text, the identity, and what they decode to."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.text import (
    BLANK,
    BYTE_VOCABULARY,
    EOS,
    RESERVED,
    UNKNOWN,
    BpeTokenizer,
    CharTokenizer,
    Spelling,
    Tokenizer,
)
from asrattn.text.spelling import normalize_spoken, token_labels

TEXTS = ["Well, it’s 5 o'clock - said Émile!", "the quick brown fox", "the lazy dog; the end."]


def in_bytes(text: str) -> list[int]:
    return [RESERVED + byte for byte in text.encode()]


def tokenizers() -> list[Tokenizer]:
    return [CharTokenizer.train(TEXTS), BpeTokenizer.train(TEXTS, 60)]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        (" The", " the"),
        ("É", "é"),
        ("it’s", "it's"),
        ("'", "'"),
        (" ", " "),
        ("   ", " "),
        (" -", ""),
        (" “Hello", " hello"),
        ("...", ""),
        ("$5", "5"),
        ("\n", ""),
        ("\u00a0a", " a"),
        ("你好。", "你好"),
    ],
)
def test_spoken_text_is_lower_case_without_punctuation(written: str, spoken: str) -> None:
    assert normalize_spoken(written) == spoken
    assert token_labels(written.encode()) == tuple(in_bytes(spoken))


def test_parts_of_characters_stay_as_they_are() -> None:
    assert token_labels(b" \xc3") == (RESERVED + 0x20, RESERVED + 0xC3)
    assert token_labels(b"") == ()


@pytest.mark.parametrize("tokenizer", tokenizers(), ids=["char", "bpe"])
@pytest.mark.parametrize("text", TEXTS)
def test_labels_of_a_text_decode_to_its_reference(tokenizer: Tokenizer, text: str) -> None:
    spelling = Spelling.in_bytes(tokenizer)
    tokens = tokenizer.encode(text)
    labels, owners = spelling.spell(tokens)
    assert spelling.decode(labels, tokenizer) == spelling.reference(text)
    assert spelling.reference(TEXTS[0]) == "well it's 5 o'clock said émile"
    assert owners == sorted(owners)
    for i, token in enumerate(tokens):
        own = [label for label, owner in zip(labels, owners, strict=True) if owner == i]
        assert tuple(own) == spelling.labels_of(token)
    assert len(spelling.rows or ()) == tokenizer.size
    assert all(EOS < label < BYTE_VOCABULARY for label in labels)


def test_reserved_tokens_have_their_own_rule() -> None:
    spelling = Spelling.in_bytes(tokenizers()[0])
    assert [spelling.labels_of(token) for token in (BLANK, EOS, UNKNOWN)] == [(), (), (UNKNOWN,)]
    assert spelling.decode([UNKNOWN, *in_bytes("a")], tokenizers()[0]) == "⁇a"
    assert spelling.decode([RESERVED + 0xC3], tokenizers()[0]) == "\ufffd"


def test_identity_changes_nothing() -> None:
    spelling, tokenizer = Spelling(), tokenizers()[0]
    tokens = tokenizer.encode("the end.")
    assert spelling.spell(tokens) == (tokens, list(range(len(tokens))))
    assert spelling.labels_of(tokens[0]) == (tokens[0],)
    assert spelling.decode(tokens, tokenizer) == spelling.reference("the end.") == "the end."


@given(st.text())
def test_spoken_text_has_no_punctuation_and_is_stable(text: str) -> None:
    spoken = normalize_spoken(text)
    assert normalize_spoken(spoken) == spoken
    assert "  " not in spoken
    for character in set(spoken) - {"'", " "}:
        assert unicodedata.category(character)[0] not in "PS"
        assert unicodedata.category(character) not in ("Cc", "Cf", "Zs")


@given(st.binary(max_size=12))
def test_every_token_has_labels_of_bytes(written: bytes) -> None:
    assert all(RESERVED <= label < BYTE_VOCABULARY for label in token_labels(written))
