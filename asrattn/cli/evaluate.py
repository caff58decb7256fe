"""`asrattn evaluate MODEL MANIFEST…`: word and character error rates of a model on whole sets."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asrattn.cli import options, scored
from asrattn.errors import ConfigError
from asrattn.part import WHOLE, Part

if TYPE_CHECKING:
    from asrattn.manifest import Utterance
    from asrattn.recognizer import Evaluation, Recognizer
    from asrattn.scoring import Row, SetResult
    from asrattn.scoring.pictures import Picture

_log = logging.getLogger(__name__)
_WORST = 10  # in the report, unless --worst says otherwise


class _Heard(NamedTuple):
    """A set and what came of it."""

    name: str
    utterances: list["Utterance"]
    evaluation: "Evaluation"

    @property
    def texts(self) -> list[str]:
        """What was heard in each utterance; nothing, where it failed."""
        return [getattr(outcome, "text", "") for outcome in self.evaluation.outcomes]


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="WER and CER of a model, with intervals",
        description="One line for each manifest: WER and CER with 95 % intervals, and the real-time factor.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument("manifests", nargs="+", type=Path, metavar="MANIFEST", help="utterances (.jsonl)")
    options.add_recognition(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write NAME.hypotheses.jsonl and report.html there"
    )
    scored.add_normalize(parser, "a second line, after both texts went through a normaliser")
    scored.add_slices(parser)
    parser.add_argument(
        "--worst", type=options.positive, metavar="N", help="show the N worst utterances, in the report too"
    )
    options.add_shard(
        parser,
        "decode every N-th utterance only, from the I-th on, to NAME.hypotheses.I-of-N.jsonl under --out",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.shard != WHOLE and not args.out:
        raise ConfigError(
            "--shard writes what is heard in a part of the utterances; say where, with --out DIR"
        )
    sets = _read(args.manifests, args.shard)
    recognizer, search = options.recognizer(args)
    heard, failed = [], 0
    for name, utterances in sets.items():
        progress = partial(options.bar, total=len(utterances), unit="utterance", name=name)
        heard.append(_Heard(name, utterances, recognizer.evaluate(utterances, search, progress=progress)))
        failed += _tell(heard[-1])
        if args.out:
            written = _write_hypotheses(args.out, heard[-1], args.shard)
        if args.shard == WHOLE:
            _print_results(heard[-1], args)
        else:
            print(written)  # the rates of a part are no result
    rows = [row for each in heard for row in _rows(each, args.normalize or "none", prefix=len(heard) > 1)]
    if args.worst:
        _print_worst(rows, args.worst)
    if args.out and args.shard == WHOLE:
        _write_report(args, recognizer, heard, rows)
    return 1 if failed else 0


def _read(manifests: Sequence[Path], part: Part) -> dict[str, list["Utterance"]]:
    """All sets, before the first is begun: a fault in the last one shows at once."""
    from asrattn import manifest

    sets = {path.stem: list(part.of(manifest.read(path))) for path in manifests}
    if len(sets) < len(manifests):
        raise ConfigError("two of the manifests have the same name; evaluate them one after the other")
    return sets


def _tell(heard: _Heard) -> int:
    """Say which utterances failed, and what the set took; how many failed."""
    from asrattn.recognizer import Failure

    outcomes, audio, wall, cpu = heard.evaluation
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    for failure in failures:
        _log.error("asrattn: %s: %s", failure.id, failure.message)
    if failures:
        _log.error(
            "asrattn: %s: %d of %d utterances count as deleted", heard.name, len(failures), len(outcomes)
        )
    _log.info("%s: %.1f s of audio in %.1f s, %.1f CPU-seconds", heard.name, audio, wall, cpu)
    return len(failures)


def _rows(heard: _Heard, normalizer: str, prefix: bool = False) -> list["Row"]:
    from asrattn.scoring import NORMALIZERS, score

    before = f"{heard.name}/" if prefix else ""
    pairs = zip(heard.utterances, heard.texts, strict=True)
    return [score(before + u.id, u.text, text, u.speaker, NORMALIZERS[normalizer]) for u, text in pairs]


def _results(heard: _Heard, normalizer: str | None) -> Iterator["SetResult"]:
    """The result as it stands, and beside it the normalised one where it is asked for."""
    from asrattn.scoring import NORMALIZERS, summarize

    _, audio, wall, _ = heard.evaluation
    rtf = wall / audio if audio else None
    yield summarize(heard.name, _rows(heard, "none"), rtf)
    if normalizer:
        form = NORMALIZERS[normalizer]
        yield summarize(f"{heard.name} ({normalizer})", _rows(heard, normalizer), rtf, normalizer=form)


def _print_results(heard: _Heard, args: argparse.Namespace) -> None:
    """A line for the set and for each part of it that is asked for, normalised where that is asked for too."""
    for result, normalizer in zip(_results(heard, args.normalize), ("none", args.normalize), strict=False):
        print(result.line(), flush=True)
        rows = _rows(heard, normalizer)
        scored.print_parts(result.name, heard.utterances, rows, args.by, normalizer)
        if args.keywords:
            scored.print_keywords(result.name, rows, args.keywords, normalizer)


def _print_worst(rows: Sequence["Row"], n: int) -> None:
    from asrattn.scoring import worst

    for row in worst(rows, n):
        scored.print_aligned(row)


def _write_hypotheses(folder: Path, heard: _Heard, part: Part) -> Path:
    from asrattn.recognizer import Transcript
    from asrattn.scoring import hypotheses

    lines = [
        hypotheses.HypothesisLine(o.id, o.text, options.finite(o.score))
        for o in heard.evaluation.outcomes
        if isinstance(o, Transcript)
    ]
    middle = "hypotheses" if part == WHOLE else f"hypotheses.{part.name}"
    path = folder / f"{heard.name}.{middle}.jsonl"
    hypotheses.write(path, lines)
    return path


def _write_report(
    args: argparse.Namespace, recognizer: "Recognizer", heard: Sequence[_Heard], rows: Sequence["Row"]
) -> None:
    from asrattn.scoring import worst
    from asrattn.scoring.report import write_report

    n = args.worst or _WORST
    shown = {row.id for row in worst(rows, n)}
    sources = zip(
        rows, (each for h in heard for each in zip(h.utterances, h.texts, strict=True)), strict=True
    )
    pictures = {row.id: _picture(recognizer, *source) for row, source in sources if row.id in shown}
    facts = {"model": str(args.model)} | options.lm_card(args) | options.card(recognizer.card)
    write_report(
        args.out / "report.html",
        [result for each in heard for result in _results(each, args.normalize)],
        rows,
        facts=facts,
        pictures={name: picture for name, picture in pictures.items() if picture},
        n_worst=n,
    )
    _log.info("%s", args.out / "report.html")


def _picture(recognizer: "Recognizer", utterance: "Utterance", text: str) -> "Picture | None":
    """What the decoder looked at while it wrote the text; None where the audio cannot be used, or is long."""
    from asrattn.errors import AudioError
    from asrattn.recognizer import waves
    from asrattn.scoring.pictures import Picture

    try:
        wave, *more = waves(utterance, recognizer.rate)
        if more:
            return None
        features, weights, pieces, _ = recognizer.explain(wave, recognizer.tokenizer.encode_lossy(text))
    except AudioError:
        return None
    return Picture(len(wave) / recognizer.rate, features, weights, pieces)
