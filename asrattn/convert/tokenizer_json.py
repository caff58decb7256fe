"""Tokenizer of a Whisper model as a tokenizer.json (byte-level BPE of the `tokenizers` library)."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from asrattn.convert.model_folder import parse_object, read_object, read_optional, read_text
from asrattn.convert.source import COPY_AGAIN, WhisperDims, WhisperRules
from asrattn.errors import CheckpointError

FILE = "tokenizer.json"
END = "<|endoftext|>"
START = "<|startoftranscript|>"
TRANSLATE = "<|translate|>"
TRANSCRIBE = "<|transcribe|>"
NO_TIMESTAMPS = "<|notimestamps|>"
NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")  # two names of one token
NEEDED = (END, START, TRANSLATE, TRANSCRIBE, "<|startofprev|>", NO_TIMESTAMPS)
ONLY_IN_PROMPTS = (START, TRANSLATE, TRANSCRIBE, "<|startoflm|>", "<|startofprev|>", *NO_SPEECH)
NOT_SPEECH = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}"),
    *("♪♪", "♪♪♪"),
)
NOTES = tuple("♩♪♫♬♭♮♯")  # three bytes each: the first token of several is enough
WORD_PUNCTUATION = (" -", " '")  # inside of words they are speech: "-" and "'" alone stay
FIRST_MULTILINGUAL_VOCABULARY = 51865  # English models have 51864 tokens
TIMESTAMPS = 1501  # from 0 to 30 s


def read(source: Path, vocabulary: int) -> str:
    """The text of a tokenizer.json: that file, the one of a folder, or one made of its vocab.json and merges.txt.

    Raises CheckpointError if there is none, or it does not suit a Whisper model of so many tokens.
    """
    path = source / FILE if source.is_dir() else source
    if path.exists() or not (source / "vocab.json").exists():
        text, place = read_text(path), str(path)
    else:
        text, place = from_vocab_and_merges(source), str(source / "vocab.json")
    check(text, vocabulary, place)
    return text


def token_ids(text: str, place: str) -> dict[str, int]:
    """Every token of a tokenizer.json and its id: those of the BPE, then the added ones.

    Raises CheckpointError if it is no byte-level BPE, or its tables have another form.
    """
    plain = parse_object(text, place)
    model, added = plain.get("model"), plain.get("added_tokens")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or not isinstance(vocab, dict):
        raise CheckpointError(f"{place}: is no byte-level BPE tokenizer, which Whisper has; {COPY_AGAIN}")
    if not isinstance(model.get("merges"), list) or not isinstance(added, list):
        raise CheckpointError(f"{place}: lacks merges or added_tokens; {COPY_AGAIN}")
    tokens = dict(vocab)
    for token in added:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise CheckpointError(f"{place}: an added token has no content; {COPY_AGAIN}")
        tokens[token["content"]] = token.get("id")
    for content, number in tokens.items():
        if type(number) is not int or number < 0:
            raise CheckpointError(f"{place}: token {content[:40]!r} has id {str(number)[:40]}; {COPY_AGAIN}")
    return tokens


def check(text: str, vocabulary: int, place: str) -> None:
    """Raises CheckpointError if the tokenizer is not one of Whisper's, or has ids outside of the vocabulary."""
    tokens = token_ids(text, place)
    missing = [token for token in NEEDED if token not in tokens]
    if not any(token in tokens for token in NO_SPEECH):
        missing.append(NO_SPEECH[0])
    if missing:
        raise CheckpointError(
            f"{place}: lacks {', '.join(missing)}, which Whisper needs; name a Whisper tokenizer"
        )
    most = max(tokens.values())
    if most >= vocabulary:
        raise CheckpointError(
            f"{place}: has token id {most}, the model's vocabulary has {vocabulary}; name the tokenizer of this model"
        )
    stamps = vocabulary - 1 - tokens[NO_TIMESTAMPS]
    if not TIMESTAMPS <= stamps < 2 * TIMESTAMPS:
        raise CheckpointError(
            f"{place}: {stamps} of the model's {vocabulary} tokens lie behind {NO_TIMESTAMPS}, where Whisper has "
            f"{TIMESTAMPS} timestamps; name the tokenizer of this model"
        )
    load(text, place)


def load(text: str, place: str) -> Tokenizer:
    """The tokenizer itself. Raises CheckpointError if the library refuses it."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:
        if type(error) is not Exception:  # the library raises this class and no other
            raise
        detail = str(error).partition("\n")[0][:80]
        raise CheckpointError(f"{place}: is no tokenizer ({detail}); {COPY_AGAIN}") from None


def default_rules(text: str, place: str) -> WhisperRules:
    """What Whisper itself never lets the decoder say: symbols that are not speech, and tokens that only a prompt has;
    at the start neither a space nor the end. For formats that do not hold these rules.

    Raises CheckpointError as `check`.
    """
    tokens, tokenizer = token_ids(text, place), load(text, place)

    def encode(symbol: str) -> list[int]:
        return list(tokenizer.encode(symbol, add_special_tokens=False).ids)

    suppress = {first for word in WORD_PUNCTUATION for first in encode(word)[:1]}
    for symbol in (*NOT_SPEECH, *NOTES):
        for ids in (encode(symbol), encode(" " + symbol)):
            if len(ids) == 1 or symbol in NOTES:
                suppress |= set(ids[:1])
    suppress |= {tokens[token] for token in ONLY_IN_PROMPTS if token in tokens}
    return WhisperRules(tuple(sorted(suppress)), (*encode(" "), tokens[END]))


def languages(tokens: dict[str, int]) -> dict[str, int]:
    """The language tokens, such as <|is|>: those between the start and the tasks."""
    first, last = tokens[START], min(tokens[TRANSLATE], tokens[TRANSCRIBE])
    return {token: i for token, i in sorted(tokens.items(), key=lambda item: item[1]) if first < i < last}


def is_multilingual(dims: WhisperDims) -> bool:
    """Whether a prompt names language and task; the vocabulary decides, as in all of Whisper's programs."""
    return dims.vocabulary >= FIRST_MULTILINGUAL_VOCABULARY


def from_vocab_and_merges(folder: Path) -> str:
    """A tokenizer.json from the files of older models: vocab.json, merges.txt and the added tokens of
    tokenizer_config.json or added_tokens.json.

    Raises CheckpointError if one is missing or has another form.
    """
    vocab = read_object(folder / "vocab.json")
    lines = read_text(folder / "merges.txt").split("\n")
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(folder, vocab),
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": merges,
        },
    }
    return json.dumps(plain, ensure_ascii=False)


def _added_tokens(folder: Path, vocab: dict[str, Any]) -> list[dict[str, Any]]:
    """In the order of their ids. Only timestamps, such as <|0.02|>, are not special: they stay in a decoded text."""
    config = folder / "tokenizer_config.json"
    decoder = read_optional(config).get("added_tokens_decoder")
    found: dict[Any, Any]
    if isinstance(decoder, dict):
        entries = [(number, entry) for number, entry in decoder.items() if isinstance(entry, dict)]
        found = {str(entry.get("content")): int(n) if n.isdecimal() else None for n, entry in entries}
    else:
        config = folder / "added_tokens.json"
        found = {END: vocab.get(END)} | read_object(config)
    if not all(type(number) is int for number in found.values()):
        raise CheckpointError(f"{config}: its added tokens are no table of tokens and ids; {COPY_AGAIN}")
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": number, "content": token, **plain, "special": not token[2:3].isdecimal()}
        for token, number in sorted(found.items(), key=lambda item: item[1])
    ]
