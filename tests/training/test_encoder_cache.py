"""Encoder outputs that are kept: the same losses, and settings that forbid it."""

from dataclasses import replace
from typing import Any

import pytest
import tiny
import torch

from asrattn.augment import AugmentConfig
from asrattn.config import override
from asrattn.data.manifest import Utterance
from asrattn.errors import ConfigError
from asrattn.model import LossConfig, ModelConfig
from asrattn.training.data.datamodule import collate
from asrattn.training.data.dataset import Example
from asrattn.training.data.sampler import Batch
from asrattn.training.encoder_cache import EncoderCache, is_keepable
from asrattn.training.recipe import DataConfig, Recipe, TrainConfig

FROZEN = Recipe(
    "frozen",
    model=ModelConfig(),
    data=DataConfig(keep_encoded=1.0),
    augment=AugmentConfig.off(),
    train=TrainConfig(freeze=("encoder",)),
)


def batch(*seconds: float) -> Batch:
    return collate(
        [
            Example(Utterance(f"u{n}", "none", "the", each), (5, 6, 7), wave=tiny.wave(each, n))
            for n, each in enumerate(seconds)
        ]
    )


@torch.no_grad()
def test_kept_outputs_give_the_same_losses() -> None:
    model, cache = tiny.model(), EncoderCache(1.0)
    whole = batch(0.9, 1.3, 0.6)
    wanted = model.loss_of_encoded(
        model.encode(whole.wave, whole.wave_lens), whole.tokens, whole.token_lens, LossConfig()
    )
    for _ in range(2):  # computed, then kept
        encoded = cache.encode(model.train(), whole)
        assert model.training  # as it was
        model.eval()
        found = model.loss_of_encoded(encoded, whole.tokens, whole.token_lens, LossConfig())
        torch.testing.assert_close(torch.stack(found), torch.stack(wanted), atol=2e-3, rtol=2e-3)
    assert encoded.middle is None


@torch.no_grad()
def test_an_output_is_computed_once_and_does_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, cache = tiny.model(), EncoderCache(1.0)
    calls: list[int] = []
    right = type(model).encode

    def encode(self: Any, wave: torch.Tensor, lens: torch.Tensor) -> Any:
        calls.append(len(wave))
        return right(self, wave, lens)

    monkeypatch.setattr(type(model), "encode", encode)
    first = cache.encode(model, batch(0.9, 1.3))
    again = cache.encode(model, batch(0.9, 1.3, 0.6))
    assert calls == [1, 1, 1]
    for b, T in enumerate(first.lens.tolist()):
        assert torch.equal(first.output[b, :T], again.output[b, :T])


@torch.no_grad()
def test_beyond_its_room_nothing_is_kept() -> None:
    model, cache = tiny.model(), EncoderCache(1e-12)
    first, again = (cache.encode(model, batch(0.9)) for _ in range(2))
    assert not cache._kept
    assert torch.equal(first.output, again.output)


@torch.no_grad()
def test_utterances_of_the_same_id_have_outputs_of_their_own() -> None:
    """Train and dev may have the same ids."""
    model, cache = tiny.model(), EncoderCache(1.0)
    train = batch(0.9)
    dev = replace(train, wave=train.wave.flip(1), utterances=(replace(train.utterances[0], audio="dev"),))
    first, second = cache.encode(model, train), cache.encode(model, dev)
    assert not torch.equal(first.output, second.output)
    assert torch.equal(cache.encode(model, train).output, first.output)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.freeze=decoder", "set train.freeze=encoder"),
        ("train.freeze_updates=5", "set train.freeze_updates=0"),
        ("augment.noise=0.2", "switch the augmentation off"),
        ("augment.stretch=0.1", "switch the augmentation off"),
        ("data.concat_prob=0.5", "set data.concat_prob=0"),
        ("loss.consistency=0.1", "set loss.consistency=0"),
        ("loss.inter_ctc=0.3", "set loss.inter_ctc=0"),
    ],
)
def test_settings_that_change_the_outputs_are_told(setting: str, told: str) -> None:
    assert is_keepable(FROZEN)
    wrong = override(FROZEN, [setting])
    with pytest.raises(ConfigError, match=told):
        is_keepable(wrong)
    assert not is_keepable(replace(wrong, data=replace(wrong.data, keep_encoded=0.0)))
    # With a teacher, whose outputs are kept in any case, those of the student are computed each time.
    assert not is_keepable(override(wrong, ["loss.distill_encoder=1"]))
