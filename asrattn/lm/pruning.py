"""Pruning of n-grams, by count or by entropy."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asrattn.lm.ngram import BEGIN, END, Floats, NGram


def prune_entropy(model: NGram, threshold: float) -> NGram:
    """Leave out n-grams of two words and more whose loss raises the perplexity by less than this share (Stolcke 1998).

    The longest go first; one that a longer one needs stays. <s> is as likely as </s>. After Kneser-Ney this is known to
    be a poor guide, since its shorter n-grams are no marginals (Chelba et al. 2010): prune counts there.
    """
    joint = model.log_prob.copy()  # log p of the whole n-gram
    joint[1 + BEGIN] = joint[1 + END]
    kept, needed = np.ones(len(joint), bool), np.zeros(len(joint), bool)
    for length in range(2, model.order + 1):
        part = model.level(length)
        joint[part] += joint[model.parent[part]]
    for length in range(model.order, 1, -1):
        part = model.level(length)
        kept[part] = needed[part] | (np.expm1(_divergence(model, joint, length)) >= threshold)
        needed[model.parent[part][kept[part]]] = True
    return normalize(drop(model, kept))


def _divergence(model: NGram, joint: Floats, length: int) -> Floats:
    """What the loss of each n-gram of this length alone costs: D(p ‖ p'), in nats a word of text."""
    part = model.level(length)
    parents, log_p, log_q = model.parent[part], model.log_prob[part], model.lower_order_log_probs(length)
    p, q = np.exp(log_p), np.exp(log_q)
    left = np.maximum(1 - np.bincount(parents, p), 0)[parents]
    below = np.maximum(1 - np.bincount(parents, q), 1e-12)[parents]
    new = np.log((left + p) / (below + q))
    old = np.log(left / below, where=left > 0, out=new.copy())
    divergence: Floats = -np.exp(joint[parents]) * (p * (log_q + new - log_p) + left * (new - old))
    return divergence


def drop(model: NGram, kept: NDArray[np.bool_]) -> NGram:
    """The model without some n-grams; those whose continuation is kept must be. Back-off weights stay as they were."""
    V = len(model.words)
    number = np.cumsum(kept) - 1
    suffix = model.suffix
    while not kept[suffix].all():
        suffix = np.where(kept[suffix], suffix, model.suffix[suffix])
    keys = number[model.parent[kept]] * V + model.word[kept]
    keys[0] = -1
    starts = [0, *(number[np.array(model.starts[1:]) - 1] + 1).tolist()]
    while starts[-1] == starts[-2]:  # nothing of this length is left
        starts.pop()
    return NGram(
        model.words,
        model.units,
        keys,
        tuple(starts),
        number[suffix[kept]],
        model.log_prob[kept],
        model.backoff[kept],
    )


def normalize(model: NGram) -> NGram:
    """The model with back-off weights for which every history's probabilities sum to one.

    A history that all words follow has nothing to give: there the probabilities themselves are scaled.
    """
    log_prob, backoff = model.log_prob.copy(), np.zeros_like(model.backoff)
    model = replace(model, log_prob=log_prob, backoff=backoff)
    for length in range(2, model.order + 1):
        part = model.level(length)
        if part.start == part.stop:
            break
        parents = model.parent[part]
        here = np.bincount(parents, np.exp(log_prob[part]))
        below = np.bincount(parents, np.exp(model.lower_order_log_probs(length)))
        full = np.bincount(parents) == len(model.words) - 1
        log_prob[part] -= np.where(full, np.log(np.maximum(here, 1e-300)), 0.0)[parents]
        histories = np.unique(parents[~full[parents]])
        backoff[histories] = np.log(
            np.maximum(1 - here[histories], 1e-30) / np.maximum(1 - below[histories], 1e-30)
        )
    return model
