"""`asrattn search`: settings of a recipe, searched for the lowest WER on dev."""

import argparse

from asrattn import files
from asrattn.cli import options
from asrattn.config import override
from asrattn.experiments import search_space
from asrattn.training.recipe import Recipe

MAX_SHOWN_TRIALS = 10


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a recipe again and again with other settings, ending hopeless trials early; leaves the best "
        "one as a recipe, OUT/best.py. The same command goes on with a search that was stopped, also with a larger "
        "budget, and may run on several machines that share OUT. Needs pip install 'asrattn[search]'."
    )
    options.add_training(parser, "the search is")
    parser.add_argument(
        "--space",
        action="append",
        required=True,
        metavar="KEY=RANGE",
        help="what may change: KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C; may be repeated",
    )
    parser.add_argument(
        "--budget", required=True, metavar="N|TIME", help="trials in all, or how long: 20, 90m, 2h"
    )
    parser.add_argument(
        "--jobs", type=options.positive_int, default=1, metavar="N", help="trials at a time (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = override(Recipe.load(args.recipe), args.settings)
    axes = tuple(search_space.parse_axis(text, recipe) for text in args.space)
    budget = search_space.Budget.parse(args.budget)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    files.make_folder(args.out)

    from asrattn.experiments import hpo_report
    from asrattn.experiments.hpo import Sweep

    what = Sweep(recipe, axes, args.data, args.out, budget, args.seed, args.accelerator)
    ended = hpo_report.run_sweep(what, args.jobs, args.threads)
    for trial in ended[:MAX_SHOWN_TRIALS]:
        print(hpo_report.format_trial(what, trial))
    print(args.out / hpo_report.BEST_RECIPE_FILE)
    return 0
