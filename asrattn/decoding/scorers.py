"""Scorers of a beam search for shallow fusion: protocols, weights, and reordering of their states."""

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor

M = TypeVar("M")
S = TypeVar("S")


class StepwiseDecoder(Protocol[M, S]):
    """The interface of a decoder that decoding uses; see asrattn.decoders.interface.Decoder."""

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a hypothesis, EOS not counted; None without a bound."""
        ...

    def prepare(self, enc: Tensor, lens: Tensor) -> M: ...

    def start(self, memory: M) -> S: ...

    def step(self, tokens: Tensor, state: S, memory: M) -> tuple[Tensor, S]: ...


class Scorer(Protocol[S]):
    """Anything that scores the next token from the tokens so far: an n-gram, a neural language model, hot words.

    Its state is a (nested) tuple of tensors, hypotheses N first, so that beam search reorders any state in one way.
    """

    def start(self, n: int) -> S:
        """The state of n empty hypotheses."""
        ...

    def score(self, state: S, tokens: Tensor) -> tuple[Tensor, S]:
        """tokens (N,), the last ones chosen, EOS first -> increments for every next token and EOS (N, V), state."""
        ...


class WeightedScorer(NamedTuple):
    """A scorer in shallow fusion, its name in `Hypothesis.component_scores`, and its weight.

    A negative weight subtracts a model, such as one of the training transcripts (density ratio: McDermott et al. 2019).
    Early stopping needs two bounds of the increments:

    ceiling   upper bound: 0 for log-probabilities, the largest reward for a scorer that rewards tokens
    floor     lower clamp with a negative weight: else tokens that the model finds impossible would always win
    """

    name: str
    scorer: Scorer[Any]
    weight: float
    ceiling: float = 0.0
    floor: float = -10.0

    @property
    def reward(self) -> float:
        """The largest increment of the total by a token, at least 0."""
        return max(self.weight * (self.ceiling if self.weight > 0 else self.floor), 0.0)


@runtime_checkable
class ReorderableState(Protocol):
    """A state that reorders itself, since its tensors do not have the hypotheses first; see layers.kv_cache."""

    def reorder(self, rows: Tensor) -> Any: ...


def select_rows(tree: S, rows: Tensor) -> S:
    """Rows of every tensor in a nested tuple of tensors: (n,), or (B, K) with those of one utterance in a row, the
    utterances in order. None stays None; a ReorderableState reorders itself."""
    return _select(tree, rows)  # type: ignore[no-any-return]


def _select(tree: Any, rows: Tensor) -> Any:
    if isinstance(tree, Tensor):
        return tree.index_select(0, rows.flatten())
    if isinstance(tree, ReorderableState):
        return tree.reorder(rows)
    if tree is None:
        return None
    chosen = [_select(leaf, rows) for leaf in tree]
    return type(tree)(*chosen) if hasattr(tree, "_fields") else tuple(chosen)
