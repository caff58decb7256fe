"""What Whisper is asked for: the language, which it can detect, the task, and timestamps, which divide a text."""

from collections.abc import Iterator, Sequence
from typing import Self

import torch

from asrattn.decoders.whisper import WhisperDecoder
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import ConfigError
from asrattn.inference.transcript import Word
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS, Tokenizer, WhisperTokenizer, clean
from asrattn.text.whisper import TIMESTAMP_SECONDS

DETECT = "auto"  # instead of a language


class WhisperPrompt:
    """The prompt of a Whisper. timestamps: whether it writes them; detects: whether it detects the language."""

    def __init__(self, decoder: WhisperDecoder, tokenizer: WhisperTokenizer) -> None:
        self._decoder, self._tokenizer = decoder, tokenizer
        self._task = "transcribe"
        self.timestamps = self.detects = False

    @classmethod
    def of_model(cls, model: SpeechModel, tokenizer: Tokenizer) -> Self | None:
        """None for a model that is no Whisper."""
        decoder = model.decoder
        whisper = isinstance(decoder, WhisperDecoder) and isinstance(tokenizer, WhisperTokenizer)
        return cls(decoder, tokenizer) if whisper else None  # type: ignore[arg-type]

    def set_language(self, language: str | None, task: str = "transcribe") -> None:
        """Recognise another language, or translate it to English; auto: detect it. Raises ConfigError for a language
        that the model does not know."""
        self.detects = language == DETECT
        if self.detects and not self._tokenizer.languages:
            raise ConfigError(f"--language {DETECT}: this model knows English only; omit it")
        self._decoder.prompt = self._tokenizer.prompt(None if self.detects else language, task)
        self._task = task

    def by_language(self, enc: EncoderOutput) -> Iterator[tuple[str, list[int]]]:
        """The detected languages, each with its utterances of the batch, for which the prompt is set meanwhile."""
        found, before = detect_languages(self._decoder, self._tokenizer, enc), self._decoder.prompt
        try:
            for language in sorted(set(found)):
                self._decoder.prompt = self._tokenizer.prompt(language, self._task)
                yield language, [b for b, own in enumerate(found) if own == language]
        finally:
            self._decoder.prompt = before

    def split(self, tokens: Sequence[int], seconds: float) -> tuple[tuple[int, ...], list[Word]]:
        """See `split_phrases`; without timestamps there are no phrases."""
        return split_phrases(tokens, self._tokenizer, seconds) if self.timestamps else (tuple(tokens), [])


@torch.inference_mode()
def detect_languages(decoder: WhisperDecoder, tokenizer: WhisperTokenizer, enc: EncoderOutput) -> list[str]:
    """The likeliest language of each utterance: the decoder's next token behind the start of the transcript, among the
    languages (Radford et al. 2023)."""
    codes = {tokenizer.prompt(code)[1]: code for code in tokenizer.languages}
    start = decoder.with_prompt(tokenizer.prompt(None)[:1])
    memory = start.prepare(enc.output, enc.lens)
    tokens = torch.full((len(enc.lens),), EOS, device=enc.lens.device)
    logits, _ = start.step(tokens, start.start(memory), memory)
    ids = torch.tensor(list(codes), device=logits.device)
    return [codes[token] for token in ids[logits[:, ids].argmax(1)].tolist()]


def split_phrases(
    tokens: Sequence[int], tokenizer: WhisperTokenizer, seconds: float
) -> tuple[tuple[int, ...], list[Word]]:
    """Tokens with timestamps -> the tokens without them, and the phrases between them; a last one that is not closed
    ends with the audio, `seconds` long."""
    stamps = tokenizer.timestamp_tokens()
    phrases: list[Word] = []
    start, phrase = 0.0, list[int]()
    for token in (*tokens, EOS):
        if token != EOS and token not in stamps:
            phrase.append(token)
            continue
        end = seconds if token == EOS else min(round((token - stamps.start) * TIMESTAMP_SECONDS, 2), seconds)
        if text := clean(tokenizer.decode(phrase)):
            phrases.append(Word(text, start, end))
        start, phrase = end, []
    return tuple(token for token in tokens if token not in stamps), phrases
