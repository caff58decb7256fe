"""Epochs and batches by the amount of training data: of a fine-tuning, and of a run with a number of updates.

Fine-tuning: many epochs of small batches for few utterances, few epochs of larger ones for many. The rule goes
through these points:

    utterances       5      20     200     900    2300   18400 (20 h)
    epochs          45      15      12       5       3       2
    utterances of
    a batch          8       8       8       8      12      32
    updates         45      45     300     565     576    1150

The epochs lie on the curve 2 + 13 / (1 + (n / 450)^1.5) for n utterances, and there are 45 updates at least. The
batch is that of few utterances up to 1000 of them; from there on it grows with √n, so that the updates grow slowly too.
"""

import logging
import math
from dataclasses import replace

from asrattn.config import check
from asrattn.training.recipe import Recipe

log = logging.getLogger(__name__)

MIN_EPOCHS, CURVE_EPOCHS = 2, 15
MIN_UPDATES = 45
HALFWAY_UTTERANCES = 450  # whose epochs lie in the middle of both
STEEPNESS = 1.5  # of the fall of the epochs between them
MIN_BATCH_UTTERANCES, MAX_BATCH_UTTERANCES = 8, 32
LARGE_UTTERANCES = 1000  # from here on batches grow
MAX_VALIDATIONS = 40  # of a run whose length is given in updates
# What is chosen; data.batch_seconds then limits the micro-batches alone.
SCALED_SETTINGS = ("train.epochs", "data.batch_utterances")


def scale_to_data(recipe: Recipe, utterances: int, seconds: float) -> Recipe:
    """The recipe with epochs and batches that suit so many training utterances, of `seconds` in all; logs the choice.

    Sets train.epochs, data.batch_utterances and data.batch_seconds, which no longer limits the batch. A micro-batch
    holds as much audio as the recipe's batch did. Early stopping counts from the first validation on: the run is
    shorter than the plateau of a training from random weights. Model and tokenizer stay. Raises ConfigError without
    utterances.
    """
    check(utterances > 0, "train.scale_to_data: there are no training utterances")
    epochs, batch = scaled_epochs(utterances), scaled_batch(utterances)
    log.info("%s", format_scaling(utterances, seconds, epochs, batch))
    data = replace(
        recipe.data,
        batch_utterances=batch,
        batch_seconds=batch * recipe.data.max_seconds * (1 + recipe.augment.stretch),
        max_device_seconds=recipe.data.max_device_seconds or recipe.data.batch_seconds,
    )
    return replace(recipe, data=data, train=replace(recipe.train, epochs=epochs, patience_start=0))


def updates_to_epochs(recipe: Recipe, batches: int) -> Recipe:
    """The recipe with the epochs, of so many batches, that make train.updates; as it is without them. Logs the
    choice."""
    updates = recipe.train.updates
    if not updates:
        return recipe
    epochs = math.ceil(updates / batches)
    every = max(recipe.train.validate_every, math.ceil(epochs / MAX_VALIDATIONS))
    log.info("%d updates: %d epochs of %d batches, a validation every %d", updates, epochs, batches, every)
    return replace(recipe, train=replace(recipe.train, epochs=epochs, validate_every=every))


def scaled_epochs(utterances: int) -> int:
    """Epochs for so many training utterances; see the curve above."""
    share = 1 / (1 + math.pow(utterances / HALFWAY_UTTERANCES, STEEPNESS))
    curve = round(MIN_EPOCHS + (CURVE_EPOCHS - MIN_EPOCHS) * share)
    return max(curve, math.ceil(MIN_UPDATES / math.ceil(utterances / scaled_batch(utterances))))


def scaled_batch(utterances: int) -> int:
    """Utterances of a batch for so many training utterances."""
    grown = MIN_BATCH_UTTERANCES * math.sqrt(utterances / LARGE_UTTERANCES)
    return round(min(MAX_BATCH_UTTERANCES, max(MIN_BATCH_UTTERANCES, grown)))


def format_scaling(utterances: int, seconds: float, epochs: int, batch: int) -> str:
    """The choice in one line."""
    return (
        f"{utterances} recordings, {seconds / 3600:.2f} h: {epochs} epochs in batches of {batch} recordings"
    )
