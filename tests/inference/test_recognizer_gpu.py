"""A recognizer on a GPU hears what it does on the CPU."""

from pathlib import Path

import pytest
import tiny

from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript

pytestmark = pytest.mark.gpu


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    return [tiny.sound(tmp_path / f"{n}.wav", seconds, n) for n, seconds in enumerate((1.0, 2.5, 1.7))]


def test_transcripts_words_and_scores_are_those_of_the_cpu(
    tmp_path: Path, sounds: list[Path], accelerator: str
) -> None:
    model = tiny.model_file(tmp_path)
    here, there = (
        list(Recognizer.load(model, device).transcribe(sounds, words=True)) for device in ("cpu", accelerator)
    )
    for ours, theirs in zip(there, here, strict=True):
        assert isinstance(ours, Transcript)
        assert isinstance(theirs, Transcript)
        assert ours.text == theirs.text
        assert ours.score == pytest.approx(theirs.score, rel=1e-3)
        assert [(w.text, w.start, w.end) for w in ours.words] == [
            (w.text, w.start, w.end) for w in theirs.words
        ]


def test_bf16_gives_a_text(tmp_path: Path, sounds: list[Path], accelerator: str) -> None:
    recognizer = Recognizer.load(tiny.model_file(tmp_path), accelerator, "bf16")
    assert all(isinstance(found, Transcript) and found.text for found in recognizer.transcribe(sounds))


def test_all_ways_to_use_a_model_work(tmp_path: Path, accelerator: str) -> None:
    """What attention does, the losses of a text, word times by both witnesses, a stream."""
    recognizer = Recognizer.load(tiny.model_file(tmp_path), accelerator)
    here = Recognizer.load(tiny.model_file(tmp_path), "cpu")
    wave, tokens = tiny.wave(1.5), tiny.TOKENIZER.encode("the fox")
    assert recognizer.losses([wave], [tokens]) == pytest.approx(here.losses([wave], [tokens]), rel=1e-3)
    assert recognizer.compute_attention(wave, tokens).weights == pytest.approx(
        here.compute_attention(wave, tokens).weights, abs=1e-3
    )
    assert recognizer.measure_attention([wave], [tokens], True).focus == pytest.approx(
        here.measure_attention([wave], [tokens], True).focus, abs=1e-3
    )
    for by in ("ctc", "attention"):
        ours, theirs = (each.align([wave], [tokens], by) for each in (recognizer, here))  # type: ignore[arg-type]
        assert [(w.text, w.start) for w in ours[0]] == [(w.text, w.start) for w in theirs[0]]
    stream = recognizer.stream()
    heard = [*stream.feed(wave), *stream.finish()]
    assert heard
    assert heard[-1].final
