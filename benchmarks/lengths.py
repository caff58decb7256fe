"""WER against the length of the utterance, of each variant of an ablation: python -m benchmarks.lengths DIR MANIFEST.

DIR is what `asrattn ablate … --judge MANIFEST --out DIR` left. A table, and a picture with --figure.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from asrattn import manifest
from asrattn.scoring import SetResult, score, summarize
from asrattn.scoring.hypotheses import read

Curve = dict[int, SetResult]  # by words in the utterance


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="WER by the number of words in the utterance")
    parser.add_argument("ablation", type=Path, metavar="DIR")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--figure", type=Path, help="an SVG to draw")
    args = parser.parse_args(argv)
    utterances = manifest.read(args.manifest)
    curves: dict[str, Curve] = {}
    for path in sorted(args.ablation.glob("*/seed-0/hypotheses.jsonl")):
        texts = {line.id: line.text for line in read(path)}
        rows = [score(u.id, u.text, texts.get(u.id, ""), u.speaker) for u in utterances]
        lengths = sorted({row.words.words for row in rows})
        name = path.parts[-3]
        curves[name] = {n: summarize(name, [r for r in rows if r.words.words == n]) for n in lengths}
        for n, result in curves[name].items():
            low, high = result.wer_interval
            print(
                f"{name:12} {n:3} words   WER {100 * result.wer:5.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
            )
    if args.figure:
        draw(curves, args.figure)


def draw(curves: dict[str, Curve], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for name, curve in curves.items():
        rates = [100 * result.wer for result in curve.values()]
        below = [100 * (r.wer - r.wer_interval[0]) for r in curve.values()]
        above = [100 * (r.wer_interval[1] - r.wer) for r in curve.values()]
        axes.errorbar(list(curve), rates, [below, above], marker="o", capsize=3, label=name)
    axes.set(xlabel="words in the utterance", ylabel="WER, %", ylim=(0, None))
    axes.set_xticks(sorted({n for curve in curves.values() for n in curve}))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
