"""Names of asrattn 0.1 and what they are called now: settings, kinds, commands, flags, and what recipes import.

They keep working in this release. Each use of an old name logs one line with the new one. Version 0.3 drops this
module and its callers. Files written by 0.1 (model files, runs to resume) are read through the same table, silently.
"""

import ast
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

LAST_RELEASE = "0.2"  # the last one that understands these names

SETTINGS: Mapping[str, Mapping[str, str]] = {  # by configuration class
    "AugmentConfig": {"ramp": "warmup", "warp": "vtlp"},
    "DataConfig": {
        "device_seconds": "max_device_seconds",
        "join": "concat_prob",
        "short_first": "sortagrad_epochs",
    },
    "DecodingConfig": {"beam": "beam_size", "candidates": "ctc_pre_beam", "normalize": "length_norm"},
    "ForwardAttentionConfig": {"reach": "max_advance"},
    "LossConfig": {"smoothing": "label_smoothing", "token_noise": "decoder_input_noise"},
    "PlateauConfig": {"shrink": "factor", "watch": "monitor"},
    "Recipe": {"search": "decoding"},
    "SelfAttentionEncoderConfig": {"hidden": "ffn_dim", "rates": "downsampling"},
    "SparseAttentionConfig": {"spread": "global_frames"},
    "TrainConfig": {"average": "average_checkpoints", "skip": "max_nonfinite_steps"},
    "TransformerDecoderConfig": {"hidden": "ffn_dim"},
    "TransformerLMConfig": {"hidden": "ffn_dim"},
}
KINDS = {"stable": "wsd"}
MODULES = {"asrattn.frontend": "asrattn.features", "asrattn.search": "asrattn.decoding"}
CLASSES: Mapping[str, Mapping[str, str]] = {  # that recipes import, by module
    "asrattn.attention": {
        "AdditiveConfig": "AdditiveAttentionConfig",
        "ConcatConfig": "ConcatAttentionConfig",
        "CosineConfig": "CosineAttentionConfig",
        "CoverageConfig": "CoverageAttentionConfig",
        "DotConfig": "DotAttentionConfig",
        "FixedConfig": "FixedContextConfig",
        "ForwardConfig": "ForwardAttentionConfig",
        "GMMConfig": "GMMAttentionConfig",
        "GeneralConfig": "GeneralAttentionConfig",
        "LocationConfig": "LocationAwareAttentionConfig",
        "MonotonicConfig": "MonotonicAttentionConfig",
        "MultiHeadConfig": "MultiHeadAttentionConfig",
    },
    "asrattn.decoding": {"SearchConfig": "DecodingConfig"},
    "asrattn.features": {"FrontendConfig": "FeatureConfig"},
    "asrattn.encoders": {
        "FullConfig": "FullAttentionConfig",
        "LocalConfig": "LocalAttentionConfig",
        "SparseConfig": "SparseAttentionConfig",
    },
    "asrattn.layers": {
        "FullConfig": "FullAttentionConfig",
        "LocalConfig": "LocalAttentionConfig",
        "SparseConfig": "SparseAttentionConfig",
    },
    "asrattn.training.schedule": {"StableConfig": "WSDConfig"},
}
COMMANDS = {"attend": "plot-attention", "search": "sweep", "tune": "tune-decoding"}
FLAGS: Mapping[str, Mapping[str, str]] = {  # by command
    "ablate": {"--over": "--vary", "--judge": "--eval-on"},
    "rover": {"--nothing": "--null-confidence"},
    "train": {"--sharing": "--strategy"},
}
CALLBACKS = {"Averager": "CheckpointAverager", "Keeper": "BestCheckpoint"}  # whose state a checkpoint holds

_SELF_ATTENTION_ENCODERS = ("TransformerEncoderConfig", "ConformerConfig", "EBranchformerConfig")
_STILL_USED = {"normalize"}  # by another class: in replace(…) it may be either


def warn(old: str, new: str, where: str = "") -> None:
    """Log one use of an old name, at `where` if that is known."""
    place = f"{where}: " if where else ""
    log.warning("%s%s is now called %s; the old name works until asrattn %s", place, old, new, LAST_RELEASE)


def current_setting(config: type, name: str) -> str | None:
    """The new name of a setting of a configuration class; None if `name` is not an old one."""
    return next(
        (SETTINGS[c.__name__][name] for c in config.__mro__ if name in SETTINGS.get(c.__name__, {})), None
    )


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line in which old commands and flags are replaced, each with a warning."""
    current = list(arguments)
    at = next((i for i, word in enumerate(current) if not word.startswith("-")), None)
    if at is None:
        return current
    if new := COMMANDS.get(current[at]):
        warn(f"asrattn {current[at]}", f"asrattn {new}")
        current[at] = new
    flags = FLAGS.get(current[at], {})
    end = current.index("--") if "--" in current else len(current)
    for i, word in enumerate(current[at + 1 : end], at + 1):
        flag, equals, value = word.partition("=")
        if flag in flags:
            warn(flag, flags[flag])
            current[i] = flags[flag] + equals + value
    return current


def current_callbacks(states: Mapping[str, Any]) -> dict[str, Any]:
    """The states of callbacks in a checkpoint, under the new names of their classes."""
    return {CALLBACKS.get(name, name): state for name, state in states.items()}


class RecipeRenamer(ast.NodeTransformer):
    """Replaces old modules, classes and settings in the syntax tree of a recipe; warns with file and line.

    What only running the recipe would show (a class in a variable, keywords in a dictionary) stays; `explain` says then
    how it is called now.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._classes: dict[str, str] = {}  # what the recipe calls a class -> its new name
        self._recipes: set[str] = set()  # names of RECIPE, of another file
        self._replace = {"dataclasses.replace"}  # names of that function

    def visit_Import(self, node: ast.Import) -> ast.Import:
        for alias in node.names:
            if alias.name == "dataclasses":
                self._replace.add(f"{alias.asname or alias.name}.replace")
            elif alias.asname and (new := current_module(alias.name)) != alias.name:
                self._warn(node, alias.name, new)
                alias.name = new
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        module = current_module(node.module or "")
        if module != node.module and node.module:
            self._warn(node, node.module, module)
            node.module = module
        classes = {
            old: new
            for package, names in CLASSES.items()
            if within(module, package)
            for old, new in names.items()
        }
        for alias in node.names:
            local = alias.asname or alias.name
            if alias.name in classes:
                self._warn(node, alias.name, classes[alias.name])
                alias.asname, alias.name = local, classes[alias.name]
            self._classes[local] = alias.name
            if alias.name == "RECIPE":
                self._recipes.add(local)
            if (module, alias.name) == ("dataclasses", "replace"):
                self._replace.add(local)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        function = ast.unparse(node.func)
        for keyword in node.keywords:
            if new := self._current_keyword(function, keyword.arg or ""):
                self._warn(keyword.value, f"{function}({keyword.arg}=…)", new)
                keyword.arg = new
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        """RECIPE.search, of a recipe that is imported from another file."""
        self.generic_visit(node)
        if node.attr == "search" and isinstance(node.value, ast.Name) and node.value.id in self._recipes:
            self._warn(node, f"{node.value.id}.search", "decoding")
            node.attr = "decoding"
        return node

    def _current_keyword(self, function: str, keyword: str) -> str | None:
        if function in self._replace and keyword not in _STILL_USED:  # only running it would tell the class
            return next((names[keyword] for names in SETTINGS.values() if keyword in names), None)
        name = self._classes.get(function, function)
        base = "SelfAttentionEncoderConfig" if name in _SELF_ATTENTION_ENCODERS else name
        return SETTINGS.get(base, {}).get(keyword)

    def _warn(self, node: ast.AST, old: str, new: str) -> None:
        warn(old, new, f"{self.path}:{getattr(node, 'lineno', 0)}")


def current_module(name: str) -> str:
    """The new name of a module that recipes import, or `name` itself."""
    return next((new + name[len(old) :] for old, new in MODULES.items() if within(name, old)), name)


def explain(message: str) -> str:
    """What to add to the message of an error in a recipe: the new names of the old ones that it quotes, or nothing."""
    quoted = set(re.findall(r"'([\w.]+)'", message))
    names = {
        old: new for table in (*CLASSES.values(), *SETTINGS.values(), MODULES) for old, new in table.items()
    }
    found = [f"{old} is now called {names[old]}" for old in sorted(quoted & names.keys())]
    return f"; {', '.join(found)}" if found else ""


def within(module: str, package: str) -> bool:
    """Whether a module is the package or a part of it."""
    return module == package or module.startswith(f"{package}.")
