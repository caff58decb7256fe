"""Every faults fault is found, by its kind and place; a clean corpus has none of them."""

import json
from pathlib import Path

import faults
import numpy as np
import pytest
import tiny

from asrattn import audio
from asrattn.corpus_check.finding import FindingKind
from asrattn.data.manifest import Utterance

WORDS = ["SO", "THE", "OLD", "MAN", "WENT", "HOME", "AND", "FOUND", "ALL", "HIS", "DOGS", "BY", "A", "FIRE"]
CORPORA = ["made", pytest.param("an4", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request, tmp_path_factory) -> tuple[faults.Splits, faults.KnownStats]:
    """The splits, and what was heard in them; read once for all tests."""
    if request.param == "made":
        return made(tmp_path_factory.mktemp("made")), {}
    return an4(request.getfixturevalue("shared_data") / "an4"), {}


def made(folder: Path) -> faults.Splits:
    """Buzzing voices, with texts of as many words as they have time for."""
    draw = np.random.default_rng(0)
    splits: faults.Splits = {}
    for split, count in {"train": 64, "dev": 8, "test": 8}.items():
        splits[split] = []
        for i in range(count):
            seconds = float(draw.integers(8, 24)) / 8 if i else 5.0
            path = folder / f"{split}{i}.wav"
            audio.write(path, voice(seconds, draw), tiny.RATE)
            text = " ".join(draw.choice(WORDS, int(2.5 * seconds)))
            splits[split].append(Utterance(f"{split}{i}", str(path), text, seconds, f"{split}{i % 4}"))
    return splits


def voice(seconds: float, draw: np.random.Generator) -> np.ndarray:
    """(S,) a buzz that comes and goes as no other one does."""
    wave = tiny.wave(seconds, int(draw.integers(1 << 30)))
    places = np.arange(0, len(wave) + tiny.RATE // 8, tiny.RATE // 8)
    return wave * np.interp(np.arange(len(wave)), places, draw.uniform(0.05, 1, len(places))).astype(
        np.float32
    )


def an4(folder: Path) -> faults.Splits:
    """As data_prep makes them, but for dev."""
    splits: faults.Splits = {}
    for split, wavs in {"train": "an4_clstk", "test": "an4test_clstk"}.items():
        names = (folder / "etc" / f"an4_{split}.fileids").read_text().split()
        lines = (folder / "etc" / f"an4_{split}.transcription").read_text().splitlines()
        assert names[0].startswith(wavs)
        splits[split] = [an4_utterance(folder, *pair) for pair in zip(names, lines, strict=True)]
    return splits


def an4_utterance(folder: Path, name: str, line: str) -> Utterance:
    path = folder / "wav" / f"{name}.wav"
    text = line.rpartition("(")[0].replace("<s>", "").replace("</s>", "").strip()
    return Utterance(path.stem, str(path), text, audio.info(path).seconds, path.parent.name)


def copied(splits: faults.Splits) -> faults.Splits:
    return {name: list(utterances) for name, utterances in splits.items()}


@pytest.mark.parametrize("kind", faults.FAULTS)
def test_a_planted_fault_is_found(corpus, kind: str, tmp_path: Path) -> None:
    splits, known = copied(corpus[0]), corpus[1]
    where = faults.FAULTS[kind](splits, tmp_path)
    findings = faults.find_faults(splits, tmp_path, known)
    assert (kind, where) in {(f.kind.name, f.where) for f in findings}


def test_bad_lines_are_found(corpus, tmp_path: Path) -> None:
    splits, known = corpus
    first = splits["train"][0]
    twice = json.dumps({"id": first.id, "audio": first.audio, "text": "SO", "seconds": 1.0})
    tail = f'{twice}\n{{"id": "x"}}\nno json\n'
    number = len(splits["train"])
    found = {(f.kind.name, f.where) for f in faults.find_faults(copied(splits), tmp_path, known, tail)}
    expected = {("id twice", 1), ("bad line", 2), ("bad line", 3)}
    assert {(kind, f"train:{number + n}") for kind, n in expected} <= found


def test_a_clean_corpus_has_none_of_them(corpus, tmp_path: Path) -> None:
    splits, known = corpus
    kinds = {finding.kind.name for finding in faults.find_faults(copied(splits), tmp_path, known)}
    assert kinds & {*faults.FAULTS, "bad line", "id twice"} == set()


def test_the_guide_tells_of_every_kind() -> None:
    from asrattn.corpus_check import (
        audio_quality,
        duration,
        label_errors,
        manifests,
        splits,
        texts,
        with_recipe,
    )

    guide = Path(__file__).parents[2] / "docs/guides/checking.md"
    told = guide.read_text(encoding="utf-8")
    modules = (label_errors, manifests, duration, with_recipe, audio_quality, splits, texts)
    kinds = {value for module in modules for value in vars(module).values() if isinstance(value, FindingKind)}
    assert len(kinds) > 36
    assert {kind.name for kind in kinds if kind.name not in told} == set()
