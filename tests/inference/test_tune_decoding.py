"""Choosing a search on dev: the best of what was tried, within the budget, written into the model."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from asrattn import checkpoint
from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.decoding import DecodingConfig
from asrattn.errors import ConfigError
from asrattn.inference import tune_decoding
from asrattn.inference.hallucination import ConfidenceThresholds
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript
from asrattn.inference.tune_decoding import Trial
from asrattn.metrics import ErrorCounts


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(tiny.model_file(tmp_path_factory.mktemp("model")), device="cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, recognizer: Recognizer) -> Path:
    """What the untrained model hears with a narrow beam and little CTC, but for some words: that is then best."""
    folder = tmp_path_factory.mktemp("corpus")
    paths = [tiny.sound(folder / f"{i}.wav", 0.6 + 0.1 * i, seed=i) for i in range(6)]
    search = replace(tiny.DECODING, beam_size=tune_decoding.PROBE_BEAM_SIZE, ctc=0.2)
    texts = [o.text for o in recognizer.transcribe(paths, search) if isinstance(o, Transcript)]
    texts = ["quite another" if n < 2 else text for n, text in enumerate(texts)]
    utterances = [
        Utterance(f"u{i}", str(path), text or "a", 0.6 + 0.1 * i, f"s{i % 3}")
        for i, (path, text) in enumerate(zip(paths, texts, strict=True))
    ]
    manifest.write(folder / "dev.jsonl", utterances)
    return folder / "dev.jsonl"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in (
        ("BEAM_SIZES", (1, 4, 6)),
        ("CTC_WEIGHTS", (0.0, 0.2, 0.9)),
        ("LENGTH_BONUSES", (0.0, 1.0)),
        ("LENGTH_NORMS", (0.0,)),
    ):
        monkeypatch.setattr(tune_decoding, name, values)


def test_a_trial_hears_what_the_recognizer_hears(recognizer: Recognizer, corpus: Path) -> None:
    utterances = manifest.read(corpus)
    cache = tune_decoding.encode(recognizer, utterances)
    trial = tune_decoding.run_trial(recognizer, cache, tiny.DECODING, ())
    texts = [recognizer.tokenizer.decode(h.tokens) for h in trial.hypotheses]
    outcomes = recognizer.transcribe(utterances, tiny.DECODING)
    assert [" ".join(text.split()) for text in texts] == [getattr(o, "text", None) for o in outcomes]
    assert trial.words.words == sum(len(u.text.split()) for u in utterances)
    assert trial.rtf > 0


def test_the_best_of_what_was_tried_is_chosen(recognizer: Recognizer, corpus: Path) -> None:
    cache = tune_decoding.encode(recognizer, manifest.read(corpus))
    tried: list[Trial] = []
    chosen, beams = tune_decoding.tune(recognizer, cache, None, tried.append)
    assert len({(t.decoding, t.weights) for t in tried}) == len(tried), "nothing is tried twice"
    assert {t.decoding.ctc for t in tried} >= {0.0, 0.2, 0.9}
    assert [t.decoding.beam_size for t in beams] == [1, 4, 6]
    assert chosen.decoding.ctc == 0.2
    assert chosen.words.errors == min(t.words.errors for t in tried)


def test_a_budget_limits_the_beam(
    recognizer: Recognizer, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dear(
        recognizer: Recognizer,
        cache: tune_decoding.EncodedSet,
        search: DecodingConfig,
        weights: tuple[float, ...],
    ) -> Trial:
        return replace(real(recognizer, cache, search, weights), rtf=0.1 * search.beam_size)

    real = tune_decoding.run_trial
    monkeypatch.setattr(tune_decoding, "run_trial", dear)
    cache = tune_decoding.encode(recognizer, manifest.read(corpus))
    for budget, beams in ((0.2, [1]), (0.05, [1]), (0.5, [4]), (None, [4, 6])):
        assert tune_decoding.tune(recognizer, cache, budget, lambda _: None)[0].decoding.beam_size in beams


def test_what_changes_no_error_stays_as_it_is(
    recognizer: Recognizer, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alike(
        recognizer: Recognizer,
        cache: tune_decoding.EncodedSet,
        search: DecodingConfig,
        weights: tuple[float, ...],
    ) -> Trial:
        return Trial(
            search, weights, ErrorCounts(1, 0, 0, 9), ErrorCounts(1, 0, 0, 40), 1 / search.beam_size, ()
        )

    monkeypatch.setattr(tune_decoding, "run_trial", alike)
    chosen, _ = tune_decoding.tune(
        recognizer, tune_decoding.encode(recognizer, manifest.read(corpus)), None, lambda _: None
    )
    assert chosen.decoding == replace(recognizer.decoding, beam_size=4)


def test_nothing_to_tune_on(recognizer: Recognizer) -> None:
    with pytest.raises(ConfigError, match="no utterance"):
        tune_decoding.encode(recognizer, [])


def test_the_model_keeps_what_was_chosen(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, other = tiny.model_file(tmp_path), tmp_path / "tuned.safetensors"
    assert main(["tune-decoding", str(model), str(corpus), "--out", str(other)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == str(other)
    before, after = checkpoint.load(model), checkpoint.load(other)
    assert before.decoding == tiny.DECODING
    assert after.decoding.ctc == 0.2
    assert after.decoding.max_length == tiny.DECODING.max_length
    assert after.card["tuned"]["on"] == "dev.jsonl"  # type: ignore[index, call-overload]
    assert f"ctc {after.decoding.ctc:g}" in next(line for line in out if line.startswith("chosen"))
    assert (tmp_path / "tuned.beams.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert ConfidenceThresholds.from_plain(after.card["doubts"]) != ConfidenceThresholds.from_plain(
        before.card["doubts"]
    )
    assert after.card["confidence_held_out"]["words"] >= 6  # type: ignore[index, call-overload, operator]
    path = tiny.sound(tmp_path / "a.wav", 1.0)
    (raw,), (sure,) = (Recognizer.load(m, "cpu").transcribe([path], words=True) for m in (model, other))
    assert isinstance(raw, Transcript)
    assert isinstance(sure, Transcript)
    assert {w.confidence for w in raw.words} != {w.confidence for w in sure.words}
