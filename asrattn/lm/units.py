"""Units of a language model: words, characters, or a model's tokens."""

from asrattn.errors import TextError
from asrattn.lm.ngram import SPECIAL_WORDS, UNKNOWN
from asrattn.text import RESERVED, Tokenizer, clean
from asrattn.text.tokenizer import quote

UNITS = ("word", "char", "token")
SPACE = "▁"  # how a space is written where units stand apart by spaces; sentencepiece writes it so too


def split_units(text: str, units: str) -> list[str]:
    """The words or characters of `clean(text)`. Raises TextError for characters where the text has a ▁ of its own."""
    text = clean(text)
    if units == "word":
        return text.split(" ") if text else []
    if SPACE in text:
        raise TextError(f"{SPACE!r} stands for the space in a language model; remove it from {quote(text)}")
    return list(text.replace(" ", SPACE))


def token_strings(tokenizer: Tokenizer) -> list[str]:
    """How a language model writes each token, by ids; the reserved ones are <unk>."""
    return [SPECIAL_WORDS[UNKNOWN]] * RESERVED + [token.replace(" ", SPACE) for token in tokenizer.tokens]
