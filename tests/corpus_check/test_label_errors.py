"""Ranking texts by what a model thinks of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import tiny
import torch

from asrattn.corpus_check import label_errors
from asrattn.corpus_check.finding import CheckedUtterance
from asrattn.data.manifest import Utterance
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript


class FakeRecognizer:
    """Hears what it is told to hear, and doubts as much."""

    rate = tiny.RATE
    device = torch.device("cpu")
    tokenizer = tiny.TOKENIZER

    def __init__(self, heard: dict[str, str], doubt: dict[str, float]) -> None:
        self.heard = heard
        self.doubt = doubt

    def transcribe(self, sources, search) -> Iterator[Transcript]:
        return (Transcript(u.id, Path(u.audio), self.heard[u.id], 0.0, u.seconds) for u in sources)

    def losses(self, waves, texts: Sequence[Sequence[int]]) -> list[float]:
        return [self.doubt[self.tokenizer.decode(text)] for text in texts]


def case(folder: Path, name: str, text: str, seconds: float) -> CheckedUtterance:
    path = tiny.sound(folder / f"{name}.wav", seconds)
    return CheckedUtterance("train", 1, Utterance(name, str(path), text, seconds))


def no_progress(outcomes, total):
    return outcomes


def test_what_is_doubted_and_heard_otherwise_comes_in_the_order_of_doubt(tmp_path: Path) -> None:
    texts = {
        "a": ("fox", "fox", 0.1),
        "b": ("dog", "dog", 0.2),
        "c": ("lazy dog", "the quick brown fox", 3.0),
        "d": ("over", "jumps", 4.0),
        "e": ("jumps", "jumps", 5.0),  # doubted, but heard
        "f": ("brown", "quick", 0.15),  # heard otherwise, but not doubted
        "g": ("the", "the", 0.12),
    }
    cases = [case(tmp_path, name, t[0], 0.5 + i / 10) for i, (name, t) in enumerate(texts.items())]
    listener = FakeRecognizer({n: t[1] for n, t in texts.items()}, {t[0]: t[2] for t in texts.values()})
    found = label_errors.find_label_errors(cases, listener, tiny.DECODING, no_progress)  # type: ignore[arg-type]
    assert [f.where for f in found] == ["train:d", "train:c"]
    assert found[0].detail == "4.00 nats a token: 'over', hyp: 'jumps'"


def test_a_model_doubts_most_what_it_does_not_hear(tmp_path: Path) -> None:
    recognizer = Recognizer.load(tiny.model_file(tmp_path), "cpu")
    cases = [case(tmp_path, str(i), "?", 1.0 + i / 10) for i in range(8)]
    sources = [c.utterance for c in cases]
    heard = [o.text for o in recognizer.transcribe(sources) if isinstance(o, Transcript)]
    heard[5] = "the quick brown fox jumps"
    said = [
        CheckedUtterance("train", 1, Utterance(u.id, u.audio, t, u.seconds))
        for u, t in zip(sources, heard, strict=True)
    ]
    doubts = list(label_errors.score_labels(said, recognizer, tiny.DECODING, no_progress))
    assert len(doubts) == 8
    assert max(doubts, key=lambda doubt: doubt.loss).case is said[5]
