"""The protocols that a search knows, and how their states follow the hypotheses."""

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor

M = TypeVar("M")
S = TypeVar("S")


class StepwiseDecoder(Protocol[M, S]):
    """The side of a decoder that a search sees; see asrattn.decoders.interface.Decoder."""

    def prepare(self, enc: Tensor, lens: Tensor) -> M: ...

    def start(self, memory: M) -> S: ...

    def step(self, tokens: Tensor, state: S, memory: M) -> tuple[Tensor, S]: ...


class Scorer(Protocol[S]):
    """Anything that scores the next token from the tokens so far: an n-gram, a neural language model, hot words.

    Its state is a (nested) tuple of tensors, hypotheses N first, so that a search re-orders any state in one way.
    """

    def start(self, n: int) -> S:
        """The state of n empty hypotheses."""
        ...

    def score(self, state: S, tokens: Tensor) -> tuple[Tensor, S]:
        """tokens (N,), the last ones chosen, EOS first -> increments for every next token and EOS (N, V), state."""
        ...


class WeightedScorer(NamedTuple):
    """A scorer in a beam search, its name in `Hypothesis.parts`, and its weight.

    A weight below 0 takes a model away, such as one of the recogniser's own transcripts (density ratio: McDermott et
    al. 2019). The search must know when to stop, hence two bounds of the increments:

    ceiling   none is higher: 0 is right for log-probabilities; a scorer that rewards tokens names its largest reward
    floor     with a weight below 0 what is lower counts as this, or what the model finds impossible would decide alone
    """

    name: str
    scorer: Scorer[Any]
    weight: float
    ceiling: float = 0.0
    floor: float = -10.0

    @property
    def reward(self) -> float:
        """The most that a token can bring to the total, not below 0."""
        return max(self.weight * (self.ceiling if self.weight > 0 else self.floor), 0.0)


@runtime_checkable
class ReorderableState(Protocol):
    """A state whose tensors do not have the hypotheses first; see asrattn.layers.kv_cache.Cache."""

    def reorder(self, rows: Tensor) -> Any: ...


def select_rows(tree: S, rows: Tensor) -> S:
    """Rows of every tensor in a nested tuple of tensors: (n,), or (B, K) with those of an utterance in a line, the
    utterances in their order. None stays None; a state that hypotheses share follows them in its own way."""
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
