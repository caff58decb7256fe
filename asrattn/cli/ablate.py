"""`asrattn ablate`: variants of a recipe under one budget, compared."""

import argparse
from pathlib import Path

from asrattn.cli import options
from asrattn.config import override
from asrattn.data import manifest
from asrattn.experiments.variants import Ablation, parse_variants, prepare_out_dir
from asrattn.training.recipe import Recipe


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train every variant of a recipe, with several seeds if you like, and compare them: WER with "
        "intervals, paired tests against the first, cost, and what their attention does; in OUT/variants.tsv and, with "
        "pictures, OUT/variants.html. The same command goes on where it was stopped."
    )
    options.add_training(parser, "the runs are")
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="KEY=A,B,C",
        help="what varies: decoder.attention=dot,location+heads=4 or train.ema=0,0.999; of several every combination",
    )
    parser.add_argument(
        "--seeds", type=options.positive_int, default=1, metavar="N", help="runs of each (default: 1)"
    )
    parser.add_argument(
        "--eval-on",
        type=Path,
        metavar="MANIFEST",
        help="what they are compared on (default: dev.jsonl, on which the best epoch was chosen too)",
    )
    parser.add_argument(
        "--jobs", type=options.positive_int, default=1, metavar="N", help="runs at a time (default: 1)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = override(Recipe.load(args.recipe), args.settings)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    judged = args.eval_on or args.data / data_folder.DEV
    manifest.check(judged)
    what = Ablation(
        recipe, parse_variants(args.vary, recipe), args.seeds, args.data, judged, args.out, args.accelerator
    )
    prepare_out_dir(what)

    from asrattn.experiments import ablation_report

    table = ablation_report.ablate(what, args.jobs, args.threads)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("   ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    print(args.out / ablation_report.PAGE_FILE)
    return 0
