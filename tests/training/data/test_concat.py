"""Joined utterances: each is there once, pairs are of one speaker, and the audio is the sum of its parts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tones
from hypothesis import given
from hypothesis import strategies as st

from asrattn import text
from asrattn.data.manifest import Utterance
from asrattn.errors import ConfigError, TextError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BpeConfig, CharConfig
from asrattn.training.data import corpus as corpora
from asrattn.training.data.concat import concat_utterances
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.dataset import Example, InMemoryDataset
from asrattn.training.recipe import DataConfig

TOKENIZER = text.train(CharConfig(), ["a b c d"])


def kept(speakers: list[str]) -> InMemoryDataset:
    texts = ["abcd"[i % 4] * (1 + i % 3) for i in range(len(speakers))]
    return InMemoryDataset(
        [
            Example(
                Utterance(f"u{i}", f"{i}.wav", t, len(t) / 10, who),
                tuple(TOKENIZER.encode(t)),
                spare_frames=i % 5,
                wave=np.full(len(t) * 10, i, np.float32),
            )
            for i, (t, who) in enumerate(zip(texts, speakers, strict=True))
        ],
        rate=100,
    )


@given(st.lists(st.sampled_from("xyz"), max_size=30), st.floats(0, 1), st.floats(0.1, 1), st.integers(0, 9))
def test_each_utterance_is_there_once(speakers: list[str], share: float, most: float, epoch: int) -> None:
    before = kept(speakers)
    after = concat_utterances(before, TOKENIZER, share, most, seed=0, epoch=epoch)
    parts = [name for item in after.examples for name in item.utterance.id.split("+")]
    assert Counter(parts) == Counter(i.utterance.id for i in before.examples)
    by_id = {i.utterance.id: i for i in before.examples}
    for item in after.examples:
        pair = [by_id[name] for name in item.utterance.id.split("+")]
        assert {i.utterance.speaker for i in pair} == {item.utterance.speaker}
        assert item.wave is not None
        np.testing.assert_array_equal(item.wave, np.concatenate([i.wave for i in pair]))  # type: ignore[misc]
        assert item.tokens == tuple(TOKENIZER.encode(" ".join(i.utterance.text for i in pair)))
        assert len(pair) == 1 or (item.utterance.seconds <= most and sum(i.spare_frames for i in pair) > 0)
        assert item.utterance.seconds == pytest.approx(len(item.wave) / 100)


def test_the_share_and_new_company_every_epoch() -> None:
    before = kept(["x"] * 400)
    first, again, second = (concat_utterances(before, TOKENIZER, 0.5, 9.0, 0, epoch) for epoch in (0, 0, 1))
    assert [i.utterance for i in first.examples] == [i.utterance for i in again.examples]
    pairs = [{i.utterance.id for i in each.examples if "+" in i.utterance.id} for each in (first, second)]
    assert len(pairs[0]) == pytest.approx(100, abs=25)
    assert len(pairs[0] & pairs[1]) < 10


def test_training_serves_them(tmp_path: Path) -> None:
    config = DataConfig(batch_seconds=4.0, concat_prob=1.0)
    loaded = corpora.load(tones.write_corpus(tmp_path), config, tones.RATE)
    model = SpeechModel(replace(tones.recipe().model, vocabulary=loaded.tokenizer.size))
    corpus = corpora.filter_by_length(loaded, model, min_stretch=0.9)
    plan = SpeechDataModule(corpus, config, tones.RATE, stretch=0.1, seed=0).epoch_plan(0)
    assert sum(map(len, plan)) == len(corpus.train) / 2


def test_a_corpus_that_is_not_in_memory_says_so(tmp_path: Path) -> None:
    config = DataConfig(batch_seconds=4.0, concat_prob=0.5, cache=0.0)
    corpus = corpora.load(tones.write_corpus(tmp_path), config, tones.RATE)
    with pytest.raises(
        ConfigError, match=r"data\.concat_prob: needs the corpus in memory; raise data\.cache"
    ):
        SpeechDataModule(corpus, config, tones.RATE, stretch=0.1, seed=0).epoch_plan(0)
    off = replace(config, concat_prob=0.0)
    assert len(SpeechDataModule(corpus, off, tones.RATE, stretch=0.1, seed=0).epoch_plan(0))


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["nine", "two"], {"nine two", "two nine"}),
        (["sîx", "dêux"], {"sîx dêux", "dêux sîx"}),
        (["九", "二"], {"九二", "二九"}),
        (["กา", "ขา"], {"กาขา", "ขากา"}),
        (["九 一", "二"], {"九 一 二", "二 九 一"}),
        (["九", "APP"], {"九 APP", "APP 九"}),
    ],
)
@pytest.mark.parametrize("tokens", [CharConfig(), BpeConfig(size=12)])
def test_recordings_of_one_word_each_are_joined(texts: list[str], joined: set[str], tokens) -> None:
    """Their vocabulary has a space only if the script is written with spaces."""
    vocabulary = corpora.vocabulary_texts(texts, DataConfig(tokens=tokens, concat_prob=0.5))
    try:
        tokenizer = text.train(tokens, vocabulary)
    except TextError:
        pytest.skip("the size does not suit these texts")
    examples = [
        Example(Utterance(t, "a.wav", t, 1.0), tuple(tokenizer.encode(t)), spare_frames=9, wave=np.zeros(9))
        for t in texts
    ]
    found = concat_utterances(InMemoryDataset(examples, 9), tokenizer, 1.0, 9.0, 0, 0).examples
    assert [item.utterance.text in joined for item in found] == [True]
    assert tokenizer.decode(found[0].tokens) == found[0].utterance.text


def test_the_vocabulary_is_that_of_the_texts_without_joining() -> None:
    assert corpora.vocabulary_texts(["nine"], DataConfig()) == ["nine"]
    assert corpora.vocabulary_texts(["nine two"], DataConfig(concat_prob=0.5)) == ["nine two"]


def test_a_vocabulary_without_a_space_joins_nothing() -> None:
    tokenizer = text.train(CharConfig(), ["nine", "two"])
    examples = [
        Example(Utterance(t, "a.wav", t, 1.0), tuple(tokenizer.encode(t)), spare_frames=9, wave=np.zeros(9))
        for t in ("nine", "two")
    ]
    found = concat_utterances(InMemoryDataset(examples, 9), tokenizer, 1.0, 9.0, 0, 0).examples
    assert sorted(item.utterance.text for item in found) == ["nine", "two"]
