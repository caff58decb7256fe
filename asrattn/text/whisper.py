"""Whisper's tokenizer: byte-level byte-pair encoding, through the `tokenizers` library."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from asrattn.config import JSONValue
from asrattn.errors import CheckpointError, ConfigError, TextError
from asrattn.text.tokenizer import BLANK, EOS, RESERVED, UNKNOWN, UNKNOWN_SIGN, check_token_ids, clean, quote

END, START, NO_TIMESTAMPS = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
TASKS = ("transcribe", "translate")
TIMESTAMP_SECONDS = 0.02  # from one timestamp token to the next


@dataclass(frozen=True)
class WhisperTokenizer:
    """json: a tokenizer.json, whole; count: the tokens of the model, which may be more than the file names.

    Our ids: EOS is Whisper's end of text; its other tokens follow from RESERVED on, in their order. BLANK and UNKNOWN
    have no counterpart.
    """

    json: str = field(repr=False)
    count: int

    @classmethod
    def load(cls, json: str, count: int) -> "WhisperTokenizer":
        """Raises CheckpointError for what is no tokenizer of Whisper's, or has more tokens than `count`."""
        tokenizer = cls(json, count)
        try:
            known = tokenizer._library.get_vocab()
        except Exception as error:  # noqa: BLE001 (the library raises bare Exceptions)
            raise CheckpointError(
                f"the tokenizer is damaged ({str(error).splitlines()[0]:.80}); import it again"
            ) from None
        missing = [name for name in (END, START, NO_TIMESTAMPS) if name not in known]
        if missing:
            raise CheckpointError(
                f"the tokenizer has no {missing[0]}: it is not Whisper's; name the model's own"
            )
        if known[END] > len(known) or not set(range(known[END])) <= set(known.values()):
            raise CheckpointError(
                "the tokenizer is damaged: ids below that of the end of text are missing; import it again"
            )
        if tokenizer.languages and not all(f"<|{task}|>" in known for task in TASKS):
            raise CheckpointError(
                "the tokenizer is damaged: it knows languages and no tasks; import it again"
            )
        if (most := max(known.values())) >= count:
            raise CheckpointError(
                f"the tokenizer has {most + 1} tokens, the model {count}: it is another model's; name its own"
            )
        return tokenizer

    @cached_property
    def _library(self) -> Any:
        import tokenizers

        return tokenizers.Tokenizer.from_str(self.json)

    @cached_property
    def _end(self) -> int:
        return int(self._library.token_to_id(END))

    @cached_property
    def _special(self) -> dict[str, int]:
        """Whisper's ids of the special tokens: those from the end of text on."""
        return {name: id_ for name, id_ in self._library.get_vocab().items() if id_ >= self._end}

    @property
    def size(self) -> int:
        return self.count + RESERVED - 1

    def from_whisper(self, id_: int) -> int:
        """Our id of Whisper's."""
        return EOS if id_ == self._end else id_ + RESERVED - (id_ > self._end)

    def to_whisper(self, token: int) -> int:
        """Whisper's id of ours; BLANK and UNKNOWN have none."""
        return self._end if token == EOS else token - RESERVED + (token - RESERVED >= self._end)

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """What the ids RESERVED … V-1 write; b"" for special tokens. A token may be a part of a character."""
        names = {id_: name for name, id_ in self._library.get_vocab().items()}
        ids = (self.to_whisper(token) for token in range(RESERVED, self.size))
        return [_written(names[i]) if i < self._end else b"" for i in ids]

    @cached_property
    def tokens(self) -> list[str]:
        names = {id_: name for name, id_ in self._special.items()}
        return [
            _show(written) if written else names.get(id_, f"<|{id_}|>")
            for id_, written in zip(
                map(self.to_whisper, range(RESERVED, self.size)), self.token_bytes, strict=True
            )
        ]

    def encode(self, text: str) -> list[int]:
        text = clean(text)
        if "<|" in text and (odd := next((name for name in self._special if name in text), None)):
            raise TextError(f"the special token {odd} in {quote(text)}; remove it")
        if not text:
            return []
        return [self.from_whisper(i) for i in self._library.encode(f" {text}", add_special_tokens=False).ids]

    def encode_lossy(self, text: str) -> list[int]:
        """Every text can be encoded; what looks like a special token loses its bar."""
        return self.encode(text.replace("<|", "<"))

    def decode(self, tokens: Sequence[int]) -> str:
        check_token_ids(tokens, self.size)
        written = b"".join(
            UNKNOWN_SIGN.encode() if t == UNKNOWN else self.token_bytes[t - RESERVED]
            for t in tokens
            if t not in (BLANK, EOS)
        )
        return written.decode("utf-8", errors="replace").removeprefix(" ")

    @cached_property
    def languages(self) -> list[str]:
        """Codes of the languages that the model knows; none for a model of English alone."""
        between = range(self._special[START] + 1, self._special.get("<|translate|>", 0))
        named = {id_: name[2:-2] for name, id_ in self._special.items()}
        return [named[id_] for id_ in between if id_ in named] if self.count > 51864 else []

    def prompt(
        self, language: str | None, task: str = "transcribe", timestamps: bool = False
    ) -> tuple[int, ...]:
        """The prompt of a recognition. Raises ConfigError for a language or task that the model does not know."""
        names = [START]
        if task not in TASKS:
            raise ConfigError(f"--task {task}: is unknown; use {' or '.join(TASKS)}")
        if self.languages:
            language = language or "en"
            if language not in self.languages:
                known = ", ".join(sorted(self.languages))
                raise ConfigError(f"--language {language}: the model does not know it; known are {known}")
            names += [f"<|{language}|>", f"<|{task}|>"]
        elif language not in (None, "en") or task != "transcribe":
            raise ConfigError(
                "--language and --task: this model knows English only, and transcribes; omit them"
            )
        if not timestamps:
            names.append(NO_TIMESTAMPS)
        return tuple(self.from_whisper(self._special[name]) for name in names)

    def timestamp_tokens(self) -> range:
        """The ids of the timestamps 0.00, 0.02, … seconds."""
        return range(self.from_whisper(self._special[NO_TIMESTAMPS]) + 1, self.size)

    def to_plain(self) -> dict[str, JSONValue]:
        return {"kind": "whisper", "json": self.json, "count": self.count}


def _written(name: str) -> bytes:
    """What a token of this name writes; one that is not made of the byte alphabet writes itself, as in the library."""
    return bytes(map(_BYTES.__getitem__, name)) if all(c in _BYTES for c in name) else name.encode()


def _show(written: bytes) -> str:
    """The text of a token; a part of a character as its bytes."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in written)


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019, GPT-2): printable ones
    for themselves, the others from U+0100 on."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
