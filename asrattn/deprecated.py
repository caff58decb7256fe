"""Names of asrattn 0.1 and what they are called now: settings, kinds, commands, flags, and what recipes import.

They keep working in this release. Each use of an old name logs one line with the new one. Version 0.3 drops this
module and its callers. Files written by 0.1 (model files, runs to resume) are read through the same table, silently.
"""

import ast
import logging
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
    for i, word in enumerate(current[at + 1 :], at + 1):
        flag, equals, value = word.partition("=")
        if flag in flags:
            warn(flag, flags[flag])
            current[i] = flags[flag] + equals + value
    return current


def current_callbacks(states: Mapping[str, Any]) -> dict[str, Any]:
    """The states of callbacks in a checkpoint, under the new names of their classes."""
    return {CALLBACKS.get(name, name): state for name, state in states.items()}


class RecipeRenamer(ast.NodeTransformer):
    """Replaces old modules, classes and settings in the syntax tree of a recipe; warns with file and line."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._classes: dict[str, str] = {}  # what the recipe calls a class -> its new name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        module = node.module or ""
        if module in MODULES:
            self._warn(node, module, MODULES[module])
            node.module = module = MODULES[module]
        classes = {
            old: new
            for prefix, names in CLASSES.items()
            if within(module, prefix)
            for old, new in names.items()
        }
        for alias in node.names:
            local = alias.asname or alias.name
            if alias.name in classes:
                self._warn(node, alias.name, classes[alias.name])
                alias.asname, alias.name = local, classes[alias.name]
            self._classes[local] = alias.name
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        for keyword in node.keywords:
            new = self._current_keyword(self._classes.get(function, function), keyword.arg or "")
            if new:
                self._warn(keyword.value, f"{function}({keyword.arg}=…)", new)
                keyword.arg = new
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        """RECIPE.search, of a recipe that is taken from another file."""
        self.generic_visit(node)
        if node.attr == "search" and isinstance(node.value, ast.Name):
            self._warn(node, f"{node.value.id}.search", "decoding")
            node.attr = "decoding"
        return node

    def _current_keyword(self, function: str, keyword: str) -> str | None:
        if function == "replace" and keyword not in _STILL_USED:  # only running it would tell the class
            return next((names[keyword] for names in SETTINGS.values() if keyword in names), None)
        base = "SelfAttentionEncoderConfig" if function in _SELF_ATTENTION_ENCODERS else function
        return SETTINGS.get(base, {}).get(keyword)

    def _warn(self, node: ast.AST, old: str, new: str) -> None:
        warn(old, new, f"{self.path}:{getattr(node, 'lineno', 0)}")


def within(module: str, package: str) -> bool:
    """Whether a module is the package or a part of it."""
    return module == package or module.startswith(f"{package}.")
