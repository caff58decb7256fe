"""What only shows on a device other than the CPU, as far as a CPU can tell."""

from dataclasses import replace
from pathlib import Path

import pytest
import tones
from test_fit import rows

from asrattn.model.speech_model import SpeechModel
from asrattn.text import CharTokenizer
from asrattn.training.fit import fit
from asrattn.training.module import SpeechLightningModule

TOKENIZER = CharTokenizer.train(["abcd "])


def test_losses_follow_the_model_to_its_device_and_are_not_saved() -> None:
    """A run to be resumed is loaded on the CPU, and moved afterwards."""
    recipe = tones.recipe()
    module = SpeechLightningModule(
        recipe, SpeechModel(replace(recipe.model, vocabulary=TOKENIZER.size)), TOKENIZER, seed=0
    )
    assert "losses" not in module.state_dict()
    assert module.to("meta").losses.is_meta


def test_looking_for_the_bound_of_memory_leaves_batch_norm_alone(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tones.recipe(epochs=1)
    encoder = replace(recipe.model.encoder, norm="batch")  # type: ignore[call-arg]
    recipe = replace(recipe, model=replace(recipe.model, encoder=encoder))
    fit(recipe, corpus, tmp_path / "plain")
    monkeypatch.setattr(SpeechLightningModule, "on_fit_start", SpeechLightningModule.find_max_device_seconds)
    fit(recipe, corpus, tmp_path / "bounded")
    assert rows(tmp_path / "bounded") == rows(tmp_path / "plain")
