"""Using a model: sound files in, transcripts out."""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from asrattn import checkpoint, doctor, segments
from asrattn.audio.sound import Wave
from asrattn.audio.speech import Finder, by_level
from asrattn.card import Meter
from asrattn.checkpoint import Saved
from asrattn.config import Plain
from asrattn.doctor import Looks
from asrattn.encoders.encoded import Encoded
from asrattn.errors import AudioError, ConfigError
from asrattn.layers.linear import lay_in_columns
from asrattn.lengths import mask
from asrattn.lm import scorers
from asrattn.lm.scorers import Model
from asrattn.manifest import Utterance
from asrattn.scoring.confidence import Calibration, Evidence, raw
from asrattn.search import SearchConfig
from asrattn.search.beam import beam_search
from asrattn.search.hypothesis import Hypothesis
from asrattn.search.scorer import Fusion
from asrattn.segments import LONGEST, Stretch
from asrattn.streaming import Stream
from asrattn.text import EOS, clean
from asrattn.transcript import Evaluation, Explanation, Failure, Outcome, Piece, Reading, Transcript, Word
from asrattn.transcript.guard import Doubts, judge
from asrattn.transcript.words import Frames, Witness, evidence, groups, listen, times

Precision = Literal["fp32", "bf16"]
BATCH_SECONDS = {"cpu": 60.0, "cuda": 600.0}  # a CPU's caches like small batches, a GPU is idle with them
_BATCHES = 8  # read ahead and sorted by length: little padding, bounded memory
SHORT = 3.0  # seconds that any model can read
_KERNELS = "32"  # kept by oneDNN, unless told otherwise: nearly every batch has shapes that do not come again
_PIECES = 1000  # at most, so that a long row of broken files is told soon


class _Heard(NamedTuple):
    """What was heard in a piece, what the search found there, and the words where they are asked for."""

    tokens: tuple[int, ...]
    flags: tuple[str, ...]
    found: list[Hypothesis]
    words: list[Word]


class _Placed(NamedTuple):
    """And where in the stretch, in seconds."""

    start: float
    end: float
    heard: _Heard


class _Part(NamedTuple):
    """A piece of a stretch. Without one it is the stretch's end, a bad one where there is a message."""

    stretch: Stretch
    piece: segments.Piece | None
    message: str = ""


class Recognizer:
    """A trained model, its tokenizer and the search it was judged with, on one device; and what is fused with it."""

    def __init__(self, saved: Saved, device: torch.device, precision: Precision = "fp32") -> None:
        self.model, self.tokenizer, self.card, self.search = saved
        self.device, self.precision = device, precision
        self.scorers: tuple[Fusion, ...] = ()
        self.find: Finder = by_level  # speech, in what is longer than can be read at once
        self.longest = _longest(self.card)
        self.rate: int = self.model.config.frontend.rate
        lens = self._encoder_lens(torch.arange(self.rate))
        self._shortest = int((lens < 1).sum())  # samples that make an encoder frame
        self._frames = Frames(self._shortest, int((lens < 2).sum()) - self._shortest, self.rate)
        self._sure = (
            Calibration.from_plain(calibration) if (calibration := self.card.get("confidence")) else raw
        )
        self._doubts = Doubts.from_plain(limits) if (limits := self.card.get("doubts")) else Doubts()
        spaced = self.tokenizer.decode(self.tokenizer.encode_lossy("a a"))
        self._joint = " " if " " in spaced else ""  # scripts without spaces are joined without

    @classmethod
    def load(cls, path: Path, device: str = "auto", precision: Precision = "fp32") -> "Recognizer":
        """Read a model file. device: auto (an accelerator where there is one), cpu, cuda or cuda:N.

        precision: of the products of matrices in encoder and search; sums and probabilities are always in fp32.
        Raises CheckpointError for a bad file, ConfigError for a device that is not there.
        """
        chosen = _device(device)
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS)
        saved = checkpoint.load(path, chosen)
        if chosen.type == "cpu" and precision == "fp32":
            lay_in_columns(saved.model)
        return cls(saved, chosen, precision)

    def fuse(self, model: Model, weight: float, name: str = "lm", oov: float | None = None) -> None:
        """Let it join every search from now on; see `scorers.of`. Raises LMError where it does not suit."""
        scorer = scorers.of(model, self.tokenizer, self.device, oov)
        self.scorers += (Fusion(name, scorer, weight, scorer.ceiling),)

    def transcribe(
        self,
        sources: Iterable[Path | Utterance],
        search: SearchConfig | None = None,
        batch_seconds: float | None = None,
        words: bool = False,
    ) -> Iterator[Outcome]:
        """Transcripts of files, or of a manifest's utterances, in their order; read as they are needed.

        Any length and rate; what is longer than `longest` is cut at pauses and joined again, and where nobody speaks
        for long it is not listened to. What cannot be transcribed gives a Failure and never stops the others.

        batch_seconds   padded audio decoded at once; none for what suits the device
        words           whether the words are wanted with their times
        """
        parts = self._parts(map(Stretch.of, sources))
        search = search or self.search
        batch_seconds = batch_seconds or BATCH_SECONDS[self.device.type]
        done: list[_Placed] = []  # of the stretch at hand
        samples = 0
        while window := _take(parts, round(_BATCHES * batch_seconds * self.rate)):
            spoken = [p.piece.wave for p in window if p.piece and p.piece.spoken]
            decoded = self._decode_sorted(spoken, search, batch_seconds, words)
            for stretch, piece, message in window:
                if piece:
                    start, samples = samples, samples + len(piece.wave)
                    if piece.spoken:
                        done.append(_Placed(start / self.rate, samples / self.rate, next(decoded)))
                    continue
                yield self._outcome(stretch, message, done, samples / self.rate)
                done, samples = [], 0

    def evaluate(
        self,
        utterances: Sequence[Utterance],
        search: SearchConfig | None = None,
        batch_seconds: float | None = None,
        progress: Callable[[Iterator[Outcome]], Iterable[Outcome]] = iter,
        words: bool = False,
    ) -> Evaluation:
        """`transcribe` all and take the time, reading included; `progress` may watch the outcomes pass."""
        wall, cpu, meter = time.perf_counter(), time.process_time(), Meter()
        outcomes = []
        for outcome in progress(self.transcribe(utterances, search, batch_seconds, words)):
            outcomes.append(outcome)
            meter.joules()  # its counters come around
        audio = sum(o.seconds for o in outcomes if isinstance(o, Transcript))
        took = time.perf_counter() - wall, time.process_time() - cpu
        return Evaluation(outcomes, audio, *took, meter.joules())

    @torch.inference_mode()
    def recognize(self, waves: Sequence[Wave], search: SearchConfig | None = None) -> list[list[Hypothesis]]:
        """Hypotheses of each (S,) wave at the model's rate, best first; all waves are decoded as one batch.

        Raises AudioError for a wave which is too short for the model or holds what is no number.
        """
        return self.decode(*self.encode(waves), search or self.search)

    def decode(
        self, enc: Encoded, log_probs: Tensor, search: SearchConfig, scorers: Sequence[Fusion] | None = None
    ) -> list[list[Hypothesis]]:
        """The search in what `encode` gave, with the fused scorers or with others."""
        ctc = log_probs if search.ctc > 0 else None
        scorers = self.scorers if scorers is None else scorers
        with self._products():
            return beam_search(self.model.decoder, enc.output, enc.lens, ctc, search, scorers)

    @torch.inference_mode()
    def encode(self, waves: Sequence[Wave]) -> tuple[Encoded, Tensor]:
        """The frames of (S,) waves as one batch, and what CTC says of them (B, T, V).

        Raises AudioError as `recognize`.
        """
        with self._products():
            enc = self.model.encode(*self._pad(waves))
            log_probs = self.model.ctc_log_probs(enc.output)
        return enc._replace(output=enc.output.float()), log_probs

    def _products(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def stream(self) -> Stream:
        """Speech while it comes in, see `streaming`."""
        return Stream(self)

    def read(self, wave: Wave) -> tuple[str, list[Word]]:
        """The text of a (S,) wave of at most 30 s, and its words with their times."""
        (heard,) = self._decode([wave], self.search, words=True)
        return clean(self.tokenizer.decode(heard.tokens)), heard.words

    def glance(self, wave: Wave, beam: int) -> str:
        """The text alone, and quickly."""
        ((best, *_),) = self.recognize(
            [wave], replace(self.search, beam=min(beam, self.search.beam), nbest=1)
        )
        return clean(self.tokenizer.decode(best.tokens))

    @torch.inference_mode()
    def explain(self, wave: Wave, tokens: Sequence[int]) -> Explanation:
        """What the decoder looks at while it writes the tokens for the (S,) wave; the last row writes the end."""
        padded = self._pad([wave])
        features, _ = self.model.frontend.raw(*padded)
        enc = self.model.encode(*padded)
        shifted = torch.tensor([[EOS, *tokens]], device=self.device)
        decoded = self.model.decoder(shifted, enc.output, enc.lens)
        layers = [looks[0].float().cpu().numpy() for looks in decoded.weights]
        pieces = [*(self.tokenizer.decode([token]) for token in tokens), "<eos>"]
        return Explanation(features[0].cpu().numpy(), decoded.look[0].float().cpu().numpy(), pieces, layers)

    def align(
        self, waves: Sequence[Wave], texts: Sequence[Sequence[int]], by: Witness = "ctc"
    ) -> list[list[Word]]:
        """The words of each text's tokens with the times at which they are said in its (S,) wave; `words.listen`."""
        return self._timed(self.witness(waves, *self.encode(waves), texts, by))

    def witness(
        self,
        waves: Sequence[Wave],
        enc: Encoded,
        log_probs: Tensor,
        texts: Sequence[Sequence[int]],
        by: Witness = "ctc",
    ) -> list[list[tuple[Word, Evidence]]]:
        """As `align` of what `encode` gave, with what the confidence is judged by instead of it."""
        tokens, _ = self._pad_texts(texts)
        found = []
        for wave, text, said in zip(
            waves, texts, listen(self.model, enc, log_probs, tokens, texts, by), strict=True
        ):
            own = groups(text, self.tokenizer)
            timed = times(own, [token.span for token in said], self._frames, wave)
            found.append([(word, evidence(group, said)) for word, group in zip(timed, own, strict=True)])
        return found

    def _timed(self, found: list[list[tuple[Word, Evidence]]]) -> list[list[Word]]:
        return [
            [replace(word, confidence=round(self._sure(about), 4)) for word, about in pairs]
            for pairs in found
        ]

    def examine(self, waves: Sequence[Wave], texts: Sequence[Sequence[int]], aligned: bool) -> Looks:
        """What attention does while the decoder writes each text's tokens for its (S,) wave, see `doctor.examine`."""
        return doctor.examine(self.model, *self._pad(waves), *self._pad_texts(texts), aligned)

    @torch.inference_mode()
    def losses(self, waves: Sequence[Wave], texts: Sequence[Sequence[int]]) -> list[float]:
        """Nats a token, by which the decoder would not write each text's tokens, and the end, for its (S,) wave."""
        tokens, counts = self._pad_texts(texts)
        enc = self.model.encode(*self._pad(waves))
        logits = self.model.decoder(F.pad(tokens, (1, 0), value=EOS), enc.output, enc.lens).logits
        targets = F.pad(tokens, (0, 1)).scatter(1, counts[:, None], EOS)
        nats = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
        counted = mask(counts + 1, targets.shape[1])
        found: list[float] = ((nats * counted).sum(1) / (counts + 1)).tolist()
        return found

    def _outcome(self, stretch: Stretch, message: str, done: list[_Placed], seconds: float) -> Outcome:
        if message:
            return Failure(stretch.id, stretch.path, message)
        text = clean(self._joint.join(self.tokenizer.decode(p.heard.tokens) for p in done))
        score = sum(p.heard.found[0].score for p in done)
        words = tuple(word.later(p.start) for p in done for word in p.heard.words)
        flags = tuple(dict.fromkeys(flag for p in done for flag in p.heard.flags)) if done else ("silence",)
        pieces = tuple(Piece(p.start, p.end, tuple(map(self._reading, p.heard.found))) for p in done)
        return Transcript(stretch.id, stretch.path, text, score, seconds, words, flags, pieces)

    def _reading(self, found: Hypothesis) -> Reading:
        return Reading(clean(self.tokenizer.decode(found.tokens)), found.score, found.parts)

    def _parts(self, stretches: Iterable[Stretch]) -> Iterator[_Part]:
        for stretch in stretches:
            message = ""
            try:
                for piece in segments.read(stretch, self.rate, self.longest, self.find):
                    if trouble := self.trouble(piece.wave):
                        raise AudioError(f"{stretch.path}: {trouble}")
                    yield _Part(stretch, piece)
            except AudioError as error:
                message = str(error)
            yield _Part(stretch, None, message)

    def _decode_sorted(
        self, waves: list[Wave], search: SearchConfig, batch_seconds: float, words: bool
    ) -> Iterator[_Heard]:
        """What is heard in each wave in order; decoded longest first, in batches of like lengths."""
        best: dict[int, _Heard] = {}
        order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
        while order:
            size = max(1, int(batch_seconds * self.rate / len(waves[order[0]])))
            batch, order = order[:size], order[size:]
            best.update(zip(batch, self._decode([waves[i] for i in batch], search, words), strict=True))
        return (best[i] for i in range(len(waves)))

    def _decode(self, waves: list[Wave], search: SearchConfig, words: bool) -> list[_Heard]:
        try:
            return self._hear(waves, search, words)
        except torch.OutOfMemoryError:
            if len(waves) == 1:
                raise ConfigError(
                    f"{self.device} has too little memory for a beam of {search.beam}; use a smaller one, or cpu"
                ) from None
        half = len(waves) // 2
        return self._decode(waves[:half], search, words) + self._decode(waves[half:], search, words)

    def _hear(self, waves: list[Wave], search: SearchConfig, words: bool) -> list[_Heard]:
        enc, log_probs = self.encode(waves)
        found = self.decode(enc, log_probs, search)
        asked = search.ctc > 0
        verdicts = [
            judge(found[b][0], log_probs[b, :count] if asked else None, waves[b], self.rate, self._doubts)
            for b, count in enumerate(enc.lens.tolist())
        ]
        spoken: list[list[Word]] = [[] for _ in found]
        if words:
            spoken = self._timed(self.witness(waves, enc, log_probs, [v.tokens for v in verdicts]))
        return [
            _Heard(verdict.tokens, verdict.flags, hypotheses, timed)
            for verdict, hypotheses, timed in zip(verdicts, found, spoken, strict=True)
        ]

    def trouble(self, wave: Wave) -> str:
        """Why a wave cannot be recognised; "" for a good one."""
        if len(wave) < self._shortest:
            seconds, least = len(wave) / self.rate, self._shortest / self.rate
            return f"{seconds:.3f} s are too short, this model needs {least:.3f} s; leave it out or record it longer"
        if not np.isfinite(wave).all():
            return "holds samples that are no numbers (NaN or infinite); convert or record it again"
        return ""

    def _encoder_lens(self, samples: Tensor) -> Tensor:
        lens: Tensor = self.model.encoder.lens(self.model.frontend.lens(samples))
        return lens

    def _pad(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        """(S,) waves as (B, S) and (B,) on the device. Raises AudioError for one that cannot be recognised."""
        if trouble := next(filter(None, map(self.trouble, waves)), ""):
            raise AudioError(trouble)
        padded = np.zeros((len(waves), max(map(len, waves))), dtype=np.float32)
        for row, wave in zip(padded, waves, strict=True):
            row[: len(wave)] = wave
        lens = torch.tensor([len(w) for w in waves])
        return torch.from_numpy(padded).to(self.device), lens.to(self.device)

    def _pad_texts(self, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Tokens as (B, U) and (B,) on the device."""
        counts = torch.tensor([len(text) for text in texts], device=self.device)
        tokens = torch.zeros(len(texts), max(1, int(counts.max())), dtype=torch.int64, device=self.device)
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text)] = torch.tensor(text, dtype=torch.int64)
        return tokens, counts


def _longest(card: Mapping[str, Plain]) -> float:
    """Seconds that a model can read at once: it was trained on hardly anything longer."""
    known = card.get("longest_seconds")
    return min(max(known, SHORT), LONGEST) if isinstance(known, float) else LONGEST


def _take(parts: Iterator[_Part], samples: int) -> list[_Part]:
    """The next pieces, until they hold so many samples."""
    window: list[_Part] = []
    for part in itertools.islice(parts, _PIECES):
        window.append(part)
        samples -= len(part.piece.wave) if part.piece else 0
        if samples <= 0:
            break
    return window


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} is not there ({torch.cuda.device_count()} found); use --device cpu"
        )
    return device
