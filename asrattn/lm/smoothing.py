"""Smoothing of n-gram counts: discounting, and back-off or interpolation with shorter histories.

    kneser-ney    interpolated, modified: discounts for 1, 2 and more; shorter n-grams are counted by how many different
                  words come before them (Kneser & Ney 1995; Chen & Goodman 1998)
    witten-bell   interpolated: a history of T different followers keeps T / (c + T) (Witten & Bell 1991, method C)
    katz          backed off: counts of up to 5 discounted by Good-Turing (Katz 1987), or all by the same amount where
                  the counts of counts do not allow that (Ney et al. 1994)

Interpolated: p(w | h) = share(h, w) + γ(h) · p(w | h'), γ(h) = 1 - Σ share; backed off: p(w | h) = share(h, w). A word
alone falls back on the uniform distribution over all words and </s>.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from asrattn.config import check
from asrattn.lm.counts import NGramCounts
from asrattn.lm.ngram import ARPA_LOG_ZERO, BEGIN, Floats, Ints, NGram
from asrattn.lm.pruning import drop, normalize

_log = logging.getLogger(__name__)
_FALLBACK = (0.5, 1.0, 1.5)  # discounts where counts of counts give none, as in KenLM
_KATZ = 5  # counts above it are not discounted


def estimate(
    counts: NGramCounts, smoothing: str = "kneser-ney", prune: Sequence[int] = (), units: str = ""
) -> NGram:
    """A model of the counts, in which every history's probabilities sum to one.

    prune   for each length the count up to which n-grams are left out, as KenLM's --prune: 0, 0, 1. The last stands for
            all that follow; single words stay. What they counted is kept in the discounts and goes to shorter histories

    Raises ConfigError for a smoothing that does not exist and thresholds that fall or begin above 0.
    """
    check(smoothing in SMOOTHINGS, f"smoothing is {smoothing!r}; known are {', '.join(SMOOTHINGS)}")
    kept = _kept(counts, prune)
    share_of = SMOOTHINGS[smoothing]
    V, G = len(counts.words), len(counts.keys)
    order = len(counts.starts) - 2
    prob, backoff = np.zeros(G), np.zeros(G)
    for length in range(1, order + 1):
        part = slice(*counts.starts[length : length + 2])
        parents = counts.keys[part] // V
        share = share_of(counts, length)
        left = 1 - np.bincount(parents, share * kept[part], minlength=parents[-1] + 1)
        if length == 1:
            prob[part] = _single(share, left[0], smoothing == "katz")
        elif smoothing == "katz":
            prob[part] = share
        else:
            prob[part] = share + left[parents] * prob[counts.suffix[part]]
            histories = np.unique(parents)
            backoff[histories] = np.log(left[histories])
    log_prob = np.log(prob, where=prob > 0, out=np.full(G, ARPA_LOG_ZERO))
    log_prob[0] = 0.0
    model = NGram(counts.words, units, counts.keys, counts.starts, counts.suffix, log_prob, backoff)
    model = model if kept.all() else drop(model, kept)
    return normalize(model) if smoothing == "katz" else model


def _kept(counts: NGramCounts, prune: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    limits = list(prune) or [0]
    check(
        limits[0] == 0 and limits == sorted(limits),
        f"prune is {' '.join(map(str, limits))}; give one count for each length, rising, 0 for single words",
    )
    kept = np.ones(len(counts.keys), bool)
    for length in range(2, len(counts.starts) - 1):
        part = slice(*counts.starts[length : length + 2])
        kept[part] = counts.counts[part] > limits[min(length, len(limits)) - 1]
    return kept


def _single(share: Floats, left: float, unseen_only: bool) -> Floats:
    """Probabilities of single words: what is left is spread evenly, over all of them or over those never seen."""
    takes = share == 0 if unseen_only else np.ones(len(share), bool)
    takes[BEGIN] = False
    probs: Floats = share + takes * (left / takes.sum())
    return probs


def _kneser_ney(counts: NGramCounts, length: int) -> Floats:
    found = _distinct(counts, length)
    few = np.minimum(found, 3)
    taken = np.array([0.0, *_discounts(found, length)])[few]
    parents, total = _totals(counts, length, found)
    share: Floats = (found - taken) / total[parents]
    return share


def _witten_bell(counts: NGramCounts, length: int) -> Floats:
    found = _raw(counts, length)
    parents, total = _totals(counts, length, found)
    _, different = _totals(counts, length, np.minimum(found, 1))
    share: Floats = found / (total + different)[parents]
    return share


def _katz(counts: NGramCounts, length: int) -> Floats:
    found = _raw(counts, length)
    parents, total = _totals(counts, length, found)
    ratios = _good_turing(found)
    if ratios is None:
        lowered = np.maximum(found - _absolute(found), 0)
    else:
        lowered = found * ratios[np.minimum(found, _KATZ + 1)]
    left = total - np.bincount(parents, lowered)
    total = total + (left < 1e-6)  # where nothing is left for others, what one more occurrence would have
    share: Floats = lowered / total[parents]
    return share


def _good_turing(found: Ints) -> Floats | None:
    """What counts of 0 … 5 and more are multiplied by; None where the counts of counts allow no discount."""
    n = np.bincount(np.minimum(found, _KATZ + 2), minlength=_KATZ + 3).astype(float)
    if not n[1 : _KATZ + 2].all():
        return None
    r = np.arange(1, _KATZ + 1)
    common = (_KATZ + 1) * n[_KATZ + 1] / n[1]
    if common >= 1:
        return None
    ratios = ((r + 1) * n[r + 1] / (r * n[r]) - common) / (1 - common)
    if (ratios <= 0).any() or (ratios > 1).any():
        return None
    return np.concatenate(([1.0], ratios, [1.0]))


def _absolute(found: Ints) -> float:
    once, twice = (int((found == c).sum()) for c in (1, 2))
    return once / (once + 2 * twice) if once and twice else _FALLBACK[0]


def _discounts(found: Ints, length: int) -> tuple[float, ...]:
    """D1, D2, D3+ (Chen & Goodman 1998), or the usual ones if some count is missing; this is reported."""
    n1, n2, n3, n4 = (int((found == c).sum()) for c in range(1, 5))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        discounts = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        if all(0 < d <= c for c, d in enumerate(discounts, 1)):
            return discounts
    _log.info(
        "%d-grams: %d, %d, %d and %d occur 1 to 4 times, which gives no discounts; %s are taken",
        length, n1, n2, n3, n4, ", ".join(map(str, _FALLBACK)),
    )  # fmt: skip
    return _FALLBACK


def _distinct(counts: NGramCounts, length: int) -> Ints:
    """How many different words come before each n-gram; those that are longest, or begin a sentence, by occurrence."""
    found = _raw(counts, length)
    if length == len(counts.starts) - 2:
        return found
    part = slice(*counts.starts[length : length + 2])
    longer = slice(*counts.starts[length + 1 : length + 3])
    before = np.bincount(counts.suffix[longer] - part.start, minlength=len(found))
    return np.where(before > 0, before, found)


def _raw(counts: NGramCounts, length: int) -> Ints:
    """Occurrences of the n-grams of a length; <s> is not counted, since it is never predicted."""
    found = counts.counts[slice(*counts.starts[length : length + 2])]
    return found if length > 1 else np.where(np.arange(len(found)) == BEGIN, 0, found)


def _totals(counts: NGramCounts, length: int, found: Ints) -> tuple[Ints, Ints]:
    """The parent of each n-gram, and by parents the sum over all of its n-grams."""
    parents: Ints = counts.keys[slice(*counts.starts[length : length + 2])] // len(counts.words)
    return parents, np.bincount(parents, found).astype(np.int64)


SMOOTHINGS: dict[str, Callable[[NGramCounts, int], Floats]] = {
    "kneser-ney": _kneser_ney,
    "witten-bell": _witten_bell,
    "katz": _katz,
}
