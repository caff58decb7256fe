"""Whisper's tokenizer: round trips, the ids of the tokenizers library, special tokens, prompts."""

import json

import pytest
import tiny_whisper
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import CheckpointError, ConfigError, TextError
from asrattn.text import BLANK, EOS, RESERVED, UNKNOWN, WhisperTokenizer, clean, from_plain
from asrattn.text.whisper import END

TEXT_TOKENS = tiny_whisper.SMALL_TEXT_TOKENS
COUNT = TEXT_TOKENS + tiny_whisper.LANGUAGES + 8 + tiny_whisper.TIMESTAMPS
JSON = tiny_whisper.tokenizer(TEXT_TOKENS)
TOKENIZER = WhisperTokenizer.load(JSON, COUNT)
LIBRARY = tokenizers.Tokenizer.from_str(JSON)
LARGE = WhisperTokenizer.load(tiny_whisper.tokenizer_of_vocabulary(51865), 51865)  # with the ids of OpenAI's
ENGLISH = WhisperTokenizer.load(tiny_whisper.tokenizer_of_vocabulary(51864), 51864)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "<|" not in text)


@given(TEXTS)
def test_round_trip(text: str) -> None:
    tokens = TOKENIZER.encode(text)
    assert TOKENIZER.decode(tokens) == clean(text)
    assert all(RESERVED <= token < TOKENIZER.size for token in tokens)
    assert b"".join(TOKENIZER.token_bytes[t - RESERVED] for t in tokens).decode().strip(" ") == clean(text)


@given(TEXTS.filter(clean))
def test_ids_are_those_of_the_library(text: str) -> None:
    """With a space before the text, as Whisper was trained."""
    ids = [TOKENIZER.to_whisper(token) for token in TOKENIZER.encode(text)]
    assert ids == LIBRARY.encode(f" {clean(text)}", add_special_tokens=False).ids


def test_real_ids_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    folder = tiny_whisper.real_folder()
    theirs = transformers.WhisperTokenizerFast.from_pretrained(folder)
    ours = WhisperTokenizer.load((folder / "tokenizer.json").read_text("utf-8"), 51864)
    for text in ("The quick brown fox, 12:30!", "naïve “quotes” 東京 🙂", "a"):
        ids = [ours.to_whisper(token) for token in ours.encode(text)]
        assert ids == theirs(f" {text}", add_special_tokens=False).input_ids
    prompt = theirs.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>"])
    assert [ours.to_whisper(token) for token in ours.prompt(None)] == prompt


@given(st.integers(0, COUNT - 1))
def test_ids_are_mapped_both_ways(id_: int) -> None:
    token = TOKENIZER.from_whisper(id_)
    assert TOKENIZER.to_whisper(token) == id_
    assert token == EOS or RESERVED <= token < TOKENIZER.size


def test_every_token_has_another_id() -> None:
    ours = [TOKENIZER.from_whisper(i) for i in range(COUNT)]
    assert sorted(ours) == [EOS, *range(RESERVED, TOKENIZER.size)]
    assert TOKENIZER.from_whisper(LIBRARY.token_to_id(END)) == EOS
    assert len(TOKENIZER.tokens) == len(TOKENIZER.token_bytes) == TOKENIZER.size - RESERVED
    assert len(set(TOKENIZER.tokens)) == len(TOKENIZER.tokens)


@pytest.mark.parametrize("name", ["<|endoftext|>", "<|en|>", "<|notimestamps|>"])
def test_special_token_in_a_text_is_told(name: str) -> None:
    with pytest.raises(TextError, match="the special token") as told:
        TOKENIZER.encode(f"a {name} b")
    assert name in str(told.value)
    lossy = TOKENIZER.encode_lossy(f"a {name} b")
    assert TOKENIZER.decode(lossy) == f"a {name} b".replace("<|", "<")


def test_special_tokens_write_nothing() -> None:
    he = TOKENIZER.encode("he")
    assert (
        TOKENIZER.decode([*TOKENIZER.prompt("en"), *he, TOKENIZER.timestamp_tokens()[0], EOS, BLANK]) == "he"
    )
    assert TOKENIZER.decode([*he, UNKNOWN]) == "he⁇"
    assert TOKENIZER.token_bytes[TOKENIZER.timestamp_tokens()[-1] - RESERVED] == b""


def test_a_part_of_a_character_is_shown_as_bytes() -> None:
    tokens = TOKENIZER.encode("é")
    assert [TOKENIZER.tokens[t - RESERVED] for t in tokens] == [" ", "<0xC3>", "<0xA9>"]
    assert TOKENIZER.decode(tokens[:-1]) == "�"


def test_prompts() -> None:
    assert [LARGE.to_whisper(t) for t in LARGE.prompt("l03", "translate")] == [50258, 50262, 50358, 50363]
    assert [LARGE.to_whisper(t) for t in LARGE.prompt(None)] == [50258, 50259, 50359, 50363]
    assert [LARGE.to_whisper(t) for t in LARGE.prompt("en", timestamps=True)] == [50258, 50259, 50359]
    assert [ENGLISH.to_whisper(t) for t in ENGLISH.prompt(None)] == [50257, 50362]
    assert ENGLISH.prompt("en") == ENGLISH.prompt(None)


def test_languages_and_timestamps() -> None:
    assert LARGE.languages[:2] == ["en", "l01"]
    assert len(LARGE.languages) == 99
    assert ENGLISH.languages == []
    assert len(LARGE.timestamp_tokens()) == len(ENGLISH.timestamp_tokens()) == 1501
    assert LARGE.to_whisper(LARGE.timestamp_tokens()[0]) == 50364


@pytest.mark.parametrize(
    ("tokenizer", "words", "told"),
    [
        (LARGE, ("xx",), "--language xx: the model does not know it; known are en, l01"),
        (LARGE, ("en", "sing"), "--task sing: is unknown; use transcribe or translate"),
        (ENGLISH, ("is",), "this model knows English only"),
        (ENGLISH, (None, "translate"), "this model knows English only"),
    ],
)
def test_unknown_languages_and_tasks_are_told(
    tokenizer: WhisperTokenizer, words: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        tokenizer.prompt(*words)


def test_plain_and_back() -> None:
    assert from_plain(json.loads(json.dumps(TOKENIZER.to_plain()))) == TOKENIZER


@pytest.mark.parametrize(
    ("text", "count", "told"),
    [
        ("{", COUNT, "the tokenizer is damaged"),
        (
            JSON.replace("<|notimestamps|>", "<|nothing|>"),
            COUNT,
            r"has no <\|notimestamps\|>: it is not Whisper's",
        ),
        (JSON, 300, "tokens, the model 300: it is another model's"),
    ],
)
def test_another_tokenizer_is_told(text: str, count: int, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        WhisperTokenizer.load(text, count)


def test_a_tokenizer_with_gaps_is_told() -> None:
    plain = json.loads(JSON)
    vocabulary = plain["model"]["vocab"]
    del vocabulary[next(name for name, id_ in vocabulary.items() if id_ == TEXT_TOKENS - 2)]
    with pytest.raises(CheckpointError, match="ids below that of the end of text are missing"):
        from_plain({"kind": "whisper", "json": json.dumps(plain), "count": COUNT})
