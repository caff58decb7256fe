"""`asrattn lm train`, `train-neural` and `perplexity`: language models, n-gram and neural."""

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn import files, model_file
from asrattn.cli import options
from asrattn.config import override
from asrattn.data import manifest
from asrattn.errors import CheckpointError, ConfigError
from asrattn.text import Tokenizer, from_plain
from asrattn.training import run_folder

if TYPE_CHECKING:
    from asrattn.lm import NGram

_log = logging.getLogger(__name__)
SMOOTHINGS = ("kneser-ney", "witten-bell", "katz")
TEXT_HELP = "sentences: a text (one a line, .gz too) or a manifest (.jsonl)"


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    below = parser.add_subparsers(required=True, metavar="train|train-neural|perplexity", title="what to do")
    train = below.add_parser(
        "train",
        help="estimate an n-gram model",
        description="Estimate an n-gram model and write it as an ARPA file, which KenLM and SRILM read too. For "
        "transcribe --lm and evaluate --lm.",
    )
    train.add_argument("texts", nargs="+", type=Path, metavar="TEXT", help=TEXT_HELP)
    train.add_argument("--out", type=Path, required=True, metavar="FILE.arpa[.gz]")
    train.add_argument("--order", type=options.positive_int, default=3, metavar="N", help="default: 3")
    train.add_argument("--units", choices=options.LM_UNITS, default="word", help="default: word")
    train.add_argument(
        "--tokenizer", type=Path, metavar="MODEL", help="model with the tokenizer, for --units token"
    )
    train.add_argument(
        "--smoothing",
        choices=SMOOTHINGS,
        default="kneser-ney",
        help="default: kneser-ney",
    )
    train.add_argument(
        "--prune",
        type=_counts,
        default=(),
        metavar="0,C,…",
        help="drop n-grams with at most this count: a count for each order, the last for all higher ones",
    )
    train.add_argument(
        "--prune-entropy",
        type=options.positive_float,
        metavar="SHARE",
        help="drop n-grams whose loss raises the perplexity by less, e.g. 1e-8; works badly after kneser-ney",
    )
    train.add_argument("--dev", type=Path, metavar="TEXT", help="report the perplexity of this text")
    train.set_defaults(run=run, work=_train)
    _add_neural(below)
    measure = below.add_parser(
        "perplexity",
        help="perplexity of texts",
        description="One line for each text: the perplexity of known words and ends of sentences, and, if "
        "there are unknown words, that of all words, with the probability of <unk>.",
    )
    measure.add_argument("lm", type=Path, metavar="LM", help="an ARPA file (.gz too) or a neural model")
    measure.add_argument("texts", nargs="+", type=Path, metavar="TEXT", help=TEXT_HELP)
    measure.add_argument(
        "--units", choices=options.LM_UNITS, help="if the file does not say it (default: word)"
    )
    measure.add_argument(
        "--tokenizer", type=Path, metavar="MODEL", help="model with the tokenizer, for a model over tokens"
    )
    measure.set_defaults(run=run, work=_perplexity)


def _add_neural(below: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    neural = below.add_parser(
        "train-neural",
        help="train an LSTM or a Transformer",
        description="Train the network of a recipe over a model's tokens; leaves lm.safetensors (to use) and last.ckpt "
        "(to resume) in OUT. For transcribe --lm and evaluate --lm.",
    )
    neural.add_argument(
        "recipe", type=Path, metavar="RECIPE.py", help="a file that sets RECIPE = LMRecipe(...)"
    )
    neural.add_argument("texts", nargs="+", type=Path, metavar="TEXT", help=TEXT_HELP)
    neural.add_argument("--dev", type=Path, required=True, metavar="TEXT", help="evaluated after each epoch")
    neural.add_argument(
        "--tokenizer", type=Path, required=True, metavar="MODEL", help="model with the tokenizer"
    )
    neural.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is written")
    neural.add_argument("--resume", action="store_true", help="resume the run in OUT")
    neural.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    options.add_network(neural, "model.layers=1")
    neural.set_defaults(run=run, work=_train_neural)


def run(args: argparse.Namespace) -> int:
    args.work(args)
    return 0


def _train(args: argparse.Namespace) -> None:
    from asrattn import lm
    from asrattn.lm import arpa
    from asrattn.lm.pruning import prune_entropy

    _check_texts([*args.texts, *([args.dev] if args.dev else [])])
    files.make_folder(args.out.parent)
    splitter = _Splitter(args.units, args.tokenizer)
    counts = lm.count_ngrams(splitter.split(args.texts), args.order)
    splitter.report()
    model = lm.estimate(counts, args.smoothing, args.prune, args.units)
    if args.prune_entropy:
        model = prune_entropy(model, args.prune_entropy)
    if model.order < args.order:
        _log.warning("no n-gram is longer than %d: the model has this order", model.order)
    arpa.write(args.out, model)
    print(f"{args.out}   {' + '.join(map(str, model.sizes))} n-grams")
    if args.dev:
        _print_perplexity(model, args.dev, splitter)


def _train_neural(args: argparse.Namespace) -> None:
    from asrattn.training.lm.recipe import LMRecipe

    recipe = override(LMRecipe.load(args.recipe), args.settings)
    _check_texts([*args.texts, args.dev])
    tokenizer = _tokenizer(args.tokenizer)
    run_folder.prepare_out_dir(args.out, args.resume)

    from asrattn.training.lm.fit import fit

    options.use_threads(args)
    dev = list(_texts([args.dev]))
    texts = options.progress_bar(_texts(args.texts), None, "sentence")
    settings = {"resume": args.resume, "seed": args.seed, "accelerator": args.accelerator}
    print(fit(recipe, texts, dev, tokenizer, args.out, **settings, command=args.typed))


def _perplexity(args: argparse.Namespace) -> None:
    from asrattn.lm import NGram

    _check_texts(args.texts)
    model = options.load_language_model(args.lm, args.units)
    if not isinstance(model, NGram):
        from asrattn.lm import neural

        for text in args.texts:
            texts = list(options.progress_bar(_texts([text]), None, "sentence"))
            found = neural.perplexity(model.network, model.tokenizer, texts)
            print(f"{text.name}   {found.line()}", flush=True)
        return
    splitter = _Splitter(model.units or "word", args.tokenizer)
    for text in args.texts:
        _print_perplexity(model, text, splitter)


def _print_perplexity(model: "NGram", text: Path, splitter: "_Splitter") -> None:
    from asrattn.lm import perplexity

    print(f"{text.name}   {perplexity(model, splitter.split([text])).line(splitter.units)}", flush=True)
    splitter.report()


class _Splitter:
    """Splits texts into units, and counts characters that are unknown to the tokenizer."""

    def __init__(self, units: str, tokenizer: Path | None) -> None:
        self.units = units
        self.tokenizer = _tokenizer(tokenizer) if tokenizer else None
        self.unknown_characters = 0
        if (units == "token") != (self.tokenizer is not None):
            raise ConfigError("units of token and --tokenizer MODEL go together; give both, or neither")

    def split(self, paths: Sequence[Path]) -> Iterator[Sequence[str]]:
        """The units of each sentence."""
        from asrattn import lm

        for text in options.progress_bar(_texts(paths), None, "sentence"):
            yield self._tokens(text, self.tokenizer) if self.tokenizer else lm.split_units(text, self.units)

    def report(self) -> None:
        """Log the number of unknown characters since the last report."""
        if self.unknown_characters:
            _log.warning(
                "%d characters are unknown to the tokenizer: <unk> for the model",
                self.unknown_characters,
            )
        self.unknown_characters = 0

    def _tokens(self, text: str, tokenizer: Tokenizer) -> list[str]:
        from asrattn.lm.units import token_strings
        from asrattn.text import UNKNOWN

        ids = tokenizer.encode_lossy(text)
        self.unknown_characters += ids.count(UNKNOWN)
        written = token_strings(tokenizer)
        return [written[i] for i in ids]


def _tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a speech model's file. Raises CheckpointError."""
    plain = model_file.read_speech_model(path)
    try:
        return from_plain(plain["tokenizer"])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check_texts(paths: Iterable[Path]) -> None:
    """Check all texts and manifests before the first is read."""
    from asrattn.lm import files as texts

    for path in paths:
        if path.suffix == ".jsonl":
            manifest.check(path)
        else:
            texts.check(path)


def _texts(paths: Iterable[Path]) -> Iterator[str]:
    from asrattn.data import lazy_manifest
    from asrattn.lm.files import read_sentences

    for path in paths:
        if path.suffix == ".jsonl":
            yield from (utterance.text for utterance in lazy_manifest.LazyManifest(path))
        else:
            yield from read_sentences(path)


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of counts; give for example 0,0,1") from None
