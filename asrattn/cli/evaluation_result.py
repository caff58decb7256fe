"""Evaluation result of one set: scores, card, and the files that hold them."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import error_rates, options
from asrattn.sharding import UNSHARDED, JobShard

if TYPE_CHECKING:
    from asrattn.config import JSONValue
    from asrattn.data.manifest import Utterance
    from asrattn.decoding import DecodingConfig
    from asrattn.inference.recognizer import Recognizer
    from asrattn.inference.transcript import Evaluation
    from asrattn.metrics import ScoredUtterance, SetResult


@dataclass(frozen=True)
class EvaluatedSet:
    """A set and its evaluation."""

    name: str
    utterances: list["Utterance"]
    evaluation: "Evaluation"
    _scored: dict[str, list["ScoredUtterance"]] = field(default_factory=dict, init=False, repr=False)

    @property
    def texts(self) -> list[str]:
        """The hypothesis of each utterance; empty if it failed."""
        return [getattr(outcome, "text", "") for outcome in self.evaluation.outcomes]

    @property
    def rtf(self) -> float | None:
        """Real-time factor: wall seconds per second of audio."""
        audio = self.evaluation.audio_seconds
        return self.evaluation.wall_seconds / audio if audio else None

    def word_confidences(self) -> Iterator[tuple[float, bool]]:
        """For each hypothesis word its confidence, and whether the word is correct."""
        from asrattn.metrics import align

        for utterance, outcome in zip(self.utterances, self.evaluation.outcomes, strict=True):
            words = getattr(outcome, "words", ())
            pairs = align(utterance.text.split(), [word.text for word in words])
            correct = [pair.kind == "equal" for pair in pairs if pair.kind != "delete"]
            yield from zip((word.confidence for word in words), correct, strict=True)

    def rows(self, normalizer: str) -> list["ScoredUtterance"]:
        """All utterances scored with a normaliser; cached."""
        from asrattn.metrics import NORMALIZERS, score_utterance

        if normalizer not in self._scored:
            pairs, form = zip(self.utterances, self.texts, strict=True), NORMALIZERS[normalizer]
            self._scored[normalizer] = [
                score_utterance(u.id, u.text, text, u.speaker, form) for u, text in pairs
            ]
        return self._scored[normalizer]

    def results(self, normalizer: str | None) -> Iterator["SetResult"]:
        """The result of the raw texts, then the normalised one if requested."""
        from asrattn.metrics import NORMALIZERS, summarize

        yield summarize(self.name, self.rows("none"), self.rtf)
        if normalizer:
            name, form = f"{self.name} ({normalizer})", NORMALIZERS[normalizer]
            yield summarize(name, self.rows(normalizer), self.rtf, normalizer=form)


def evaluation_card(
    evaluated: EvaluatedSet, recognizer: "Recognizer", decoding: "DecodingConfig", args: argparse.Namespace
) -> dict[str, "JSONValue"]:
    """The provenance of the result of a set, including the card of the model."""
    from asrattn import provenance
    from asrattn.config import to_plain
    from asrattn.data import fingerprint

    _, audio, wall, cpu, joules = evaluated.evaluation
    found: dict[str, JSONValue] = {
        "model": {"file": str(args.model), "fingerprint": fingerprint.hash_file(args.model)},
        "search": to_plain(decoding),
        **options.describe_language_models(args),
        "data": {evaluated.name: fingerprint.fingerprint_dataset(evaluated.utterances)},
        "command": list(args.typed),
        "commit": provenance.git_commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(recognizer.device),
        "audio_seconds": round(audio, 3),
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
    }
    if recognizer.device.type == "cuda":
        found["gpu_seconds"] = round(wall, 3)
    return found | {"energy": provenance.format_energy(joules), "model_card": recognizer.card}


def result_to_json(evaluated: EvaluatedSet, card: dict[str, "JSONValue"], args: argparse.Namespace) -> str:
    """One line of JSON: the results of a set, raw and normalised, and its card."""
    from asrattn.inference.transcript import Failure

    found = {
        "set": evaluated.name,
        "failed": [o.id for o in evaluated.evaluation.outcomes if isinstance(o, Failure)],
        "results": [
            error_rates.result_to_plain(
                evaluated.name, evaluated.utterances, evaluated.rows(name), args, name, evaluated.rtf
            )
            for name in ("none", *([args.normalize] if args.normalize else []))
        ],
        "card": card,
    }
    return json.dumps(found, ensure_ascii=False)


def write_hypotheses(folder: Path, evaluated: EvaluatedSet, shard: JobShard) -> Path:
    from asrattn.inference.transcript import Transcript
    from asrattn.metrics import hypothesis_file

    lines = [
        hypothesis_file.HypothesisLine(
            o.id,
            o.text,
            options.finite_or_none(o.score),
            confidence=tuple(w.confidence or 0.0 for w in o.words),
        )
        for o in evaluated.evaluation.outcomes
        if isinstance(o, Transcript)
    ]
    middle = "hypotheses" if shard == UNSHARDED else f"hypotheses.{shard.name}"
    path = folder / f"{evaluated.name}.{middle}.jsonl"
    hypothesis_file.write(path, lines)
    return path
