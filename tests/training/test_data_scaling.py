"""Epochs and batches by the amount of data."""

import logging
import math

import pytest
import tones
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import ConfigError
from asrattn.training.data_scaling import scale_to_data, scaled_batch, scaled_epochs, updates_to_epochs


@pytest.mark.parametrize(
    ("utterances", "epochs", "batch"),
    [(5, 45, 8), (20, 15, 8), (200, 12, 8), (900, 5, 8), (2300, 3, 12), (18_400, 2, 32)],
)
def test_rule_goes_through_its_points(utterances: int, epochs: int, batch: int) -> None:
    assert (scaled_epochs(utterances), scaled_batch(utterances)) == (epochs, batch)


@given(st.integers(1, 10**7), st.integers(0, 1000))
def test_more_data_never_gives_more_epochs_smaller_batches_or_far_fewer_updates(n: int, more: int) -> None:
    assert 2 <= scaled_epochs(n + more) <= scaled_epochs(n) <= 45
    assert 8 <= scaled_batch(n) <= scaled_batch(n + more) <= 32


@given(st.integers(1, 20_000))
def test_updates_of_a_fine_tuning_stay_in_range(n: int) -> None:
    assert 45 <= scaled_epochs(n) * math.ceil(n / scaled_batch(n)) <= 1300


def test_recipe_is_scaled_and_the_choice_logged(caplog: pytest.LogCaptureFixture) -> None:
    recipe = tones.recipe(epochs=100, patience=3)
    with caplog.at_level(logging.INFO):
        scaled = scale_to_data(recipe, 200, 540.0)
    assert caplog.messages == ["200 recordings, 0.15 h: 12 epochs in batches of 8 recordings"]
    assert (scaled.train.epochs, scaled.data.batch_utterances) == (12, 8)
    assert scaled.data.batch_seconds >= 8 * recipe.data.max_seconds
    assert scaled.data.max_device_seconds == recipe.data.batch_seconds
    assert scaled.train.patience_start == 0
    assert (scaled.model, scaled.loss, scaled.data.tokens) == (recipe.model, recipe.loss, recipe.data.tokens)
    assert scale_to_data(scaled, 200, 540.0) == scaled


def test_updates_become_whole_epochs(caplog: pytest.LogCaptureFixture) -> None:
    recipe = tones.recipe(epochs=7, updates=1000)
    with caplog.at_level(logging.INFO):
        counted = updates_to_epochs(recipe, 3)
    assert caplog.messages == ["1000 updates: 334 epochs of 3 batches, a validation every 9"]
    assert (counted.train.epochs, counted.train.validate_every) == (334, 9)
    assert updates_to_epochs(counted, 3) == counted
    assert updates_to_epochs(tones.recipe(epochs=7), 3) == tones.recipe(epochs=7)
    with pytest.raises(ConfigError, match=r"train\.updates: train\.scale_to_data chooses them"):
        tones.recipe(updates=10, scale_to_data=True)


def test_nothing_cannot_be_scaled_to() -> None:
    with pytest.raises(ConfigError, match="no training utterances"):
        scale_to_data(tones.recipe(), 0, 0.0)
