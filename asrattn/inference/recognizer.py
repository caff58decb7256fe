"""Recognizer: transcribe audio files with a trained model; alignment, attention and losses of known texts."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.decoding.scorers import WeightedScorer, select_rows
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import AudioError, ConfigError
from asrattn.inference import segmentation
from asrattn.inference.batching import (
    DecodedSegment,
    TimedSegment,
    join_segments,
    next_window,
    pad_texts,
    pad_waves,
    queue_segments,
    select_device,
)
from asrattn.inference.confidence import Calibration, ConfidenceFeatures, uncalibrated_confidence
from asrattn.inference.hallucination import ConfidenceThresholds, filter_hypothesis
from asrattn.inference.segmentation import AudioRegion
from asrattn.inference.streaming import StreamingRecognizer
from asrattn.inference.transcript import (
    AttentionMaps,
    Evaluation,
    Failure,
    Outcome,
    Transcript,
    Word,
)
from asrattn.inference.whisper import WhisperPrompt, is_speech
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
BATCH_SECONDS = {"cpu": 60.0, "cuda": 600.0}  # small batches fit a CPU's caches, and leave a GPU idle
_BATCHES_READ_AHEAD = 8  # read ahead and sorted by length: little padding, bounded memory
_ONEDNN_CACHE_CAPACITY = "32"  # primitives; nearly every batch has shapes that do not recur


class Recognizer:
    """A trained model, its tokenizer and decoding configuration on one device, and the scorers fused with it."""

    def __init__(
        self, saved: Checkpoint, device: torch.device, precision: InferencePrecision = "fp32"
    ) -> None:
        self.model, self.tokenizer, self.card, self.decoding = saved
        self.device, self.precision = device, precision
        self.scorers: tuple[WeightedScorer, ...] = ()
        self.vad: SpeechDetector = (
            energy_vad  # voice activity detection in audio longer than max_segment_seconds
        )
        self.max_segment_seconds = segmentation.max_segment_seconds(self.card)
        self.rate: int = self.model.config.frontend.rate
        frames = self.model.encoder.lens(self.model.frontend.lens(torch.arange(self.rate)))
        self._min_samples = int((frames < 1).sum())
        self._frame_timing = FrameTiming.of_model(self.model)
        self._confidence = (
            Calibration.from_plain(calibration)
            if (calibration := self.card.get("confidence"))
            else uncalibrated_confidence
        )
        self._whisper = WhisperPrompt.of_model(self.model, self.tokenizer)
        self._thresholds = (
            ConfidenceThresholds.from_plain(limits)
            if (limits := self.card.get("doubts"))
            else ConfidenceThresholds()
        )

    @classmethod
    def load(cls, path: Path, device: str = "auto", precision: InferencePrecision = "fp32") -> "Recognizer":
        """Load a model file. device: auto (an accelerator if there is one), cpu, cuda or cuda:N.

        precision: matmul precision in encoder and decoding; sums and probabilities are always in fp32.
        Raises CheckpointError for a bad file, ConfigError for a device that does not exist.
        """
        chosen = select_device(device)
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _ONEDNN_CACHE_CAPACITY)
        saved = checkpoint.load(path, chosen)
        if chosen.type == "cpu" and precision == "fp32":
            prepack_weights(saved.model)
        return cls(saved, chosen, precision)

    def is_trained(self, part: str) -> bool:
        """Whether a part of the model is trained; the ctc of an imported Whisper is not."""
        untrained = self.card.get("untrained")
        return not (isinstance(untrained, list) and part in untrained)

    def require_whisper(self) -> WhisperPrompt:
        """What Whisper is asked for, to be changed. Raises ConfigError for any other model."""
        if self._whisper is None:
            raise ConfigError(
                "--language, --task and --timestamps: this model is no Whisper; it knows what it was trained on"
            )
        return self._whisper

    def fuse(self, model: FusionModel, weight: float, name: str = "lm", oov: float | None = None) -> None:
        """Shallow fusion: add a language model or hotwords to decoding, see `build_scorer`. Raises LMError if it does
        not fit the tokenizer."""
        scorer = scorers.build_scorer(model, self.tokenizer, self.device, oov)
        self.scorers += (WeightedScorer(name, scorer, weight, scorer.ceiling),)

    def transcribe(
        self,
        sources: Iterable[Path | Utterance | AudioRegion],
        decoding: DecodingConfig | None = None,
        batch_seconds: float | None = None,
        words: bool = False,
    ) -> Iterator[Outcome]:
        """Transcripts of files, their channels, or a manifest's utterances, in their order; read lazily.

        Any length and rate: audio longer than `max_segment_seconds` is split at pauses, and long silences are skipped.
        Audio that cannot be transcribed gives a Failure and does not stop the others.

        batch_seconds   padded audio per batch; None for the default of the device
        words           whether to compute the words with their times
        """
        parts = queue_segments(
            map(AudioRegion.from_source, sources),
            lambda each: segmentation.read_segments(each, self.rate, self.max_segment_seconds, self.vad),
            self.find_wave_error,
        )
        decoding = decoding or self.decoding
        batch_seconds = batch_seconds or BATCH_SECONDS[self.device.type]
        done: list[TimedSegment] = []  # of the current region
        samples = 0
        while window := next_window(parts, round(_BATCHES_READ_AHEAD * batch_seconds * self.rate)):
            waves = [p.segment.wave for p in window if p.segment and p.segment.has_speech]
            decoded = self._decode_sorted(waves, decoding, batch_seconds, words)
            for region, segment, message, notes in window:
                if segment:
                    start, samples = samples, samples + len(segment.wave)
                    if segment.has_speech:
                        done += [each.shifted(start / self.rate) for each in next(decoded)]
                    continue
                yield (
                    Failure(region.id, region.path, message, region.channel)
                    if message
                    else join_segments(region, done, samples / self.rate, self.tokenizer, notes)
                )
                done, samples = [], 0

    def evaluate(
        self,
        utterances: Sequence[Utterance],
        decoding: DecodingConfig | None = None,
        batch_seconds: float | None = None,
        progress: Callable[[Iterator[Outcome]], Iterable[Outcome]] = iter,
        words: bool = False,
    ) -> Evaluation:
        """`transcribe` all and measure the time, reading included; `progress` wraps the iterator of outcomes."""
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
        """N-best hypotheses of each (S,) wave at the model's rate; all waves are decoded as one batch.

        Raises AudioError for a wave that is too short for the model or has non-finite samples.
        """
        return self.decode(*self.encode(waves), decoding or self.decoding)

    def decode(
        self,
        enc: EncoderOutput,
        log_probs: Tensor,
        decoding: DecodingConfig,
        scorers: Sequence[WeightedScorer] | None = None,
    ) -> list[list[Hypothesis]]:
        """Beam search over the output of `encode`, with the fused scorers or others."""
        ctc = log_probs if decoding.ctc > 0 else None
        scorers = self.scorers if scorers is None else scorers
        with self._autocast():
            decoder = self.model.stepwise_decoder(bool(self._whisper and self._whisper.timestamps))
            table = self.model.label_table(enc.lens.device)
            return beam_search(decoder, enc.output, enc.lens, ctc, decoding, scorers, table)

    @torch.inference_mode()
    def encode(self, waves: Sequence[Wave]) -> tuple[EncoderOutput, Tensor]:
        """Encoder output of (S,) waves as one batch, and CTC log-probabilities (B, T, V).

        Raises AudioError as `recognize`.
        """
        with self._autocast():
            enc = self.model.encode(*self._pad(waves))
            log_probs = self.model.ctc_log_probs(enc.output, enc.lens)
        return enc._replace(output=enc.output.float()), log_probs

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def stream(self) -> StreamingRecognizer:
        """A streaming recognizer, see `streaming`."""
        return StreamingRecognizer(self)

    def transcribe_wave(self, wave: Wave) -> tuple[str, list[Word]]:
        """The text of a (S,) wave of at most 30 s, and its words with their times."""
        (segment,) = self._decode([wave], self.decoding, words=True)
        return clean(self.tokenizer.decode(segment.tokens)), segment.words

    def decode_partial(self, wave: Wave, beam_size: int) -> str:
        """The text alone, with a small beam, for partial results of streaming."""
        ((best, *_),) = self.recognize(
            [wave], replace(self.decoding, beam_size=min(beam_size, self.decoding.beam_size), nbest=1)
        )
        return clean(self.tokenizer.decode(best.tokens))

    @torch.inference_mode()
    def compute_attention(self, wave: Wave, tokens: Sequence[int]) -> AttentionMaps:
        """Attention weights of the decoder for the tokens and the frames of the (S,) wave; the last row is that of
        EOS."""
        padded = self._pad([wave])
        features, _ = self.model.frontend.raw(*padded)
        enc = self.model.encode(*padded)
        shifted = torch.tensor([[EOS, *tokens]], device=self.device)
        decoded = self.model.decoder(shifted, enc.output, enc.lens)
        frames = self._frame_timing.count(len(wave))  # a Whisper reads silence behind them
        layers = [weights[0, ..., :frames].float().cpu().numpy() for weights in decoded.weights]
        pieces = [*(self.tokenizer.decode([token]) for token in tokens), "<eos>"]
        weights = decoded.alignment_weights[0, :, :frames].float().cpu().numpy()
        return AttentionMaps(features[0].cpu().numpy(), weights, pieces, layers, decoded.alignment_heads)

    def align(
        self, waves: Sequence[Wave], texts: Sequence[Sequence[int]], source: AlignmentSource | None = None
    ) -> list[list[Word]]:
        """Forced alignment: the words of each text's tokens with their times in its (S,) wave, see `token_spans`."""
        return self._add_confidence(self.align_encoded(waves, *self.encode(waves), texts, source))

    def align_encoded(
        self,
        waves: Sequence[Wave],
        enc: EncoderOutput,
        log_probs: Tensor,
        texts: Sequence[Sequence[int]],
        source: AlignmentSource | None = None,
    ) -> list[list[tuple[Word, ConfidenceFeatures]]]:
        """As `align`, for the output of `encode`, with confidence features instead of the confidence."""
        tokens, _ = pad_texts(texts, self.device)
        source = source or ("ctc" if self.is_trained("ctc") else "attention")
        frames = [self._frame_timing.count(len(wave)) for wave in waves]
        aligned_texts = token_spans(self.model, enc, log_probs, tokens, texts, source, frames)
        found = []
        for wave, text, aligned in zip(waves, texts, aligned_texts, strict=True):
            own = split_to_words(text, self.tokenizer)
            timed = compute_word_times(own, [token.span for token in aligned], self._frame_timing, wave)
            found.append(
                [(word, confidence_features(group, aligned)) for word, group in zip(timed, own, strict=True)]
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
        """Attention metrics for each text's tokens and its (S,) wave, see `attention_metrics.measure`."""
        return attention_metrics.measure(
            self.model, *self._pad(waves), *pad_texts(texts, self.device), aligned
        )

    @torch.inference_mode()
    def losses(self, waves: Sequence[Wave], texts: Sequence[Sequence[int]]) -> list[float]:
        """Cross-entropy of the decoder in nats per token (EOS included) of each text for its (S,) wave; of a text
        that is too long for the decoder, of its beginning."""
        tokens, counts = pad_texts([text[: self.model.decoder.max_tokens] for text in texts], self.device)
        enc = self.model.encode(*self._pad(waves))
        logits = self.model.decoder(F.pad(tokens, (1, 0), value=EOS), enc.output, enc.lens).logits
        targets = F.pad(tokens, (0, 1)).scatter(1, counts[:, None], EOS)
        nats = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
        counted = mask(counts + 1, targets.shape[1])
        found: list[float] = ((nats * counted).sum(1) / (counts + 1)).tolist()
        return found

    def _decode_sorted(
        self, waves: list[Wave], decoding: DecodingConfig, batch_seconds: float, words: bool
    ) -> Iterator[list[TimedSegment]]:
        """The decoded waves in order, each as one segment, or as several if its text did not cover it; decoded longest
        first, in batches of similar lengths."""
        best: dict[int, DecodedSegment] = {}
        order = sorted(range(len(waves)), key=lambda i: -len(waves[i]))
        while order:
            size = max(1, int(batch_seconds * self.rate / len(waves[order[0]])))
            batch, order = order[:size], order[size:]
            best.update(zip(batch, self._decode([waves[i] for i in batch], decoding, words), strict=True))
        ends = {i: end for i, decoded in best.items() if (end := decoded.end) is not None}
        rests = [waves[i][ends[i] :] for i in sorted(ends)]
        rest = self._decode_sorted(rests, decoding, batch_seconds, words) if rests else iter(())
        for i, wave in enumerate(waves):
            seconds = ends.get(i, len(wave)) / self.rate
            later = [each.shifted(seconds) for each in next(rest)] if i in ends else []
            yield [TimedSegment(0.0, seconds, best[i]), *filter(is_speech, later)]

    def _decode(self, waves: list[Wave], decoding: DecodingConfig, words: bool) -> list[DecodedSegment]:
        try:
            return self._decode_batch(waves, decoding, words)
        except torch.OutOfMemoryError:
            if len(waves) == 1:
                raise ConfigError(
                    f"{self.device} has too little memory for a beam of {decoding.beam_size}; use a smaller one, or cpu"
                ) from None
        half = len(waves) // 2
        return self._decode(waves[:half], decoding, words) + self._decode(waves[half:], decoding, words)

    def _decode_batch(self, waves: list[Wave], decoding: DecodingConfig, words: bool) -> list[DecodedSegment]:
        enc, log_probs = self.encode(waves)
        if not (self._whisper and self._whisper.detects):
            return self._decode_encoded(waves, enc, log_probs, decoding, words)
        found: dict[int, DecodedSegment] = {}
        for language, rows in self._whisper.by_language(enc):
            own = select_rows((enc, log_probs), torch.tensor(rows, device=enc.lens.device))
            decoded = self._decode_encoded([waves[b] for b in rows], *own, decoding, words)
            found |= {b: each._replace(language=language) for b, each in zip(rows, decoded, strict=True)}
        return [found[b] for b in range(len(waves))]

    def _decode_encoded(
        self, waves: list[Wave], enc: EncoderOutput, log_probs: Tensor, decoding: DecodingConfig, words: bool
    ) -> list[DecodedSegment]:
        found = self.decode(enc, log_probs, decoding)
        filtered = []
        for b, count in enumerate(enc.lens.tolist()):
            frames = log_probs[b, :count] if decoding.ctc > 0 else None
            about = (waves[b], self.rate, self._thresholds, self.model.spelling)
            filtered.append(filter_hypothesis(found[b][0], frames, *about))
        texts, phrases = [result.tokens for result in filtered], [list[Word]() for _ in found]
        if self._whisper:
            for b, wave in enumerate(waves):
                texts[b], phrases[b] = self._whisper.split(texts[b], len(wave) / self.rate)
        ends: list[int | None] = [None] * len(waves)
        # A fine-tuned Whisper has forgotten its timestamps.
        if self._whisper and "longest_seconds" not in self.card:
            ends = self._whisper.find_rests(waves, self.rate, self.vad, enc, texts)
        timed: list[list[Word]] = [[] for _ in found]
        if words:
            covered = [wave[:end] for wave, end in zip(waves, ends, strict=True)]
            timed = self._add_confidence(self.align_encoded(covered, enc, log_probs, texts))
        return [
            DecodedSegment(text, result.flags, hypotheses, own_words, own_phrases, end=end)
            for text, result, hypotheses, own_words, own_phrases, end in zip(
                texts, filtered, found, timed, phrases, ends, strict=True
            )
        ]

    def find_wave_error(self, wave: Wave) -> str:
        """The reason why a wave cannot be recognised; "" if it can."""
        if len(wave) < self._min_samples:
            seconds, least = len(wave) / self.rate, self._min_samples / self.rate
            return f"{seconds:.3f} s are too short, this model needs {least:.3f} s; remove it or record it longer"
        if not np.isfinite(wave).all():
            return "holds non-finite samples (NaN or infinite); convert or record it again"
        return ""

    def _pad(self, waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
        """(S,) waves as (B, S) and (B,) on the device. Raises AudioError for one that cannot be recognised."""
        if message := next(filter(None, map(self.find_wave_error, waves)), ""):
            raise AudioError(message)
        return pad_waves(waves, self.device)
