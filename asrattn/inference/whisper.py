"""What Whisper is asked for: the language, which it can detect, the task, and timestamps, which divide a text and say
where it ends."""

from collections.abc import Iterator, Sequence
from typing import Self

import torch

from asrattn.audio.interface import Wave
from asrattn.audio.vad import SpeechDetector
from asrattn.decoders.whisper import WhisperDecoder
from asrattn.decoding.scorers import select_rows
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import ConfigError
from asrattn.inference.batching import TimedSegment, pad_texts
from asrattn.inference.hallucination import measure_uncertainty
from asrattn.inference.segmentation import SPEECH_PAD_SECONDS
from asrattn.inference.transcript import Word
from asrattn.model.speech_model import SpeechModel
from asrattn.text import EOS, Tokenizer, WhisperTokenizer, clean
from asrattn.text.whisper import TIMESTAMP_SECONDS

DETECT = "auto"  # instead of a language
MIN_CHECKED_SECONDS = 8.0  # in longer audio Whisper sometimes ends its text at a pause, though speech follows
MIN_TEXT_SECONDS = 1.0  # a text that ends before is none that goes on
MIN_REST_SECONDS = 0.5  # of speech behind the end of a text
MAX_REST_UNCERTAINTY = 0.5  # nats per token of the decoder


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

    def find_rests(
        self,
        waves: Sequence[Wave],
        rate: int,
        vad: SpeechDetector,
        enc: EncoderOutput,
        texts: Sequence[Sequence[int]],
    ) -> list[int | None]:
        """The sample of each (S,) wave from which on speech follows that its text leaves out; None without any. Short
        waves are not checked."""
        rests: list[int | None] = [None] * len(waves)
        rows = [b for b, wave in enumerate(waves) if len(wave) > MIN_CHECKED_SECONDS * rate and texts[b]]
        if rows:
            own = select_rows(enc, torch.tensor(rows, device=enc.lens.device))
            for b, end in zip(rows, self.find_ends(own, [texts[b] for b in rows]), strict=True):
                rests[b] = find_rest(waves[b], rate, end, vad)
        return rests

    @torch.inference_mode()
    def find_ends(self, enc: EncoderOutput, texts: Sequence[Sequence[int]]) -> list[float]:
        """Where each text ends in its audio, in seconds: the likeliest timestamp behind it (Radford et al. 2023)."""
        stamps = self._tokenizer.timestamp_tokens()
        decoder = self._decoder.with_timestamps()
        most = decoder.max_tokens - 1
        tokens, _ = pad_texts([(EOS, stamps.start, *text[:most]) for text in texts], enc.lens.device)
        logits = decoder(tokens, enc.output, enc.lens).logits
        last = torch.tensor([min(len(text), most) + 1 for text in texts], device=enc.lens.device)
        found = logits[torch.arange(len(texts)), last, stamps.start :].argmax(-1)
        return [round(stamp * TIMESTAMP_SECONDS, 2) for stamp in found.tolist()]


def find_rest(wave: Wave, rate: int, end: float, vad: SpeechDetector) -> int | None:
    """The sample of a (S,) wave where speech goes on behind `end`, in seconds, the end of its text; None if it does
    not."""
    spans = [(max(start, end), stop) for start, stop in vad(wave, rate) if stop > end >= MIN_TEXT_SECONDS]
    if sum(stop - start for start, stop in spans) < MIN_REST_SECONDS:
        return None
    return round(max(spans[0][0] - SPEECH_PAD_SECONDS, end) * rate)


def is_speech(rest: TimedSegment) -> bool:
    """Whether a decoded rest is speech rather than noise, which Whisper gives words too: the decoder must be surer than
    of other text."""
    uncertainty = measure_uncertainty(rest.decoded.hypotheses[0], None).decoder
    return not rest.decoded.flags and uncertainty <= MAX_REST_UNCERTAINTY


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
