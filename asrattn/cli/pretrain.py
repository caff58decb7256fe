"""`asrattn pretrain`: self-supervised pre-training of the encoder of a recipe, on audio without transcripts."""

import argparse
from functools import partial

from asrattn.cli import options
from asrattn.config import override
from asrattn.training import run_folder
from asrattn.training.pretrain.recipe import PretrainRecipe


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Pre-train the encoder of a recipe by BEST-RQ on audio without transcripts; leaves model.safetensors (for "
        "train --init) and last.ckpt (to resume) in OUT. RECIPE is a Recipe, or a PretrainRecipe."
    )
    options.add_training(parser, "the run is")
    options.add_run(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = override(PretrainRecipe.load(args.recipe), args.settings)
    from asrattn.training.data import folder as data_folder

    data_folder.check(args.data)
    run_folder.prepare_out_dir(args.out, args.resume)

    from asrattn.training.pretrain.fit import fit

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
        command=args.typed,
    )
    return options.print_trained(train)
