"""Words with their times: token spans over encoder frames -> seconds, with borders where the sound has them."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from asrattn import align
from asrattn.align import Span
from asrattn.audio.sound import Wave
from asrattn.audio.speech import HOP, levels, runs, threshold
from asrattn.encoders.encoded import Encoded
from asrattn.model.speech_model import SpeechModel
from asrattn.scoring.confidence import Evidence
from asrattn.text import BLANK, EOS, RESERVED, UNKNOWN, Tokenizer, clean
from asrattn.text.tokens import UNKNOWN_SIGN
from asrattn.transcript import Word

PAUSE = 0.06  # seconds of quiet that make a pause: longer than the closure of most plosives
SILENCE = 0.12  # seconds of quiet, longer than any closure: a token that peaks there is not said there
TINY = 1e-9
Witness = Literal["ctc", "attention"]
Side = Literal["before", "behind", "nearer"]


class Frames(NamedTuple):
    """Where encoder frames lie: frame t is heard out of `width` samples from t·stride on."""

    width: int
    stride: int
    rate: int

    def seconds(self, border: float) -> float:
        """Of the border before frame `border`, half-way between the middles of its neighbours."""
        return (border * self.stride + (self.width - self.stride) / 2) / self.rate


class Said(NamedTuple):
    """A token: where it was said, and the log-probability that the decoder gives it."""

    span: Span
    decoder: float


@torch.inference_mode()
def listen(
    model: SpeechModel,
    enc: Encoded,
    log_probs: Tensor,
    tokens: Tensor,
    texts: Sequence[Sequence[int]],
    by: Witness = "ctc",
) -> list[list[Said]]:
    """Where each token of the texts was said, in encoder frames.

    log_probs (B, T, V) of CTC; tokens (B, U), the texts side by side

    by   ctc: the best path of the CTC head; attention: the frame that the decoder looks at most while it writes the
         token. A text that does not fit into its frames is told by attention in any case.
    """
    decoded = model.decoder(F.pad(tokens, (1, 0), value=EOS), enc.output, enc.lens)
    said = decoded.logits[:, :-1].float().log_softmax(-1).gather(2, tokens[..., None])[..., 0].tolist()
    found = _attended(decoded.look.float(), texts)
    fitting = [b for b, text in enumerate(texts) if by == "ctc" and align.shortest(text) <= int(enc.lens[b])]
    if fitting:
        own = align.spans(log_probs[fitting], enc.lens[fitting], [texts[b] for b in fitting])
        for b, spans in zip(fitting, own, strict=True):
            found[b] = spans
    return [
        [Said(*each) for each in zip(spans, row, strict=False)]
        for spans, row in zip(found, said, strict=True)
    ]


def _attended(weights: Tensor, texts: Sequence[Sequence[int]]) -> list[list[Span]]:
    """Attention (B, U, T) -> the frame of each token that it looks at most."""
    strength, places = (x.tolist() for x in weights.max(-1))
    return [
        [Span(token, t, t + 1, math.log(max(weight, TINY))) for token, t, weight in zip(*each, strict=False)]
        for each in zip(texts, places, strength, strict=True)
    ]


class Group(NamedTuple):
    """A word: the numbers of its first and last token, and its text."""

    first: int
    last: int
    text: str


def groups(tokens: Sequence[int], tokenizer: Tokenizer) -> list[Group]:
    """The words of a text. Where the tokenizer has no space, as for scripts without, each token is one."""
    names = {BLANK: "", EOS: "", UNKNOWN: UNKNOWN_SIGN}
    pieces = [names[t] if t < RESERVED else tokenizer.tokens[t - RESERVED] for t in tokens]
    spaced = any(piece.startswith(" ") for piece in tokenizer.tokens)
    found: list[Group] = []
    first = -1
    for number, piece in enumerate(pieces):
        if first >= 0 and (piece.startswith(" ") or not spaced):
            found.append(_group(pieces, first, number))
            first = -1
        if first < 0 and piece.strip():
            first = number
    return [*found, _group(pieces, first, len(pieces))] if first >= 0 else found


def _group(pieces: Sequence[str], first: int, end: int) -> Group:
    return Group(first, end - 1, clean("".join(pieces[first:end])))


def evidence(group: Group, said: Sequence[Said]) -> Evidence:
    """For and against a word."""
    own = said[group.first : group.last + 1]
    return Evidence.of([token.decoder for token in own], [token.span.score for token in own])


def times(found: Sequence[Group], spans: Sequence[Span], frames: Frames, wave: Wave) -> list[Word]:
    """The words of the (S,) wave, in its seconds; the spans are those of all tokens of the text.

    What CTC tells is where each token peaks. Between the peaks at the end of a word and at the begin of the next, the
    words are parted by the longest pause, or where there is none, at the quietest place.
    """
    if not found:
        return []
    heard = levels(wave, frames.rate)
    quiet = runs(heard < threshold(heard))
    ends = len(wave) / frames.rate
    peaks = [0.0]
    for group in found:
        first = frames.seconds(spans[group.first].start + 0.5)
        last = frames.seconds(spans[group.last].end - 0.5)
        sides: tuple[Side, Side] = ("nearer", "nearer") if group.first == group.last else ("behind", "before")
        peaks += [
            _sounding(at, quiet, len(heard), side) for at, side in zip((first, last), sides, strict=True)
        ]
    peaks.append(ends)
    borders = np.array([_border(heard, quiet, *gap) for gap in zip(peaks[::2], peaks[1::2], strict=True)])
    # No pause at the edge: what CTC tells is better than the quietest place.
    if borders[0, 0] == borders[0, 1]:
        borders[0, 1] = frames.seconds(spans[found[0].first].start)
    if borders[-1, 0] == borders[-1, 1]:
        borders[-1, 0] = frames.seconds(spans[found[-1].last].end)
    edges = np.maximum.accumulate(borders.ravel()[1:-1].clip(0, ends)).round(3).reshape(-1, 2)
    return [Word(group.text, *edge) for group, edge in zip(found, edges.tolist(), strict=True)]


def _sounding(place: float, quiet: NDArray[np.int64], count: int, side: Side) -> float:
    """Where a token is said that peaks at this time: if that is in silence, on the given side of it, or the nearer one.

    What lies before the first sound, and behind the last one, has one side only.
    """
    hop = round(place / HOP)
    for start, end in quiet[(quiet[:, 1] - quiet[:, 0]) * HOP >= SILENCE]:
        if start <= hop < end:
            back = start > 0 and (
                side == "before" or end == count or (side == "nearer" and hop - start < end - hop)
            )
            return float(start if back else end) * HOP
    return place


def _border(
    heard: NDArray[np.float64], quiet: NDArray[np.int64], before: float, after: float
) -> tuple[float, float]:
    """Where one word ends and the next begins between two times: the edges of a pause, or one place twice."""
    first = min(round(before / HOP), len(heard) - 1)
    last = max(first + 1, min(round(after / HOP), len(heard)))
    quiet = np.clip(quiet, first, last)
    start, end = quiet[(quiet[:, 1] - quiet[:, 0]).argmax()] if len(quiet) else (first, first)
    if (end - start) * HOP >= PAUSE:
        return float(start) * HOP, float(end) * HOP
    place = (first + float(heard[first:last].argmin()) + 0.5) * HOP
    return place, place
