"""Forecast of the memory, FLOPs and time of training a recipe, from a few small steps measured here."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from asrattn.layers.dropout import dropout_rows
from asrattn.layers.gemm_backend import gemm_backends
from asrattn.model.speech_model import SpeechModel
from asrattn.text import RESERVED, Spelling
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe

WEIGHT_COPIES = 5  # of 4 bytes: weight, gradient, two moments (of Adam; others have fewer), moving average
FROZEN_COPIES = 2  # weight, moving average; a teacher is one more
MAX_TIMED_SECONDS = 5.0  # after which one step is enough
PROBE_SECONDS = 3.0  # length of the measured utterances
LETTERS_PER_SECOND = 12.0  # of English speech
PIECES_PER_SECOND = 4.0  # word pieces, or Chinese characters
MAX_LETTER_VOCABULARY = 200  # a smaller vocabulary consists of letters


@dataclass(frozen=True)
class CostModel:
    """A quantity of a pass: constant + audio · (padding / utterance + linear + square · utterance), in seconds of audio
    a pass and of one utterance. What attention keeps for each pair of frames makes the square; padding is what each
    utterance takes whatever its length: Whisper's are filled up with silence."""

    constant: float
    linear: float
    square: float
    padding: float = 0.0

    @classmethod
    def fit(cls, one: float, two: float, double: float, seconds: float) -> "CostModel":
        """From what one and two utterances of `seconds` take, and one of twice the length."""
        each = two - one
        constant = one - each
        square = (double - constant - 2 * each) / (2 * seconds**2)
        if (
            square < 0
        ):  # less than twice as much for twice the length: a part of it does not depend on the length
            linear = max(0.0, double - constant - each) / seconds
            return cls(constant, linear, 0.0, each - linear * seconds)
        return cls(constant, each / seconds - square * seconds, square)

    def per_second(self, utterance: float) -> float:
        """For each second of audio."""
        return self.padding / utterance + self.linear + self.square * utterance

    def __call__(self, audio: float, utterance: float) -> float:
        return self.constant + audio * self.per_second(utterance)


@dataclass(frozen=True)
class Forecast:
    """Of a training step.

    weights   bytes that do not depend on the batch: weights, gradients, moments, moving average
    activations  bytes which the forward pass keeps for the backward pass, as this machine's kernels do in the recipe's
              precision; a GPU's fused self-attention keeps less, its dropout more, its libraries some hundred MB
    flops     floating-point operations of both passes; only products of matrices and convolutions count
    """

    weights: float
    activations: CostModel
    flops: CostModel

    def memory(self, audio: float, utterance: float) -> float:
        """Bytes at the peak of a step on `audio` seconds in utterances of `utterance` seconds."""
        return self.weights + self.activations(audio, utterance)

    def max_batch_seconds(self, memory: float, utterance: float) -> float:
        """The most seconds of audio a batch that fit into so many bytes; 0 if not even the weights fit."""
        return max(0.0, (memory - self.memory(0.0, utterance)) / self.activation_bytes_per_second(utterance))

    def activation_bytes_per_second(self, utterance: float) -> float:
        """Bytes kept for each second of audio."""
        return self.activations.per_second(utterance)


def forecast_step(recipe: Recipe, model: SpeechModel) -> Forecast:
    """From three passes over a few seconds of noise, forward and backward; they leave the weights as they are."""
    _spell_letters(model)
    one, two, double = (
        _measure(recipe, model, utterances, seconds)
        for utterances, seconds in ((1, PROBE_SECONDS), (2, PROBE_SECONDS), (1, 2 * PROBE_SECONDS))
    )
    kept, flops = (CostModel.fit(one[i], two[i], double[i], PROBE_SECONDS) for i in (0, 1))
    copies = FROZEN_COPIES + recipe.loss.needs_teacher
    trained = WEIGHT_COPIES + recipe.loss.needs_teacher
    weights = 4 * sum(p.numel() * (trained if p.requires_grad else copies) for p in model.parameters())
    return Forecast(weights, kept, flops)


def seconds_per_step(recipe: Recipe, model: SpeechModel, utterances: int, seconds: float) -> float:
    """Wall time of a step on this machine's processor, optimizer included, augmentation not; the better of two
    after a first one, in which kernels are built, or of one if it takes long. The weights change."""
    _spell_letters(model)
    optimizer = build_optimizer(recipe.train.optimizer, model.train(), fused=True)
    batch = _batch(recipe, model, utterances, seconds)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        torch.autograd.backward(_loss(recipe, model, batch))
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip or 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - started)
        if len(taken) == 2 and sum(taken) > MAX_TIMED_SECONDS:
            break
    return min(taken[1:])


def _spell_letters(model: SpeechModel) -> None:
    """Where no tokenizer is known to a CTC head over bytes, a token is as many bytes as at usual speed."""
    V = model.config.vocabulary
    count = 1 if V < MAX_LETTER_VOCABULARY else round(LETTERS_PER_SECOND / PIECES_PER_SECOND)
    if model.config.ctc_labels == "bytes" and model.spelling.rows is None:
        first = RESERVED + ord("a")
        model.spelling = Spelling(tuple(tuple(range(first + i % 2, first + i % 2 + count)) for i in range(V)))


def _measure(recipe: Recipe, model: SpeechModel, utterances: int, seconds: float) -> tuple[int, int]:
    """Bytes kept and operations of both passes."""
    batch = _batch(recipe, model.train(), utterances, seconds)
    gemm_backends()  # measured now if they are not known, lest the measurement be counted
    with FlopCounterMode(display=False, custom_mapping=ONEDNN_FLOPS) as counter:
        with _track_saved_tensors(model) as kept:
            loss = _loss(recipe, model, batch)
        torch.autograd.backward(loss)
    model.zero_grad(set_to_none=True)
    return sum(kept.values()), counter.get_total_flops()


ProbeBatch = tuple[Tensor, Tensor, Tensor, Tensor]


def _batch(recipe: Recipe, model: SpeechModel, utterances: int, seconds: float) -> ProbeBatch:
    """Noise, and artificial texts of usual speed; twice if the recipe uses the consistency loss."""
    utterances *= 2 if recipe.loss.consistency else 1
    samples, V = round(seconds * model.config.frontend.rate), model.config.vocabulary
    with torch.no_grad():
        feats, lens = model.frontend(
            0.1 * torch.randn(utterances, samples), torch.full((utterances,), samples)
        )
    count = max(1, round(seconds * (LETTERS_PER_SECOND if V < MAX_LETTER_VOCABULARY else PIECES_PER_SECOND)))
    tokens = (torch.arange(count) % 2 + V - 2).repeat(
        utterances, 1
    )  # no two neighbours alike, as CTC likes it
    return feats, lens, tokens, torch.full((utterances,), count)


def _loss(recipe: Recipe, model: SpeechModel, batch: ProbeBatch) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.train.precision != "fp32"):
        feats, lens, tokens, counts = batch
        encoded = model.encoder(feats, lens)
        teacher = None
        if recipe.loss.needs_teacher:  # the model itself takes as much
            taught = encoded._replace(output=encoded.output.detach())
            teacher = model.teach(taught, encoded.lens, tokens, recipe.loss)
        return model.loss_of_encoded(encoded, tokens, counts, recipe.loss, teacher=teacher).total


@contextmanager
def _track_saved_tensors(model: SpeechModel) -> Iterator[dict[int, int]]:
    """Bytes of each storage that autograd keeps for the backward pass; not the weights, nor what all passes share."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        shared = {row.untyped_storage().data_ptr() for row in dropout_rows()}
        if storage.data_ptr() not in own | shared:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def _product_flops(x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
    return 2 * x.numel() * weight[0]


def _lstm_flops(feats: torch.Size, first: torch.Size, second: torch.Size, *_: object, **__: object) -> int:
    """Two products for each frame: feats (T, B, I) or (B, T, I) with first (4D, I), the state with second (4D, D)."""
    return 2 * feats[0] * feats[1] * (first.numel() + second.numel())


def _lstm_backward_flops(*args: torch.Size, **_: object) -> int:
    return 2 * _lstm_flops(*args[:3])


# What CPUs have kernels of their own for, and torch's counter does not know.
ONEDNN_FLOPS = {
    torch.ops.mkldnn._linear_pointwise: _product_flops,
    torch.ops.aten.mkldnn_rnn_layer: _lstm_flops,
    torch.ops.aten.mkldnn_rnn_layer_backward: _lstm_backward_flops,
}
