"""A CTC head over bytes beside a decoder over word pieces, from training to words with times."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tones
import torch

from asrattn import checkpoint
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.errors import ConfigError
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript
from asrattn.inference.tune_decoding import encode, fit_thresholds, tune
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BYTE_VOCABULARY, RESERVED, BpeConfig, CharTokenizer, Spelling
from asrattn.training import finetune
from asrattn.training.data import corpus as corpora
from asrattn.training.data.dataset import Example, StreamingDataset, check_ctc_length
from asrattn.training.fit import fit
from asrattn.training.forecast import forecast_step
from asrattn.training.recipe import DataConfig, Recipe
from asrattn.training.vocabulary import token_weights


def recipe(**train: object) -> Recipe:
    found = tones.recipe(**train)
    data = replace(found.data, tokens=BpeConfig(size=16))
    return replace(found, model=replace(found.model, ctc_labels="bytes"), data=data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    return fit(recipe(epochs=3), corpus, tmp_path_factory.mktemp("bytes") / "run")


def test_model_file_spells_by_its_tokenizer(run: Path) -> None:
    saved = checkpoint.load(run)
    assert saved.model.ctc.weight.shape[0] == BYTE_VOCABULARY
    assert saved.tokenizer.size == 16
    assert saved.model.spelling == Spelling.in_bytes(saved.tokenizer)
    assert {"ctc.weight", "ctc.bias"}.isdisjoint(token_weights(saved.model))


def test_loss_falls_and_greedy_ctc_is_scored(run: Path) -> None:
    lines = (run.parent / "metrics.csv").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert float(rows[-1]["train_ctc"]) < 0.8 * float(rows[0]["train_ctc"])
    assert float(rows[-1]["dev_ctc_wer"]) >= 0


def test_recogniser_decodes_jointly_and_times_the_words(run: Path, corpus: Path) -> None:
    recognizer = Recognizer.load(run, device="cpu")
    dev = list(manifest.read(corpus / "dev.jsonl"))
    waves = [tones.sing(utterance.text) for utterance in dev]
    decoding = DecodingConfig(beam_size=3, nbest=2, ctc=0.4, max_length=0.5)
    found = recognizer.recognize(waves, decoding)
    for wave, hypotheses in zip(waves, found, strict=True):
        assert set(hypotheses[0].component_scores) == {"attention", "ctc"}
        (alone,) = recognizer.recognize([wave], decoding)
        assert [h.tokens for h in alone] == [h.tokens for h in hypotheses]
        assert alone[0].score == pytest.approx(hypotheses[0].score, abs=1e-3)
    outcomes = list(recognizer.transcribe(dev, decoding, words=True))
    for outcome in outcomes:
        assert isinstance(outcome, Transcript)
        assert " ".join(word.text for word in outcome.words) == outcome.text
    texts = [recognizer.tokenizer.encode(utterance.text) for utterance in dev]
    for words, utterance in zip(recognizer.align(waves, texts), dev, strict=True):
        assert [word.text for word in words] == utterance.text.split()
        assert all(0 <= word.start <= word.end <= utterance.seconds + 1e-3 for word in words)
    metrics = recognizer.measure_attention(waves[:2], texts[:2], aligned=True)
    assert 0 <= metrics.agreement <= 1


def test_tuning_leaves_out_ctc_alone(run: Path, corpus: Path) -> None:
    recognizer = Recognizer.load(run, device="cpu")
    cache = encode(recognizer, list(manifest.read(corpus / "dev.jsonl"))[:2])
    seen: list[float] = []
    chosen, _ = tune(recognizer, cache, None, lambda trial: seen.append(trial.decoding.ctc))
    assert 0.85 in seen
    assert 1.0 not in seen
    assert fit_thresholds(cache, chosen, recognizer.model.spelling).decoder > 0


def test_fine_tuning_with_another_tokenizer_keeps_the_ctc_head(run: Path) -> None:
    saved, other = checkpoint.load(run), CharTokenizer("abcd ")
    model = SpeechModel(replace(saved.model.config, vocabulary=other.size))
    model.spell_with(other)
    finetune.copy_weights(model, other, saved, run)
    torch.testing.assert_close(model.ctc.weight, saved.model.ctc.weight)
    assert model.spelling.labels_of(RESERVED) == (RESERVED + ord("a"),)


def test_too_few_frames_are_counted_in_labels(tmp_path: Path) -> None:
    spelling = Spelling(((), (), (), (5, 5), (6,), ()))
    item = Example(Utterance("u", "u.wav", "text", 1.0), (3, 4, 5))
    found = check_ctc_length(item, 4, spelling)
    assert isinstance(found, Example)
    assert found.spare_frames == 0
    assert check_ctc_length(item, 3, spelling)[1] == "too short for CTC"
    assert isinstance(check_ctc_length(item, 3, Spelling()), Example)


@pytest.mark.parametrize("cache", [1.0, 0.0], ids=["memory", "streaming"])
def test_corpus_is_filtered_by_labels(tmp_path: Path, cache: float) -> None:
    good = tones.utterance(tmp_path, "good", "ab cd")
    texts = ["ab cd", "abcd" * 4] * 4
    manifest.write(
        tmp_path / "train.jsonl", [replace(good, id=str(i), text=text) for i, text in enumerate(texts)]
    )
    manifest.write(tmp_path / "dev.jsonl", [good])
    config = DataConfig(tokens=BpeConfig(size=12), cache=cache)
    loaded = corpora.load(tmp_path, config, tones.RATE)
    model = SpeechModel(replace(recipe().model, vocabulary=loaded.tokenizer.size))
    model.spell_with(loaded.tokenizer)
    train = corpora.filter_by_length(loaded, model, 1.0).train
    if isinstance(train, StreamingDataset):
        read = train.reader(np.arange(len(train)))
        kept = [isinstance(read(i), Example) for i in range(len(train))]
    else:
        kept = [True, False] * len(train)
    assert kept == [True, False] * 4


def test_forecast_needs_no_tokenizer() -> None:
    chosen = recipe()
    model = SpeechModel(replace(chosen.model, vocabulary=300))
    assert forecast_step(chosen, model).memory(10.0, 2.0) > 0


def test_ctc_alone_is_refused() -> None:
    for change in ({"decoding": DecodingConfig(ctc=1.0)}, {"loss": LossConfig(ctc=1.0)}):
        with pytest.raises(ConfigError, match="below 1"):
            replace(recipe(), **change)
