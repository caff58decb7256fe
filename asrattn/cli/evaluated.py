"""A set that a model has heard: its scores, its card, and the files they go to."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options, scored
from asrattn.part import WHOLE, Part

if TYPE_CHECKING:
    from asrattn.config import Plain
    from asrattn.manifest import Utterance
    from asrattn.recognizer import Recognizer
    from asrattn.scoring import Row, SetResult
    from asrattn.search import SearchConfig
    from asrattn.transcript import Evaluation


@dataclass(frozen=True)
class Heard:
    """A set and what came of it."""

    name: str
    utterances: list["Utterance"]
    evaluation: "Evaluation"
    _scored: dict[str, list["Row"]] = field(default_factory=dict, init=False, repr=False)

    @property
    def texts(self) -> list[str]:
        """What was heard in each utterance; nothing, where it failed."""
        return [getattr(outcome, "text", "") for outcome in self.evaluation.outcomes]

    @property
    def rtf(self) -> float | None:
        """Seconds of work for a second of audio."""
        audio = self.evaluation.audio_seconds
        return self.evaluation.wall_seconds / audio if audio else None

    def told(self) -> Iterator[tuple[float, bool]]:
        """Of each word heard with a confidence: that, and whether it is right."""
        from asrattn.scoring import align

        for utterance, outcome in zip(self.utterances, self.evaluation.outcomes, strict=True):
            words = getattr(outcome, "words", ())
            pairs = align(utterance.text.split(), [word.text for word in words])
            right = [pair.kind == "equal" for pair in pairs if pair.kind != "delete"]
            yield from zip((word.confidence for word in words), right, strict=True)

    def rows(self, normalizer: str) -> list["Row"]:
        """All utterances scored, once for each normaliser."""
        from asrattn.scoring import NORMALIZERS, score

        if normalizer not in self._scored:
            pairs, form = zip(self.utterances, self.texts, strict=True), NORMALIZERS[normalizer]
            self._scored[normalizer] = [score(u.id, u.text, text, u.speaker, form) for u, text in pairs]
        return self._scored[normalizer]

    def results(self, normalizer: str | None) -> Iterator["SetResult"]:
        """The result as it stands, and beside it the normalised one where it is asked for."""
        from asrattn.scoring import NORMALIZERS, summarize

        yield summarize(self.name, self.rows("none"), self.rtf)
        if normalizer:
            name, form = f"{self.name} ({normalizer})", NORMALIZERS[normalizer]
            yield summarize(name, self.rows(normalizer), self.rtf, normalizer=form)


def card(
    heard: Heard, recognizer: "Recognizer", search: "SearchConfig", args: argparse.Namespace
) -> dict[str, "Plain"]:
    """What the result of a set was made of and with; the model's own card within."""
    from asrattn import card, fingerprint
    from asrattn.config import to_plain

    _, audio, wall, cpu, joules = heard.evaluation
    found: dict[str, Plain] = {
        "model": {"file": str(args.model), "fingerprint": fingerprint.of_file(args.model)},
        "search": to_plain(search),
        **options.lm_card(args),
        "data": {heard.name: fingerprint.of_set(heard.utterances)},
        "command": list(args.typed),
        "commit": card.commit(),
        "versions": card.versions(),
        "hardware": card.hardware(recognizer.device),
        "audio_seconds": round(audio, 3),
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
    }
    if recognizer.device.type == "cuda":
        found["gpu_seconds"] = round(wall, 3)
    return found | {"energy": card.energy(joules), "model_card": recognizer.card}


def document(heard: Heard, card: dict[str, "Plain"], args: argparse.Namespace) -> str:
    """A set on one line of JSON: its results, raw and normalised, and its card."""
    from asrattn.transcript import Failure

    found = {
        "set": heard.name,
        "failed": [o.id for o in heard.evaluation.outcomes if isinstance(o, Failure)],
        "results": [
            scored.plain(heard.name, heard.utterances, heard.rows(name), args, name, heard.rtf)
            for name in ("none", *([args.normalize] if args.normalize else []))
        ],
        "card": card,
    }
    return json.dumps(found, ensure_ascii=False)


def write_hypotheses(folder: Path, heard: Heard, part: Part) -> Path:
    from asrattn.scoring import hypotheses
    from asrattn.transcript import Transcript

    lines = [
        hypotheses.HypothesisLine(
            o.id, o.text, options.finite(o.score), confidence=tuple(w.confidence or 0.0 for w in o.words)
        )
        for o in heard.evaluation.outcomes
        if isinstance(o, Transcript)
    ]
    middle = "hypotheses" if part == WHOLE else f"hypotheses.{part.name}"
    path = folder / f"{heard.name}.{middle}.jsonl"
    hypotheses.write(path, lines)
    return path
