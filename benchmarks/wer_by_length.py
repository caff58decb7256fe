"""WER by utterance length, for each variant of an ablation: python -m benchmarks.wer_by_length DIR MANIFEST.

DIR is what `asrattn ablate … --eval-on MANIFEST --out DIR` left. A table, and a picture with --figure.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from asrattn.data import manifest
from asrattn.experiments.ablation import ATTENTION_ONLY_FILE, HYPOTHESES_FILE
from asrattn.metrics import ScoredUtterance, SetResult, score_utterance, summarize
from asrattn.metrics.hypothesis_file import read

Curve = dict[str, SetResult]  # by words in the utterance


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="WER by the number of words in the utterance")
    parser.add_argument("ablation", type=Path, metavar="DIR")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--only", help="variants, with commas between them (default: all)")
    parser.add_argument("--alone", action="store_true", help="what attention heard alone, without CTC")
    parser.add_argument(
        "--upto", type=_parse_limits, help="groups of lengths: 2,4,7 is 1 to 2, 3 to 4 and 5 to 7 words"
    )
    parser.add_argument("--figure", type=Path, help="an SVG to draw")
    args = parser.parse_args(argv)
    utterances = manifest.read(args.manifest)
    heard = ATTENTION_ONLY_FILE if args.alone else HYPOTHESES_FILE
    found = sorted(path.parts[-3] for path in args.ablation.glob(f"*/seed-0/{heard}"))
    curves: dict[str, Curve] = {}
    for name in args.only.split(",") if args.only else found:
        texts = {line.id: line.text for line in read(args.ablation / name / "seed-0" / heard)}
        rows = [score_utterance(u.id, u.text, texts.get(u.id, ""), u.speaker) for u in utterances]
        longest = max(row.words.words for row in rows)
        if args.upto and longest > args.upto[-1]:
            parser.error(f"--upto: some utterances have {longest} words; let the last group reach them")
        curves[name] = group_by_length(name, rows, args.upto)
        for words, result in curves[name].items():
            low, high = result.wer_interval
            print(
                f"{name:12} {words:>5} words   WER {100 * result.wer:5.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
            )
    if args.figure:
        plot_curves(curves, args.figure)


def _parse_limits(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def group_by_length(name: str, rows: Sequence[ScoredUtterance], upto: Sequence[int] | None) -> Curve:
    """Each length for itself, or groups that end with these."""
    lengths = sorted({row.words.words for row in rows})
    found = {}
    for low, high in pairwise([lengths[0] - 1, *(upto or lengths)]):
        label = f"{low + 1}–{high}" if upto else str(high)
        found[label] = summarize(name, [row for row in rows if low < row.words.words <= high])
    return found


def plot_curves(curves: dict[str, Curve], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for number, (name, curve) in enumerate(curves.items()):
        aside = 0.04 * (number - len(curves) / 2)  # so that no bar hides another
        at = [place + aside for place in range(len(curve))]
        rates = [100 * result.wer for result in curve.values()]
        below = [100 * (r.wer - r.wer_interval[0]) for r in curve.values()]
        above = [100 * (r.wer_interval[1] - r.wer) for r in curve.values()]
        axes.errorbar(at, rates, [below, above], marker="o", capsize=3, label=name)
    axes.set(xlabel="words in the utterance", ylabel="WER, %", ylim=(0, None))
    labels = list(next(iter(curves.values())))
    axes.set_xticks(range(len(labels)), labels)
    figure.legend(loc="outside right upper", fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
