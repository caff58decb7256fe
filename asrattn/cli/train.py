"""`asrattn train`: train the model of a recipe on a prepared corpus."""

import argparse
from collections.abc import Sequence
from functools import partial

from asrattn import model_file
from asrattn.cli import options
from asrattn.errors import ConfigError
from asrattn.training import initialization, run_folder
from asrattn.training.data_scaling import SCALED_SETTINGS
from asrattn.training.recipe import Recipe


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train the model of a recipe; leaves model.safetensors (to use) and last.ckpt (to resume) in OUT."
    )
    options.add_training(parser, "the run is")
    options.add_run(parser)
    parser.add_argument(
        "--strategy",
        choices=["ddp", "fsdp"],
        default="ddp",
        help="ddp (default): each process holds the whole model; fsdp: a shard, for models too large for one device",
    )
    options.add_init(parser, "fine-tune a model file (see docs/guides)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = initialization.load_recipe(args.recipe, args.settings, args.init)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    _check_scaled(recipe, args.settings)
    if args.init:
        model_file.read_speech_model(args.init)
    run_folder.prepare_out_dir(args.out, args.resume)

    from asrattn.training.fit import fit

    options.use_threads(args)
    train = partial(
        fit,
        recipe,
        data=args.data,
        out=args.out,
        devices=args.devices,
        nodes=args.nodes,
        precision=args.precision,
        resume=args.resume,
        seed=args.seed,
        accelerator=args.accelerator,
        strategy=args.strategy,
        init=args.init,
        command=args.typed,
    )
    return options.print_trained(train)


def _check_scaled(recipe: Recipe, settings: Sequence[str]) -> None:
    """Raises ConfigError for a setting that train.scale_to_data would replace."""
    names = [setting.partition("=")[0].strip() for setting in settings]
    replaced = next((name for name in names if name in SCALED_SETTINGS), None)
    if recipe.train.scale_to_data and replaced:
        raise ConfigError(
            f"--set {replaced}: train.scale_to_data chooses it by the amount of data; add "
            "--set train.scale_to_data=false"
        )
