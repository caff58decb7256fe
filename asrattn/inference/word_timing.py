"""Word timing by forced alignment: token spans in encoder frames -> word times in seconds, snapped to pauses."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from asrattn import forced_alignment
from asrattn.audio.interface import Wave
from asrattn.audio.vad import HOP_SECONDS, find_runs, levels_db, speech_threshold
from asrattn.encoders.output import EncoderOutput
from asrattn.forced_alignment import TokenSpan
from asrattn.inference.confidence import ConfidenceFeatures
from asrattn.inference.transcript import Word
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BLANK, EOS, RESERVED, UNKNOWN, Tokenizer, clean
from asrattn.text.tokenizer import UNKNOWN_SIGN

MIN_PAUSE_SECONDS = 0.06  # longer than the closure of most plosives
MIN_SILENCE_SECONDS = 0.12  # longer than any closure: no token is spoken there, though its peak may be
MIN_PROBABILITY = 1e-9
MIN_SPAN_WEIGHT = 0.1  # of the largest attention weight of a token, at the ends of its span
AlignmentSource = Literal["ctc", "attention"]
SilenceSide = Literal["before", "behind", "nearer"]


class FrameTiming(NamedTuple):
    """Position of encoder frames: frame t covers `width` samples from t·stride on."""

    width: int
    stride: int
    rate: int

    @classmethod
    def of_model(cls, model: SpeechModel) -> Self:
        """Whisper's frames are centred, so that the border before the first one lies half a frame before the audio."""
        config = model.config.frontend
        if config.kind == "whisper":
            return cls(0, 2 * config.hop_samples, config.rate)
        lens = model.encoder.lens(model.frontend.lens(torch.arange(config.rate)))
        width = int((lens < 1).sum())
        return cls(width, int((lens < 2).sum()) - width, config.rate)

    def count(self, samples: int) -> int:
        """Frames that begin within so many samples."""
        return -(-samples // self.stride)

    def seconds(self, border: float) -> float:
        """The time of the border before frame `border`, half-way between the centres of its neighbours."""
        return (border * self.stride + (self.width - self.stride) / 2) / self.rate


class AlignedToken(NamedTuple):
    """A token: its span of frames, and its log-probability by the decoder."""

    span: TokenSpan
    decoder_log_prob: float


@torch.inference_mode()
def token_spans(
    model: SpeechModel,
    enc: EncoderOutput,
    log_probs: Tensor,
    tokens: Tensor,
    texts: Sequence[Sequence[int]],
    source: AlignmentSource = "ctc",
    frames: Sequence[int] = (),
) -> list[list[AlignedToken]]:
    """The span of each token of the texts in encoder frames: forced alignment by CTC, or the attention peaks.

    log_probs (B, T, V) of CTC; tokens (B, U), the padded texts. By CTC, a token without labels (punctuation beside a
    CTC head over bytes) gets an empty span.

    source  ctc: the best path of the CTC head; attention: the frame with the largest attention weight of the token,
            also used for a text that does not fit its frames. If heads are known to follow the audio (Whisper's
            alignment heads): the best monotonic path.
    frames  of the audio itself, without the silence that Whisper's encoder adds
    """
    decoded = model.decoder(F.pad(tokens, (1, 0), value=EOS), enc.output, enc.lens)
    log_prob = decoded.logits[:, :-1].float().log_softmax(-1).gather(2, tokens[..., None])[..., 0].tolist()
    weights = decoded.alignment_weights.float()
    if decoded.alignment_heads and frames:
        found = _monotonic_spans(weights, frames, texts)
        # Attention weights are no probabilities of tokens: the decoder's stand for the confidence.
        found = [
            [span._replace(score=score) for span, score in zip(spans, row, strict=False)]
            for spans, row in zip(found, log_prob, strict=True)
        ]
    else:
        found = _attention_spans(weights, texts)
    fitting = [
        b
        for b, text in enumerate(texts)
        if source == "ctc"
        and forced_alignment.min_ctc_frames(model.spelling.spell(text)[0]) <= int(enc.lens[b])
    ]
    if fitting:
        own = forced_alignment.align_tokens(
            log_probs[fitting], enc.lens[fitting], [texts[b] for b in fitting], model.spelling
        )
        for b, spans in zip(fitting, own, strict=True):
            found[b] = spans
    return [
        [AlignedToken(*each) for each in zip(spans, row, strict=False)]
        for spans, row in zip(found, log_prob, strict=True)
    ]


def _attention_spans(weights: Tensor, texts: Sequence[Sequence[int]]) -> list[list[TokenSpan]]:
    """Attention weights (B, U, T) -> the frame of each token with the largest weight."""
    strength, places = (x.tolist() for x in weights.max(-1))
    return [
        [
            TokenSpan(token, t, t + 1, math.log(max(weight, MIN_PROBABILITY)))
            for token, t, weight in zip(*each, strict=False)
        ]
        for each in zip(texts, places, strength, strict=True)
    ]


def _monotonic_spans(
    weights: Tensor, frames: Sequence[int], texts: Sequence[Sequence[int]]
) -> list[list[TokenSpan]]:
    """Attention weights (B, U, T) of heads that follow the audio -> the frames of each token on the best monotonic path
    through the audio's own `frames` (dynamic time warping, as in Whisper). A text of more tokens than frames gets the
    frames with the largest weights."""
    found = []
    for row, own, text in zip(weights, frames, texts, strict=True):
        count = min(own, weights.shape[2])
        if not 0 < len(text) <= count:
            found += _attention_spans(row[None], [text])
            continue
        scores = row[None, : len(text), :count].clamp(min=MIN_PROBABILITY).log().transpose(1, 2)
        order = forced_alignment.min_duration_topology(range(len(text)), blank=None)
        path, _ = forced_alignment.viterbi(
            scores, torch.tensor([count]), forced_alignment.collate([order], scores.device)
        )
        found.append([_trimmed(token, path[0] == n, row[n, :count]) for n, token in enumerate(text)])
    return found


def _trimmed(token: int, own: Tensor, weights: Tensor) -> TokenSpan:
    """The token's span: its frames on the path, own (T,), from the first to the last with much of the largest weight;
    those of a pause belong to nobody."""
    weights = weights * own
    frames = (weights >= MIN_SPAN_WEIGHT * weights.max()).nonzero()[:, 0].tolist()
    return TokenSpan(token, frames[0], frames[-1] + 1, math.log(max(float(weights.max()), MIN_PROBABILITY)))


class WordTokens(NamedTuple):
    """A word: the indices of its first and last token, and its text."""

    first: int
    last: int
    text: str


def split_to_words(tokens: Sequence[int], tokenizer: Tokenizer) -> list[WordTokens]:
    """The words of a text. If the tokenizer has no space (scripts without spaces), each token is a word."""
    names = {BLANK: b"", EOS: b"", UNKNOWN: UNKNOWN_SIGN.encode()}
    written = tokenizer.token_bytes
    pieces = [names[t] if t < RESERVED else written[t - RESERVED] for t in tokens]
    spaced = any(piece.startswith(b" ") for piece in written)
    found: list[WordTokens] = []
    first = -1
    for number, piece in enumerate(pieces):
        if first >= 0 and (piece.startswith(b" ") or not spaced):
            found.append(_word_tokens(pieces, first, number))
            first = -1
        if first < 0 and piece.strip():
            first = number
    return [*found, _word_tokens(pieces, first, len(pieces))] if first >= 0 else found


def _word_tokens(pieces: Sequence[bytes], first: int, end: int) -> WordTokens:
    return WordTokens(first, end - 1, clean(b"".join(pieces[first:end]).decode("utf-8", errors="replace")))


def confidence_features(group: WordTokens, tokens: Sequence[AlignedToken]) -> ConfidenceFeatures:
    """The confidence features of a word; those by CTC are of the tokens that have frames."""
    own = tokens[group.first : group.last + 1]
    spans = _spoken([token.span for token in own])
    return ConfidenceFeatures.from_log_probs(
        [token.decoder_log_prob for token in own], [span.score for span in spans]
    )


def _spoken(spans: Sequence[TokenSpan]) -> Sequence[TokenSpan]:
    """The spans with frames; all if none has any."""
    return [span for span in spans if span.end > span.start] or spans


def compute_word_times(
    words: Sequence[WordTokens], spans: Sequence[TokenSpan], frames: FrameTiming, wave: Wave
) -> list[Word]:
    """The words of the (S,) wave, in its seconds; the spans are those of all tokens of the text.

    CTC gives the peak of each token. Between the last peak of a word and the first peak of the next one, the border is
    the longest pause, or, without a pause, the quietest place.
    """
    if not words:
        return []
    levels = levels_db(wave, frames.rate)
    quiet = find_runs(levels < speech_threshold(levels))
    ends = len(wave) / frames.rate
    peaks = [0.0]
    spoken = [_spoken(spans[group.first : group.last + 1]) for group in words]
    for group, own in zip(words, spoken, strict=True):
        first = frames.seconds(own[0].start + 0.5)
        last = frames.seconds(own[-1].end - 0.5)
        sides: tuple[SilenceSide, SilenceSide] = (
            ("nearer", "nearer") if group.first == group.last else ("behind", "before")
        )
        peaks += [
            _nearest_sound(at, quiet, len(levels), side)
            for at, side in zip((first, last), sides, strict=True)
        ]
    peaks.append(ends)
    borders = np.array(
        [_word_boundary(levels, quiet, *gap) for gap in zip(peaks[::2], peaks[1::2], strict=True)]
    )
    # No pause at the edge: the CTC peaks are better than the quietest place.
    if borders[0, 0] == borders[0, 1]:
        borders[0, 1] = frames.seconds(spoken[0][0].start)
    if borders[-1, 0] == borders[-1, 1]:
        borders[-1, 0] = frames.seconds(spoken[-1][-1].end)
    edges = np.maximum.accumulate(borders.ravel()[1:-1].clip(0, ends)).round(3).reshape(-1, 2)
    return [Word(group.text, *edge) for group, edge in zip(words, edges.tolist(), strict=True)]


def _nearest_sound(place: float, quiet: NDArray[np.int64], count: int, side: SilenceSide) -> float:
    """The time of a token with this peak: if that is in silence, the given side of it, or the nearer one.

    Silence before the first sound and after the last one has one side only.
    """
    hop = round(place / HOP_SECONDS)
    for start, end in quiet[(quiet[:, 1] - quiet[:, 0]) * HOP_SECONDS >= MIN_SILENCE_SECONDS]:
        if start <= hop < end:
            back = start > 0 and (
                side == "before" or end == count or (side == "nearer" and hop - start < end - hop)
            )
            return float(start if back else end) * HOP_SECONDS
    return place


def _word_boundary(
    levels: NDArray[np.float64], quiet: NDArray[np.int64], before: float, after: float
) -> tuple[float, float]:
    """The end of one word and the start of the next between two times: the edges of a pause, or one place twice."""
    first = min(round(before / HOP_SECONDS), len(levels) - 1)
    last = max(first + 1, min(round(after / HOP_SECONDS), len(levels)))
    quiet = np.clip(quiet, first, last)
    start, end = quiet[(quiet[:, 1] - quiet[:, 0]).argmax()] if len(quiet) else (first, first)
    if (end - start) * HOP_SECONDS >= MIN_PAUSE_SECONDS:
        return float(start) * HOP_SECONDS, float(end) * HOP_SECONDS
    place = (first + float(levels[first:last].argmin()) + 0.5) * HOP_SECONDS
    return place, place
