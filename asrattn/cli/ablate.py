"""`asrattn ablate`: variants of a recipe under one budget, compared."""

import argparse
import sys
from pathlib import Path

from asrattn.cli.options import add_threads, positive
from asrattn.cli.train import INTERRUPTED


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "ablate",
        help="compare variants of a recipe",
        description="Train every variant of a recipe, with several seeds if you like, and compare them: WER with "
        "intervals, paired tests against the first, cost, and what their attention does; in OUT/variants.tsv and, with "
        "pictures, OUT/variants.html. The same command goes on where it was stopped.",
    )
    parser.add_argument(
        "recipe", type=Path, metavar="RECIPE.py", help="a file that sets RECIPE = Recipe(...)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds train.jsonl and dev.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the runs are written")
    parser.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="KEY=A,B,C",
        help="what varies: decoder.attention=dot,location+heads=4 or train.ema=0,0.999; of several every combination",
    )
    parser.add_argument("--seeds", type=positive, default=1, metavar="N", help="runs of each (default: 1)")
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="MANIFEST",
        help="what they are compared on (default: dev.jsonl, on which the best epoch was chosen too)",
    )
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="runs at a time (default: 1)")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu"], default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of the recipe for all variants, such as train.epochs=20; may be repeated",
    )
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.config import override
    from asrattn.training import ablated, ablation
    from asrattn.training.callbacks import StoppedError
    from asrattn.training.recipe import Recipe

    recipe = override(Recipe.load(args.recipe), args.settings)
    variants = ablation.variants(args.over, recipe)
    judged = args.judge or args.data / "dev.jsonl"
    what = ablation.Ablation(recipe, variants, args.seeds, args.data, judged, args.out, args.accelerator)
    try:
        table = ablated.ablate(what, args.jobs, args.threads)
    except StoppedError as stopped:
        print(f"asrattn: {stopped}", file=sys.stderr)
        return INTERRUPTED
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("   ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    print(args.out / ablated.PAGE)
    return 0
