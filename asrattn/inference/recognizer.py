"""Using a model: sound files in, transcripts out."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from asrattn import attention_metrics, checkpoint
from asrattn.attention_metrics import AttentionMetrics
from asrattn.audio.interface import Wave
from asrattn.audio.vad import SpeechDetector, energy_vad
from asrattn.checkpoint import Checkpoint
from asrattn.config import JSONValue
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.scorers import WeightedScorer
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import AudioError, ConfigError
from asrattn.inference import segmentation
from asrattn.inference.batching import (
    DecodedSegment,
    QueuedSegment,
    TimedSegment,
    next_window,
    pad_texts,
    pad_waves,
    select_device,
)
from asrattn.inference.confidence import Calibration, ConfidenceFeatures, uncalibrated_confidence
from asrattn.inference.hallucination import ConfidenceThresholds, filter_hypothesis
from asrattn.inference.segmentation import MAX_SEGMENT_SECONDS, AudioRegion
from asrattn.inference.streaming import StreamingRecognizer
from asrattn.inference.transcript import (
    AttentionMaps,
    Evaluation,
    Failure,
    NBestEntry,
    Outcome,
    Transcript,
    TranscriptSegment,
    Word,
)
from asrattn.inference.word_timing import (
    AlignmentSource,
    FrameTiming,
    compute_word_times,
    confidence_features,
    split_to_words,
    token_spans,
)
from asrattn.layers.linear import prepack_weights
from asrattn.lengths import mask
from asrattn.lm import scorers
from asrattn.lm.scorers import FusionModel
from asrattn.provenance import EnergyMeter
from asrattn.text import EOS, clean

InferencePrecision = Literal["fp32", "bf16"]
BATCH_SECONDS = {"cpu": 60.0, "cuda": 600.0}  # a CPU's caches like small batches, a GPU is idle with them
_BATCHES_READ_AHEAD = 8  # read ahead and sorted by length: little padding, bounded memory
MIN_SEGMENT_LIMIT_SECONDS = 3.0  # seconds that any model can read
_ONEDNN_CACHE_CAPACITY = (
    "32"  # kept by oneDNN, unless told otherwise: nearly every batch has shapes that do not come again
)


class Recognizer:
    """A trained model, its tokenizer and the search it was judged with, on one device; and what is fused with it."""

    def __init__(
        self, saved: Checkpoint, device: torch.device, precision: InferencePrecision = "fp32"
    ) -> None:
        self.model, self.tokenizer, self.card, self.decoding = saved
        self.device, self.precision = device, precision
        self.scorers: tuple[WeightedScorer, ...] = ()
        self.vad: SpeechDetector = energy_vad  # speech, in what is longer than can be read at once
        self.max_segment_seconds = _max_segment_seconds(self.card)
        self.rate: int = self.model.config.frontend.rate
        lens = self._encoder_lens(torch.arange(self.rate))
        self._min_samples = int((lens < 1).sum())  # samples that make an encoder frame
        self._frame_timing = FrameTiming(
            self._min_samples, int((lens < 2).sum()) - self._min_samples, self.rate
        )
        self._confidence = (
            Calibration.from_plain(calibration)
            if (calibration := self.card.get("confidence"))
            else uncalibrated_confidence
        )
        self._thresholds = (
            ConfidenceThresholds.from_plain(limits)
            if (limits := self.card.get("doubts"))
            else ConfidenceThresholds()
        )
        spaced = self.tokenizer.decode(self.tokenizer.encode_lossy("a a"))
        self._separator = " " if " " in spaced else ""  # scripts without spaces are joined without

    @classmethod
    def load(cls, path: Path, device: str = "auto", precision: InferencePrecision = "fp32") -> "Recognizer":
        """Read a model file. device: auto (an accelerator where there is one), cpu, cuda or cuda:N.

        precision: of the products of matrices in encoder and search; sums and probabilities are always in fp32.
        Raises CheckpointError for a bad file, ConfigError for a device that is not there.
        """
        chosen = select_device(device)
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _ONEDNN_CACHE_CAPACITY)
        saved = checkpoint.load(path, chosen)
        if chosen.type == "cpu" and precision == "fp32":
            prepack_weights(saved.model)
        return cls(saved, chosen, precision)

    def fuse(self, model: FusionModel, weight: float, name: str = "lm", oov: float | None = None) -> None:
        """Let it join every search from now on; see `scorers.of`. Raises LMError where it does not suit."""
        scorer = scorers.build_scorer(model, self.tokenizer, self.device, oov)
        self.scorers += (WeightedScorer(name, scorer, weight, scorer.ceiling),)

    def transcribe(
        self,
        sources: Iterable[Path | Utterance],
        decoding: DecodingConfig | None = None,
        batch_seconds: float | None = None,
        words: bool = False,
    ) -> Iterator[Outcome]:
        """Transcripts of files, or of a manifest's utterances, in their order; read as they are needed.

        Any length and rate; what is longer than `longest` is cut at pauses and joined again, and where nobody speaks
        for long it is not listened to. What cannot be transcribed gives a Failure and never stops the others.

        batch_seconds   padded audio decoded at once; none for what suits the device
        words           whether the words are wanted with their times
        """
        parts = self._read_segments(map(AudioRegion.from_source, sources))
        decoding = decoding or self.decoding
        batch_seconds = batch_seconds or BATCH_SECONDS[self.device.type]
        done: list[TimedSegment] = []  # of the stretch at hand
        samples = 0
        while window := next_window(parts, round(_BATCHES_READ_AHEAD * batch_seconds * self.rate)):
            spoken = [p.segment.wave for p in window if p.segment and p.segment.has_speech]
            decoded = self._decode_sorted(spoken, decoding, batch_seconds, words)
            for stretch, piece, message in window:
                if piece:
                    start, samples = samples, samples + len(piece.wave)
                    if piece.has_speech:
                        done.append(TimedSegment(start / self.rate, samples / self.rate, next(decoded)))
                    continue
                yield self._outcome(stretch, message, done, samples / self.rate)
                done, samples = [], 0

    def evaluate(
        self,
        utterances: Sequence[Utterance],
        decoding: DecodingConfig | None = None,
        batch_seconds: float | None = None,
        progress: Callable[[Iterator[Outcome]], Iterable[Outcome]] = iter,
        words: bool = False,
    ) -> Evaluation:
        """`transcribe` all and take the time, reading included; `progress` may watch the outcomes pass."""
        wall, cpu, meter = time.perf_counter(), time.process_time(), EnergyMeter()
        outcomes = []
        for outcome in progress(self.transcribe(utterances, decoding, batch_seconds, words)):
            outcomes.append(outcome)
            meter.joules()  # its counters come around
        audio = sum(o.seconds for o in outcomes if isinstance(o, Transcript))
        took = time.perf_counter() - wall, time.process_time() - cpu
        return Evaluation(outcomes, audio, *took, meter.joules())

    @torch.inference_mode()
    def recognize(
        self, waves: Sequence[Wave], decoding: DecodingConfig | None = None
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each (S,) wave at the model's rate, best first; all waves are decoded as one batch.

        Raises AudioError for a wave which is too short for the model or holds what is no number.
        """
        return self.decode(*self.encode(waves), decoding or self.decoding)

    def decode(
        self,
        enc: EncoderOutput,
        log_probs: Tensor,
        decoding: DecodingConfig,
        scorers: Sequence[WeightedScorer] | None = None,
    ) -> list[list[Hypothesis]]:
        """The search in what `encode` gave, with the fused scorers or with others."""
        ctc = log_probs if decoding.ctc > 0 else None
        scorers = self.scorers if scorers is None else scorers
        with self._autocast():
            return beam_search(self.model.decoder, enc.output, enc.lens, ctc, decoding, scorers)

    @torch.inference_mode()
    def encode(self, waves: Sequence[Wave]) -> tuple[EncoderOutput, Tensor]:
        """The frames of (S,) waves as one batch, and what CTC says of them (B, T, V).

        Raises AudioError as `recognize`.
        """
        with self._autocast():
            enc = self.model.encode(*self._pad(waves))
            log_probs = self.model.ctc_log_probs(enc.output)
        return enc._replace(output=enc.output.float()), log_probs

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def stream(self) -> StreamingRecognizer:
        """Speech while it comes in, see `streaming`."""
        return StreamingRecognizer(self)

    def transcribe_wave(self, wave: Wave) -> tuple[str, list[Word]]:
        """The text of a (S,) wave of at most 30 s, and its words with their times."""
        (heard,) = self._decode([wave], self.decoding, words=True)
        return clean(self.tokenizer.decode(heard.tokens)), heard.words

    def decode_partial(self, wave: Wave, beam_size: int) -> str:
        """The text alone, and quickly."""
        ((best, *_),) = self.recognize(
            [wave], replace(self.decoding, beam_size=min(beam_size, self.decoding.beam_size), nbest=1)
        )
        return clean(self.tokenizer.decode(best.tokens))

    @torch.inference_mode()
    def compute_attention(self, wave: Wave, tokens: Sequence[int]) -> AttentionMaps:
        """What the decoder looks at while it writes the tokens for the (S,) wave; the last row writes the end."""
        padded = self._pad([wave])
        features, _ = self.model.frontend.raw(*padded)
        enc = self.model.encode(*padded)
        shifted = torch.tensor([[EOS, *tokens]], device=self.device)
        decoded = self.model.decoder(shifted, enc.output, enc.lens)
        layers = [looks[0].float().cpu().numpy() for looks in decoded.weights]
        pieces = [*(self.tokenizer.decode([token]) for token in tokens), "<eos>"]
        return AttentionMaps(
            features[0].cpu().numpy(), decoded.last_layer_weights[0].float().cpu().numpy(), pieces, layers
        )

    def align(
        self, waves: Sequence[Wave], texts: Sequence[Sequence[int]], source: AlignmentSource = "ctc"
    ) -> list[list[Word]]:
        """The words of each text's tokens with the times at which they are said in its (S,) wave; `words.listen`."""
        return self._add_confidence(self.align_encoded(waves, *self.encode(waves), texts, source))

    def align_encoded(
        self,
        waves: Sequence[Wave],
        enc: EncoderOutput,
        log_probs: Tensor,
        texts: Sequence[Sequence[int]],
        source: AlignmentSource = "ctc",
    ) -> list[list[tuple[Word, ConfidenceFeatures]]]:
        """As `align` of what `encode` gave, with what the confidence is judged by instead of it."""
        tokens, _ = pad_texts(texts, self.device)
        found = []
        for wave, text, said in zip(
            waves, texts, token_spans(self.model, enc, log_probs, tokens, texts, source), strict=True
        ):
            own = split_to_words(text, self.tokenizer)
            timed = compute_word_times(own, [token.span for token in said], self._frame_timing, wave)
            found.append(
                [(word, confidence_features(group, said)) for word, group in zip(timed, own, strict=True)]
            )
        return found

    def _add_confidence(self, found: list[list[tuple[Word, ConfidenceFeatures]]]) -> list[list[Word]]:
        return [
            [replace(word, confidence=round(self._confidence(about), 4)) for word, about in pairs]
            for pairs in found
        ]

    def measure_attention(
        self, waves: Sequence[Wave], texts: Sequence[Sequence[int]], aligned: bool
    ) -> AttentionMetrics:
        """What attention does while the decoder writes each text's tokens for its (S,) wave, see `doctor.examine`."""
        return attention_metrics.measure(
            self.model, *self._pad(waves), *pad_texts(texts, self.device), aligned
        )

    @torch.inference_mode()
    def losses(self, waves: Sequence[Wave], texts: Sequence[Sequence[int]]) -> list[float]:
        """Nats a token, by which the decoder would not write each text's tokens, and the end, for its (S,) wave."""
        tokens, counts = pad_texts(texts, self.device)
        enc = self.model.encode(*self._pad(waves))
        logits = self.model.decoder(F.pad(tokens, (1, 0), value=EOS), enc.output, enc.lens).logits
        targets = F.pad(tokens, (0, 1)).scatter(1, counts[:, None], EOS)
        nats = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
        counted = mask(counts + 1, targets.shape[1])
        found: list[float] = ((nats * counted).sum(1) / (counts + 1)).tolist()
        return found

    def _outcome(
        self, stretch: AudioRegion, message: str, done: list[TimedSegment], seconds: float
    ) -> Outcome:
        if message:
            return Failure(stretch.id, stretch.path, message)
        text = clean(self._separator.join(self.tokenizer.decode(p.decoded.tokens) for p in done))
        score = sum(p.decoded.hypotheses[0].score for p in done)
        words = tuple(word.shifted(p.start) for p in done for word in p.decoded.words)
        flags = tuple(dict.fromkeys(flag for p in done for flag in p.decoded.flags)) if done else ("silence",)
        pieces = tuple(
            TranscriptSegment(p.start, p.end, tuple(map(self._nbest_entry, p.decoded.hypotheses)))
            for p in done
        )
        return Transcript(stretch.id, stretch.path, text, score, seconds, words, flags, pieces)

    def _nbest_entry(self, found: Hypothesis) -> NBestEntry:
        return NBestEntry(clean(self.tokenizer.decode(found.tokens)), found.score, found.component_scores)

    def _read_segments(self, stretches: Iterable[AudioRegion]) -> Iterator[QueuedSegment]:
        for stretch in stretches:
            message = ""
            try:
                for piece in segmentation.read_segments(
                    stretch, self.rate, self.max_segment_seconds, self.vad
                ):
                    if trouble := self.find_wave_error(piece.wave):
                        raise AudioError(f"{stretch.path}: {trouble}")
                    yield QueuedSegment(stretch, piece)
            except AudioError as error:
                message = str(error)
            yield QueuedSegment(stretch, None, message)

    def _decode_sorted(
        self, waves: list[Wave], search: DecodingConfig, batch_seconds: float, words: bool
    ) -> Iterator[DecodedSegment]:
        """What is heard in each wave in order; decoded longest first, in batches of like lengths."""
        best: dict[int, DecodedSegment] = {}
        order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
        while order:
            size = max(1, int(batch_seconds * self.rate / len(waves[order[0]])))
            batch, order = order[:size], order[size:]
            best.update(zip(batch, self._decode([waves[i] for i in batch], search, words), strict=True))
        return (best[i] for i in range(len(waves)))

    def _decode(self, waves: list[Wave], search: DecodingConfig, words: bool) -> list[DecodedSegment]:
        try:
            return self._decode_batch(waves, search, words)
        except torch.OutOfMemoryError:
            if len(waves) == 1:
                raise ConfigError(
                    f"{self.device} has too little memory for a beam of {search.beam_size}; use a smaller one, or cpu"
                ) from None
        half = len(waves) // 2
        return self._decode(waves[:half], search, words) + self._decode(waves[half:], search, words)

    def _decode_batch(self, waves: list[Wave], search: DecodingConfig, words: bool) -> list[DecodedSegment]:
        enc, log_probs = self.encode(waves)
        found = self.decode(enc, log_probs, search)
        asked = search.ctc > 0
        verdicts = [
            filter_hypothesis(
                found[b][0], log_probs[b, :count] if asked else None, waves[b], self.rate, self._thresholds
            )
            for b, count in enumerate(enc.lens.tolist())
        ]
        spoken: list[list[Word]] = [[] for _ in found]
        if words:
            spoken = self._add_confidence(
                self.align_encoded(waves, enc, log_probs, [v.tokens for v in verdicts])
            )
        return [
            DecodedSegment(verdict.tokens, verdict.flags, hypotheses, timed)
            for verdict, hypotheses, timed in zip(verdicts, found, spoken, strict=True)
        ]

    def find_wave_error(self, wave: Wave) -> str:
        """Why a wave cannot be recognised; "" for a good one."""
        if len(wave) < self._min_samples:
            seconds, least = len(wave) / self.rate, self._min_samples / self.rate
            return f"{seconds:.3f} s are too short, this model needs {least:.3f} s; leave it out or record it longer"
        if not np.isfinite(wave).all():
            return "holds samples that are no numbers (NaN or infinite); convert or record it again"
        return ""

    def _encoder_lens(self, samples: Tensor) -> Tensor:
        lens: Tensor = self.model.encoder.lens(self.model.frontend.lens(samples))
        return lens

    def _pad(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        """(S,) waves as (B, S) and (B,) on the device. Raises AudioError for one that cannot be recognised."""
        if trouble := next(filter(None, map(self.find_wave_error, waves)), ""):
            raise AudioError(trouble)
        return pad_waves(waves, self.device)


def _max_segment_seconds(card: Mapping[str, JSONValue]) -> float:
    """Seconds that a model can read at once: it was trained on hardly anything longer."""
    known = card.get("longest_seconds")
    return (
        min(max(known, MIN_SEGMENT_LIMIT_SECONDS), MAX_SEGMENT_SECONDS)
        if isinstance(known, float)
        else MAX_SEGMENT_SECONDS
    )
