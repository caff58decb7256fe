"""`asrattn train`: a recipe and a prepared corpus to a model."""

import argparse
import sys
from pathlib import Path

from asrattn.cli.options import add_threads, positive, use_threads

INTERRUPTED = 130


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a model",
        description="Train the model of a recipe; leaves model.safetensors (to use) and last.ckpt (to resume) in OUT.",
    )
    parser.add_argument(
        "recipe", type=Path, metavar="RECIPE.py", help="a file that sets RECIPE = Recipe(...)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds train.jsonl and dev.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is written")
    parser.add_argument(
        "--devices", type=positive, default=1, metavar="N", help="processes on a node, a GPU each"
    )
    parser.add_argument("--nodes", type=positive, default=1, metavar="N", help="machines")
    parser.add_argument(
        "--sharing",
        choices=["ddp", "fsdp"],
        default="ddp",
        help="ddp (default): each process holds the whole model; fsdp: a part, for models too large for one device",
    )
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], help="default: the recipe's")
    parser.add_argument("--accelerator", choices=["auto", "cpu", "gpu"], default="auto", help="default: auto")
    parser.add_argument(
        "--init", type=Path, metavar="MODEL", help="go on from a model file: fine-tuning (see docs/guides)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in OUT where it was saved last"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of the recipe, e.g. model.encoder.layers=2; may be repeated",
    )
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from asrattn.config import override
    from asrattn.training.callbacks import StoppedError
    from asrattn.training.corpus import first_process
    from asrattn.training.fit import fit
    from asrattn.training.recipe import Recipe

    use_threads(args)
    recipe = override(Recipe.load(args.recipe), args.settings)
    try:
        model = fit(
            recipe,
            data=args.data,
            out=args.out,
            devices=args.devices,
            nodes=args.nodes,
            precision=args.precision,
            resume=args.resume,
            seed=args.seed,
            accelerator=args.accelerator,
            sharing=args.sharing,
            init=args.init,
        )
    except StoppedError as stopped:
        if not first_process():
            return 0  # the first one answers for all
        print(f"asrattn: {stopped}", file=sys.stderr)
        return INTERRUPTED
    if first_process():
        print(model)
    return 0
