"""Byte-pair encoding (BPE) through sentencepiece."""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from asrattn.config import JSONValue
from asrattn.errors import CheckpointError, TextError
from asrattn.text.tokenizer import (
    BLANK,
    EOS,
    RESERVED,
    UNKNOWN,
    UNKNOWN_SIGN,
    check_token_ids,
    clean,
    clean_texts,
    describe_characters,
    unknown_characters_error,
)

_SPACE = "▁"  # how sentencepiece writes the space
_UNKNOWN_PLACEHOLDER = "\uffff"  # Unicode promises that this is no character: it stands for all unknown ones
_SENTENCEPIECE_SYMBOLS = {_SPACE, "▅", _UNKNOWN_PLACEHOLDER}


@dataclass(frozen=True)
class BpeTokenizer:
    """Frequent strings of characters as tokens (Sennrich et al. 2016). `model` is a sentencepiece model, whole."""

    model: bytes = field(repr=False)

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "BpeTokenizer":
        """A vocabulary of `size` tokens, the reserved ones included; the same texts give the same bytes.

        Raises TextError where there is no text, and where the size does not suit the texts.
        """
        found = clean_texts(texts)
        characters = set().union(*found)
        if kept := characters & _SENTENCEPIECE_SYMBOLS:
            raise TextError(
                f"{describe_characters(kept)} in the texts are signs of sentencepiece's own; remove them"
            )
        needed = RESERVED + len(characters | {" "})
        if size < needed:
            raise TextError(
                f"{size} tokens are too few for {len(characters)} different characters; set size={needed} or more"
            )
        return cls(_train(found, size))

    @classmethod
    def load(cls, model: bytes) -> "BpeTokenizer":
        """A model written by `train`. Raises CheckpointError for anything else."""
        tokenizer = cls(model)
        try:
            if not model:  # of which the library says nothing
                raise RuntimeError
            pieces, _ = tokenizer._pieces, tokenizer._known
        except (RuntimeError, UnicodeDecodeError):
            raise CheckpointError(
                "the tokenizer is damaged: no sentencepiece model; make the model file again"
            ) from None
        if (pieces.pad_id(), pieces.eos_id(), pieces.unk_id()) != (BLANK, EOS, UNKNOWN):
            raise CheckpointError(
                "the tokenizer reserves other ids than asrattn; train it with asrattn.text.train"
            )
        return tokenizer

    @cached_property
    def _pieces(self) -> Any:
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Characters that can be written: every one is a token of its own."""
        pieces = (self._pieces.id_to_piece(i) for i in range(RESERVED, self.size))
        single = {piece for piece in pieces if len(piece) == 1}
        return frozenset(" " if c == _SPACE else c for c in single)

    @cached_property
    def size(self) -> int:
        return int(self._pieces.get_piece_size())

    @property
    def tokens(self) -> list[str]:
        return [self._pieces.id_to_piece(i).replace(_SPACE, " ") for i in range(RESERVED, self.size)]

    @property
    def token_bytes(self) -> list[bytes]:
        return [token.encode() for token in self.tokens]

    def encode(self, text: str) -> list[int]:
        text = clean(text)
        if strange := set(text) - self._known:
            raise unknown_characters_error(strange, text)
        tokens: list[int] = self._pieces.encode(text)
        return tokens

    def encode_lossy(self, text: str) -> list[int]:
        """A run of unknown characters gives one UNKNOWN."""
        tokens: list[int] = self._pieces.encode(
            "".join(c if c in self._known else _UNKNOWN_PLACEHOLDER for c in clean(text))
        )
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        check_token_ids(tokens, self.size)
        text: str = self._pieces.decode([t for t in tokens if t not in (BLANK, EOS)])
        return text

    def to_plain(self) -> dict[str, JSONValue]:
        return {"kind": "bpe", "model": base64.b64encode(self.model).decode("ascii")}


def _train(texts: list[str], size: int) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_name="identity",  # texts come back as they were
            max_sentence_length=max(
                10, *(len(text.encode()) + 1 for text in texts)
            ),  # longer ones would be skipped
            pad_id=BLANK,
            eos_id=EOS,
            unk_id=UNKNOWN,
            bos_id=-1,
            unk_surface=UNKNOWN_SIGN,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:  # the texts hold fewer different strings than there are to be tokens
        most = re.search(r"a value <= (\d+)", str(error))
        advice = f"set size={most[1]} or less" if most else f"sentencepiece reports: {error}"
        raise TextError(f"{size} tokens do not suit {len(texts)} texts; {advice}") from None
    return model.getvalue()
