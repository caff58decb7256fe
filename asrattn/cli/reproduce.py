"""`asrattn reproduce MODEL|RESULT.json`: the commands that repeat a training run or an evaluation, from its card."""

import argparse
import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from asrattn import files, model_file, strict_json
from asrattn.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from asrattn.config import JSONValue

Card = Mapping[str, Any]
_MODEL = "model.safetensors"
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_TYPES = {
    "data": dict,
    "command": list,
    "seed": int,
    "commit": str,
    "recipe": dict,
    "init": dict,
    "model": dict,
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a shell script with the commands that repeat a training run or an evaluation. Nothing is "
        "run. With --data, check whether the data are those of the result; if not, the status is 1."
    )
    parser.add_argument("subject", type=Path, metavar="MODEL|RESULT.json", help="whose card is read")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders with train.jsonl and dev.jsonl, and manifests, to compare with the card",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("again"),
        metavar="DIR",
        help="output folder in the script (default: again)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    card = _card(args.subject)
    trained = card.get("model_card", card)
    with model_file.damaged_configuration(args.subject):
        lines = list(_script(card, trained, args.out))
    print("\n".join(lines))
    known = {**trained.get("data", {}), **card.get("data", {})}
    return 1 if _differing(known, args.data) else 0


def _card(path: Path) -> Card:
    """The card of a model, or of an evaluation, which contains that of the model. Raises CheckpointError."""
    if path.suffix != ".json":
        return _checked(model_file.read_speech_model(path)["card"], path)
    try:
        card = strict_json.parse(files.read_text(path), finite=False)["card"]
        if not isinstance(card["model_card"], dict):
            raise TypeError
    except FileNotFoundError:
        raise CheckpointError(f"{path}: does not exist; asrattn evaluate --out writes it") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(
            f"{path}: is not the result of an evaluation; name a NAME.result.json, or a model"
        ) from None
    return _checked(card, path) | {"model_card": _checked(card["model_card"], path)}


def _checked(card: Card, path: Path) -> dict[str, Any]:
    """The card, if its entries have the types that asrattn writes. Raises CheckpointError."""
    for name, kind in _TYPES.items():
        if name in card and (not isinstance(card[name], kind) or isinstance(card[name], bool)):
            raise CheckpointError(f"{path}: its card is damaged: {name} is {card[name]!r:.80}")
    sets = card.get("data", {}).values()
    if not all(isinstance(each, dict) and "fingerprint" in each for each in sets):
        raise CheckpointError(f"{path}: its card is damaged: data have no fingerprints")
    return dict(card)


def _script(card: Card, trained: Card, out: Path) -> Iterator[str]:
    model = out / "model" / _MODEL
    yield from _source(trained)
    yield from _data(trained)
    yield from _training(trained, model.parent)
    wer = f"its dev WER was {trained.get('dev_wer')} %"
    yield f"asrattn describe {shlex.quote(str(model))}   # {_comment(wer)}"
    if card is not trained:
        yield from _data(card)
        if card.get("commit") != trained.get("commit"):
            yield from _source(card)
        name, typed = card.get("model", {}).get("file"), card.get("command")
        if name and _is_safe(typed, "evaluate"):
            words = [str(model) if word == name else word for word in typed]
            yield _joined([*_without(words, "--out", 1), "--out", str(out / "evaluation")])
        else:
            yield "# how it was evaluated is not known: the result has no command of asrattn evaluate"


def _source(card: Card) -> Iterator[str]:
    """The commit, the versions and the hardware."""
    commit = card.get("commit", "")
    if _COMMIT.fullmatch(commit.rstrip("+")):
        yield f"git checkout {commit.rstrip('+')}"
    elif commit:
        yield f"# the commit is not known: the card has {_comment(commit)!r}"
    else:
        yield "# the commit is not known: the package was installed, or the model is from an older version"
    if commit.endswith("+"):
        yield "# files had changed since that commit; the results may differ"
    for name in ("versions", "hardware"):
        if name in card:
            yield f"# {name}: {_comment(card[name])}"


def _data(card: Card) -> Iterator[str]:
    for name, each in card.get("data", {}).items():
        yield f"# {_comment(name)}: {_comment(each)}"


def _training(card: Card, out: Path) -> Iterator[str]:
    """The training command; if the card has none, the recipe as a file, and a command for it."""
    seed = ["--seed", str(card.get("seed", 0))]
    typed = card.get("command")
    if typed and not _is_safe(typed, "train", "pretrain"):
        yield f"# the command of the card is no training by asrattn, and is left out: {_comment(typed)}"
    if _is_safe(typed, "train", "pretrain"):
        words = typed
        for option, values in (("--out", 1), ("--resume", 0), ("--seed", 1)):
            words = _without(words, option, values)
        yield _joined([*words, *seed, "--out", str(out)])
    elif "recipe" in card:
        from asrattn.config import from_plain
        from asrattn.experiments.recipe_writer import format_recipe
        from asrattn.training.recipe import Recipe

        recipe = from_plain(Recipe, card["recipe"], "recipe")
        init = ["--init", _comment(card["init"].get("file"))] if "init" in card else []
        yield f"cat > recipe.py <<'END'\n{format_recipe(recipe, 'From the card of a model.')}END"
        words = ["asrattn", "train", "recipe.py", "--data", "DATA", *seed, *init]
        yield _joined([*words, "--out", str(out)])
    else:
        yield "# how it was trained is not known: the model is from an older version"


def _is_safe(words: object, *commands: str) -> TypeGuard[list[str]]:
    """Whether these are the words of one of these commands, with options that it knows: a file may come from anywhere,
    and its card must not become another program's command line."""
    from asrattn.cli.main import parse_arguments

    if not isinstance(words, list) or not all(isinstance(w, str) and w.isprintable() for w in words):
        return False
    if words[:1] != ["asrattn"] or not {*words[1:2]} & {*commands}:
        return False
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse_arguments(words[1:])
        except SystemExit:  # how argparse refuses
            return False
    return True


def _without(words: Sequence[str], option: str, values: int) -> list[str]:
    """The words of a command without an option and its values; argparse accepts abbreviated options."""
    kept, skip = [], 0
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip -= 1
        elif len(name) > len("--") and option.startswith(name):
            skip = 0 if equals else values
        else:
            kept.append(word)
    return kept


def _joined(words: Sequence[str]) -> str:
    return shlex.join(map(str, words))


def _comment(value: "JSONValue") -> str:
    """On one line: content of a file must not become a command."""
    if isinstance(value, dict):
        return ", ".join(f"{_comment(name)} {_comment(each)}" for name, each in value.items())
    text = " ".join(str(value).split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _differing(known: Mapping[str, Any], paths: Sequence[Path]) -> bool:
    """Whether one of the sets differs from that of the card; each is reported."""
    differs = False
    for name, found in (item for path in paths for item in _fingerprints(path).items()):
        if name not in known:
            raise DataError(f"{name}: the card knows no such set, only {', '.join(known) or 'none'}")
        same = found["fingerprint"] == known[name]["fingerprint"]
        text = "the same" if same else f"differs: here {_comment(found)}, there {_comment(known[name])}"
        print(f"{name}: {text}", file=sys.stderr)
        differs |= not same
    return differs


def _fingerprints(path: Path) -> dict[str, Any]:
    from asrattn.data import fingerprint, manifest
    from asrattn.training.data import folder as data_folder

    if path.is_dir():
        return data_folder.fingerprints(path)
    return {path.stem: fingerprint.fingerprint_dataset(manifest.read(path))}
