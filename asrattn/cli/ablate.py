"""`asrattn ablate`: train variants of a recipe under one budget and compare them."""

import argparse
from pathlib import Path

from asrattn.cli import options
from asrattn.data import manifest
from asrattn.experiments.variants import Ablation, parse_variants, prepare_out_dir
from asrattn.training import initialization


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train every variant of a recipe, with several seeds if you like, and compare them: WER with "
        "intervals, paired tests against the first, cost, and attention metrics; in OUT/variants.tsv and, with "
        "plots, OUT/variants.html. The same command resumes a stopped ablation."
    )
    options.add_training(parser, "the runs are")
    options.add_init(parser, "fine-tune a model file in every run (see docs/guides)")
    parser.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="KEY=A,B,C",
        help="setting and its values: decoder.attention=dot,location+heads=4 or train.ema=0,0.999; may be repeated, "
        "for every combination",
    )
    parser.add_argument(
        "--seeds",
        type=options.positive_int,
        default=1,
        metavar="N",
        help="runs of each; the tests and intervals are over seeds too if there are several (default: 1)",
    )
    parser.add_argument(
        "--eval-on",
        type=Path,
        metavar="MANIFEST",
        help="manifest they are compared on (default: dev.jsonl, which also selects the best epoch)",
    )
    parser.add_argument(
        "--jobs", type=options.positive_int, default=1, metavar="N", help="runs at a time (default: 1)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = initialization.load_recipe(args.recipe, args.settings, args.init)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    eval_manifest = args.eval_on or args.data / data_folder.DEV
    manifest.check(eval_manifest)
    variants = parse_variants(args.vary, recipe)
    spec = Ablation(
        recipe, variants, args.seeds, args.data, eval_manifest, args.out, args.accelerator, args.init
    )
    prepare_out_dir(spec)

    from asrattn.experiments import ablation, ablation_report

    ablation.ablate(spec, args.jobs, args.threads)
    table = ablation_report.write_report(spec)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("   ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    print(args.out / ablation_report.PAGE_FILE)
    return 0
