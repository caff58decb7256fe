"""`asrattn sweep`: hyper-parameter sweep over the settings of a recipe for the lowest dev WER."""

import argparse
import logging

from asrattn import files
from asrattn.cli import options
from asrattn.experiments import search_space
from asrattn.training import initialization

_log = logging.getLogger(__name__)
MAX_SHOWN_TRIALS = 10


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a recipe with many settings, pruning hopeless trials; writes the best one as a recipe, "
        "OUT/best.py. The same command resumes a stopped sweep, also with a larger budget, and may run on several "
        "machines that share OUT. Needs pip install 'asrattn[sweep]'."
    )
    options.add_training(parser, "the sweep is")
    options.add_init(parser, "fine-tune a model file in every trial (see docs/guides)")
    parser.add_argument(
        "--space",
        action="append",
        required=True,
        metavar="KEY=RANGE",
        help="search space of a setting: KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C; may be repeated",
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
    recipe = initialization.load_recipe(args.recipe, args.settings, args.init)
    axes = tuple(search_space.parse_axis(text, recipe) for text in args.space)
    budget = search_space.Budget.parse(args.budget)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    files.make_folder(args.out)

    from asrattn.experiments import hpo, hpo_report

    sweep = hpo.Sweep(recipe, axes, args.data, args.out, budget, args.seed, args.accelerator, args.init)
    finished = hpo.run_sweep(
        sweep, args.jobs, args.threads, lambda trial: _log.info("%s", hpo_report.format_trial(sweep, trial))
    )
    hpo_report.write_report(sweep, finished)
    for trial in finished[:MAX_SHOWN_TRIALS]:
        print(hpo_report.format_trial(sweep, trial))
    print(args.out / hpo_report.BEST_RECIPE_FILE)
    return 0
