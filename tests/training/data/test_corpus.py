"""What is dropped is told; dev is judged whole."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tones
import torch

from asrattn import audio
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training.data import corpus as corpora
from asrattn.training.data.corpus import Corpus
from asrattn.training.data.datamodule import SpeechDataModule, collate
from asrattn.training.data.dataset import StreamingDataset
from asrattn.training.data.sampler import stretch_factors
from asrattn.training.recipe import DataConfig

CONFIG = DataConfig(batch_seconds=4, max_seconds=2.0)


def bad_corpus(folder: Path) -> Path:
    good = tones.utterance(folder, "good", "ab cd")
    (folder / "cut.wav").write_bytes((folder / "good.wav").read_bytes()[:200])
    (folder / "empty.wav").write_bytes(b"")
    audio.write(folder / "short.wav", np.zeros(400, np.float32), tones.RATE)
    train = [
        good,
        replace(good, id="silent", text=" "),
        replace(good, id="missing", audio=str(folder / "nowhere.wav")),
        replace(good, id="cut", audio=str(folder / "cut.wav")),
        replace(good, id="empty", audio=str(folder / "empty.wav")),
        replace(good, id="short", audio=str(folder / "short.wav")),
        replace(tones.utterance(folder, "long", "abcd" * 5), id="long"),
        replace(good, id="hasty", text="abcd" * 6),
    ]
    manifest.write(folder / "train.jsonl", train)
    manifest.write(folder / "dev.jsonl", [good, replace(good, id="strange", text="ab xy")])
    return folder


def model(corpus: Corpus) -> SpeechModel:
    torch.manual_seed(0)
    return SpeechModel(replace(tones.recipe().model, vocabulary=corpus.tokenizer.size))


def test_what_cannot_be_trained_on_is_dropped_and_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = corpora.load(bad_corpus(tmp_path), CONFIG, tones.RATE)
    corpus = corpora.filter_by_length(loaded, model(loaded), min_stretch=0.9)
    assert [i.utterance.id for i in corpus.train] == ["good"]
    reasons = {d.id: d.reason for d in corpus.dropped}
    assert reasons == {
        "silent": "empty transcript",
        "missing": "audio",
        "cut": "audio",
        "empty": "audio",
        "short": "too short",
        "long": "too long",
        "hasty": "too short for CTC",
    }
    with caplog.at_level(logging.INFO):
        corpora.report_dropped(corpus, tmp_path / "dropped.tsv")
    lines = (tmp_path / "dropped.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(reasons)
    assert all(line.count("\t") == 2 for line in lines)
    assert "dropped 3: audio (the first: missing:" in caplog.text


def test_of_what_is_too_short_for_ctc_the_decoder_learns(tmp_path: Path, caplog) -> None:
    """Trimmed words, which 25 frames a second are too few for; a text that nobody can say is dropped."""
    words = [tones.utterance(tmp_path, f"w{i}", "abcd") for i in range(3)]
    words[1] = replace(words[1], text="aabbccddab")
    words[2] = replace(words[2], text="abcd" * 9)
    manifest.write(tmp_path / "train.jsonl", words)
    manifest.write(tmp_path / "dev.jsonl", words[:1])
    loaded = corpora.load(tmp_path, CONFIG, tones.RATE)
    strict = corpora.filter_by_length(loaded, model(loaded), min_stretch=0.9)
    assert [i.utterance.id for i in strict.train] == ["w0"]
    assert "set model.encoder.factor=2" in strict.dropped[0].detail
    assert corpora.max_labels_per_frame(LossConfig(ctc=1.0)) == 1
    corpus = corpora.filter_by_length(loaded, model(loaded), 0.9, LossConfig(ctc=0.3))
    assert [i.utterance.id for i in corpus.train] == ["w0", "w1"]
    assert [d.id for d in corpus.dropped] == ["w2"]
    corpora.report_dropped(corpus, tmp_path / "dropped.tsv")
    assert "1 utterances have too few encoder frames for CTC" in caplog.text
    assert "set model.encoder.factor=2" in caplog.text


def test_a_text_too_long_for_ctc_is_kept_if_ctc_is_not_trained(tmp_path: Path) -> None:
    loaded = corpora.load(bad_corpus(tmp_path), CONFIG, tones.RATE)
    corpus = corpora.filter_by_length(loaded, model(loaded), 0.9, LossConfig(ctc=0.0))
    assert [i.utterance.id for i in corpus.train] == ["good", "hasty"]


def test_dev_keeps_texts_the_tokenizer_does_not_know(tmp_path: Path) -> None:
    corpus = corpora.load(bad_corpus(tmp_path), CONFIG, tones.RATE)
    assert [i.utterance.text for i in corpus.dev] == ["ab cd", "ab xy"]


def test_broken_dev_audio_is_fatal(tmp_path: Path) -> None:
    bad_corpus(tmp_path)
    manifest.write(tmp_path / "dev.jsonl", [Utterance("d1", "empty.wav", "ab", 1.0)])
    with pytest.raises(DataError, match=r"dev\.jsonl: d1: .*empty\.wav: .*mend it or take it out"):
        corpora.load(tmp_path, CONFIG, tones.RATE)


def test_a_dev_utterance_too_short_for_the_model_is_fatal(tmp_path: Path) -> None:
    bad_corpus(tmp_path)
    manifest.write(tmp_path / "dev.jsonl", [Utterance("d1", "short.wav", "ab", 1.0)])
    corpus = corpora.load(tmp_path, CONFIG, tones.RATE)
    with pytest.raises(DataError, match=r"d1: 0\.050 s are too short for the model"):
        corpora.filter_by_length(corpus, model(corpus), min_stretch=0.9)


def test_nothing_left_says_why(tmp_path: Path) -> None:
    good = tones.utterance(tmp_path, "good", "abcd")
    manifest.write(tmp_path / "train.jsonl", [replace(good, text="")])
    manifest.write(tmp_path / "dev.jsonl", [good])
    with pytest.raises(DataError, match=r"none of 1 utterances can be trained on \(1 empty transcript;"):
        corpora.load(tmp_path, CONFIG, tones.RATE)


def test_a_corpus_larger_than_the_cache_is_read_as_it_is_needed(corpus: Path) -> None:
    kept = corpora.load(corpus, CONFIG, tones.RATE)
    streamed = corpora.load(corpus, replace(CONFIG, cache=0.0), tones.RATE)
    assert isinstance(streamed.train, StreamingDataset)
    assert all(i.wave is None for i in streamed.dev)
    assert streamed.tokenizer == kept.tokenizer
    readers = [c.train.reader(np.arange(len(c.train))) for c in (kept, streamed)]
    for ours, theirs in ((read(i) for read in readers) for i in range(len(kept.train))):
        assert ours == theirs
        assert np.array_equal(ours.wave, theirs.wave)
    ours, theirs = (
        next(SpeechDataModule(c, CONFIG, tones.RATE, 0.1, 0).normalization_batches())
        for c in (kept, streamed)
    )
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_collated_padding_is_silence_and_blank(corpus: Path) -> None:
    items = corpora.load(corpus, CONFIG, tones.RATE).train[:3]
    batch = collate(items)
    for b, item in enumerate(items):
        assert item.wave is not None
        assert batch.wave_lens[b] == len(item.wave)
        assert not batch.wave[b, len(item.wave) :].any()
        assert batch.tokens[b, : batch.token_lens[b]].tolist() == list(item.tokens)
        assert not batch.tokens[b, batch.token_lens[b] :].any()
    empty = collate([])
    assert (empty.wave.shape, empty.tokens.shape, empty.utterances) == ((0, 0), (0, 0), ())


def test_batches_fit_the_stretched_lengths(corpus: Path) -> None:
    loaded = corpora.load(corpus, CONFIG, tones.RATE)
    served = SpeechDataModule(loaded, CONFIG, tones.RATE, stretch=0.3, seed=0)
    assert served.epoch_plan(0) != served.epoch_plan(1)
    factors = stretch_factors(len(loaded.train), 0.3, 0, 1)
    for batch in served.epoch_plan(1):
        longest = max(loaded.train[i].utterance.seconds * factors[i] for i in batch)
        assert longest * len(batch) <= CONFIG.batch_seconds + 1e-6
