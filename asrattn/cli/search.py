"""`asrattn search`: settings of a recipe, searched for the lowest WER on dev."""

import argparse
import sys
from pathlib import Path

from asrattn.cli.options import add_threads, positive
from asrattn.cli.train import INTERRUPTED

SHOWN = 10


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "search",
        help="search the settings of a recipe",
        description="Train a recipe again and again with other settings, ending hopeless trials early; leaves the best "
        "one as a recipe, OUT/best.py. The same command goes on with a search that was stopped, also with a larger "
        "budget, and may run on several machines that share OUT. Needs pip install 'asrattn[search]'.",
    )
    parser.add_argument(
        "recipe", type=Path, metavar="RECIPE.py", help="a file that sets RECIPE = Recipe(...)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds train.jsonl and dev.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the search is written")
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
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="trials at a time (default: 1)")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu"], default="auto", help="default: auto")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of the recipe for all trials; may be repeated",
    )
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.config import override
    from asrattn.training import hunters, space
    from asrattn.training.callbacks import StoppedError
    from asrattn.training.recipe import Recipe
    from asrattn.training.trials import Hunt

    recipe = override(Recipe.load(args.recipe), args.settings)
    axes = tuple(space.parse(text, recipe) for text in args.space)
    budget = space.Budget.parse(args.budget)
    what = Hunt(recipe, axes, args.data, args.out, budget, args.seed, args.accelerator)
    try:
        ended = hunters.hunt(what, args.jobs, args.threads)
    except StoppedError as stopped:
        print(f"asrattn: {stopped}", file=sys.stderr)
        return INTERRUPTED
    for trial in ended[:SHOWN]:
        print(hunters.line(what, trial))
    print(args.out / hunters.BEST)
    return 0
