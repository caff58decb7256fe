"""Recipe: the configuration of a training run as one frozen value in a Python file."""

import ast
import difflib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Literal, TypeVar

from asrattn import deprecated
from asrattn.augment import AugmentConfig
from asrattn.config import check
from asrattn.decoding import DecodingConfig
from asrattn.errors import ConfigError
from asrattn.model import LossConfig, ModelConfig
from asrattn.text import CharConfig, TokenizerConfig
from asrattn.training.optimizers import AdamWConfig, OptimizerConfig
from asrattn.training.schedule import CosineConfig, ScheduleConfig

R = TypeVar("R")
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class DataConfig:
    """Data: tokenizer, bucketing into batches, curriculum, workers, cache.

    batch_seconds       maximum audio of a step in seconds, padding included, of all processes together
    batch_utterances    maximum number of utterances of a step, beside batch_seconds; 0 is no limit. For models that pad
                        every utterance to one length
    max_device_seconds  maximum audio of a micro-batch: a larger step accumulates gradients; 0 is no limit
    max_seconds         longer training utterances are dropped (and reported); likewise shorter than min_seconds
    concat_prob         fraction of training utterances concatenated to pairs of one speaker, drawn anew for each
                        epoch; needs the corpus in the cache
    sortagrad_epochs    first epochs in which short utterances come first (SortaGrad, Amodei et al. 2016); for attention
                        that does not converge
    workers             processes that read audio, at most one for each usable core; 0 reads in the training process,
                        best if the cache holds everything
    cache               gigabytes of decoded audio to keep in memory; a corpus that does not fit is read from disk
    window              shards whose utterances are shuffled together; all processes together keep one in memory
    keep_encoded        gigabytes of encoder outputs to keep in memory, in half precision, while the whole encoder is
                        frozen and nothing is augmented: from the second epoch on only the decoder is computed; 0 keeps
                        none
    """

    tokens: TokenizerConfig = field(default_factory=CharConfig)
    batch_seconds: float = 25.0
    batch_utterances: int = 0
    max_device_seconds: float = 0.0
    max_seconds: float = 30.0
    min_seconds: float = 0.1
    concat_prob: float = 0.0
    sortagrad_epochs: int = 0
    workers: int = 0
    cache: float = 2.0
    window: int = 8
    keep_encoded: float = 0.0

    def __post_init__(self) -> None:
        check(self.batch_seconds > 0, "data.batch_seconds must be above 0")
        check(
            0 < self.min_seconds < self.max_seconds,
            "data.min_seconds must lie between 0 and data.max_seconds",
        )
        check(self.batch_utterances >= 0, "data.batch_utterances must not be negative")
        check(self.max_device_seconds >= 0, "data.max_device_seconds must not be negative")
        check(0 <= self.concat_prob <= 1, "data.concat_prob must lie between 0 and 1")
        check(self.sortagrad_epochs >= 0, "data.sortagrad_epochs must not be negative")
        check(self.workers >= 0, "data.workers must not be negative")
        check(self.cache >= 0, "data.cache must not be negative")
        check(self.window >= 1, "data.window must be at least 1")
        check(self.keep_encoded >= 0, "data.keep_encoded must not be negative")


@dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapters (LoRA, Hu et al. 2022; DoRA, Liu et al. 2024): W + alpha / rank · B A, of which only A and B
    are trained. They are merged into the model file. Needs `pip install asrattn[hf]`.

    kind     dora also trains the norm of each row of W
    rank     of B A
    dropout  on the input of A
    targets  linear layers that are adapted: names, or endings of names after a dot, such as attention.qkv; empty: the
             projections of every attention
    train    weights that are trained beside the adapters: names, or their prefixes, such as ctc
    """

    kind: Literal["lora", "dora"] = "lora"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    train: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self.rank >= 1, "lora.rank must be at least 1")
        check(self.alpha > 0, "lora.alpha must be above 0")
        check(0 <= self.dropout < 1, "lora.dropout must lie in [0, 1)")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation, early stopping, checkpoints, validation.

    epochs               passes over the training set
    updates              at least so many updates, in whole epochs, instead of `epochs`; 0 counts epochs. With few
                         recordings an epoch is a few updates: then it is validated 40 times at most
    optimizer            with the peak learning rate
    schedule             learning-rate schedule: the factor of that rate along the run
    clip                 maximum gradient norm; 0 does not clip
    ema                  decay of the moving average of the weights, which is validated and saved; 0 is off
    layer_decay          layer-wise learning-rate decay (Howard & Ruder 2018): the factor of the rate from one layer
                         to the one below; 1 is off
    freeze               weights that are not trained: names, or their prefixes, such as encoder.layers.0
    freeze_updates       updates after which they are trained; 0 never trains them
    lora                 adapters to train instead of the weights; none is off
    average_checkpoints  number of checkpoints that are averaged at the end; 1 averages none
    average_of           the checkpoints with the best WER, or the last
    max_nonfinite_steps  steps in all that may be skipped for a non-finite loss; one more ends the run
    save_minutes         between two resume checkpoints within an epoch
    validate_every       epochs between validations
    validate_beam        beam size of the decoding on dev
    normalize            normaliser of both texts before the WER of a validation: none, lower, plain, basic, english
    validate_start       validate before the first update too; the model file holds the start until a better one
    patience             early stopping: after so many validations without a better WER; 0 is off
    patience_start       updates before early stopping counts: the CTC loss stays on a plateau for the first 400–700
    samples              hypotheses logged with every validation
    scale_to_data        choose epochs and batches by the number of training utterances, for fine-tuning; see
                         `data_scaling`
    """

    epochs: int = 100
    updates: int = 0
    optimizer: OptimizerConfig = field(default_factory=AdamWConfig)
    schedule: ScheduleConfig = field(default_factory=CosineConfig)
    clip: float = 5.0
    ema: float = 0.998
    layer_decay: float = 1.0
    freeze: tuple[str, ...] = ()
    freeze_updates: int = 0
    lora: LoRAConfig | None = None
    average_checkpoints: int = 1
    average_of: Literal["best", "last"] = "best"
    precision: Precision = "bf16"
    max_nonfinite_steps: int = 0
    save_minutes: float = 10.0
    validate_every: int = 1
    validate_beam: int = 4
    normalize: Literal["none", "lower", "plain", "basic", "turkish", "english"] = "none"
    validate_start: bool = False
    patience: int = 0
    patience_start: int = 2000
    samples: int = 3
    scale_to_data: bool = False

    def __post_init__(self) -> None:
        check(0 <= self.ema < 1, "train.ema must lie in [0, 1)")
        check(0 < self.layer_decay <= 1, "train.layer_decay must lie in (0, 1]")
        check(
            bool(self.freeze) or not self.freeze_updates,
            "train.freeze_updates: nothing is frozen; name the weights in train.freeze",
        )
        for name in ("epochs", "average_checkpoints", "validate_every", "validate_beam"):
            check(getattr(self, name) >= 1, f"train.{name} must be at least 1")
        check(
            not (self.updates and self.scale_to_data),
            "train.updates: train.scale_to_data chooses them; add --set train.scale_to_data=false",
        )
        for name in ("updates", "clip", "freeze_updates", "max_nonfinite_steps", "save_minutes"):
            check(getattr(self, name) >= 0, f"train.{name} must not be negative")
        for name in ("patience", "patience_start", "samples"):
            check(getattr(self, name) >= 0, f"train.{name} must not be negative")


InitPart = Literal["frontend", "encoder", "decoder", "ctc"]


@dataclass(frozen=True)
class InitConfig:
    """What a run takes, architecture and weights, from the model file that --init names.

    parts           the parts taken, with the decoder also the tokenizer; the others are the recipe's, untrained
    settings        of the taken parts that are changed, as --set writes them: model.encoder.silence_samples=64
    decoder_layers  layers of the decoder that are taken, from the lowest on, counted from 0; -1 is the last, -2 the one
                    below it; () takes all
    resolved        whether the recipe has the architecture of the parts already
    """

    parts: tuple[InitPart, ...] = ("frontend", "encoder", "decoder", "ctc")
    settings: tuple[str, ...] = ()
    decoder_layers: tuple[int, ...] = ()
    resolved: bool = False

    def __post_init__(self) -> None:
        check(bool(self.parts), "init.parts: name at least one part, such as frontend,encoder")
        takes = not self.decoder_layers or "decoder" in self.parts
        check(takes, "init.decoder_layers: the decoder is not taken; add it to init.parts")


@dataclass(frozen=True)
class Recipe:
    """A training run as a value; `Recipe.load(path)` takes it from the variable RECIPE of a Python file.

    model: the parts that come from another model replace those here.
    init: the parts that come from a pre-trained model; None: the model is the recipe's own, and --init names one of the
    same architecture.
    """

    name: str
    model: ModelConfig
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    init: InitConfig | None = None

    def __post_init__(self) -> None:
        bytes_alone = self.model.ctc_labels == "bytes" and self.decoding.ctc == 1
        check(not bytes_alone, 'decoding.ctc must be below 1 with model.ctc_labels="bytes"')
        self.augment.check_fits(self.model.frontend.kind)
        taken = self.init.decoder_layers if self.init and self.init.resolved else ()
        check(
            len(taken) in (0, self.model.decoder.layers),
            f"model.decoder.layers is {self.model.decoder.layers}, but init.decoder_layers names {len(taken)} layers; "
            "change init.decoder_layers alone",
        )

    @staticmethod
    def load(path: Path) -> "Recipe":
        """The RECIPE of a Python file, which is executed.

        Raises ConfigError with file and line for a missing file, an error in it, a misspelt setting (with a
        suggestion) or a RECIPE that is missing or not a Recipe.
        """
        return load_recipe(Path(path), Recipe)


_RECIPE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load_recipe(path: Path, *kinds: type[R]) -> R:
    """As `Recipe.load`, for a RECIPE of one of these kinds; messages name the first."""
    kind = kinds[0]
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ConfigError(f"{path}: {what}; name a recipe such as recipes/an4/lstm.py")
    try:
        recipe = getattr(_run(path), "RECIPE", None)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}:{_line(path, error)}: {error}") from None
    except SystemExit:
        raise ConfigError(f"{path}: ends the program; a recipe only sets RECIPE") from None
    except _RECIPE_ERRORS as error:
        raise ConfigError(f"{path}:{_line(path, error)}: {_explain(error)}") from None
    if recipe is None:
        raise ConfigError(f"{path}: sets no variable RECIPE; write RECIPE = {kind.__name__}(...)")
    if not isinstance(recipe, kinds):
        raise ConfigError(f"{path}: RECIPE is a {type(recipe).__name__}; write RECIPE = {kind.__name__}(...)")
    return recipe


class _RecipeLoader(SourceFileLoader):
    """Runs a recipe in which deprecated names are replaced; leaves no byte code beside it."""

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(self.get_data(self.path), self.path)
        return compile(deprecated.RecipeRenamer(self.path).visit(tree), self.path, "exec")


def _run(path: Path) -> ModuleType:
    loader = _RecipeLoader("recipe", str(path))
    module = ModuleType("recipe")
    module.__file__ = str(path)
    outer = sys.modules.get("recipe")  # a recipe may load another one
    sys.modules["recipe"] = module  # for dataclasses that a recipe defines
    try:
        loader.exec_module(module)
    finally:
        del sys.modules["recipe"]
        if outer:
            sys.modules["recipe"] = outer
    return module


def _line(path: Path, error: BaseException) -> int:
    """The line of the recipe that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == str(path)), 0)


def _explain(error: Exception) -> str:
    """One line; for a misspelt setting with a suggestion, for a deprecated name with the new one."""
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    new = deprecated.explain(message)
    callee, found, rest = message.partition(".__init__() got an unexpected keyword argument ")
    if not found:
        return message + new
    wrong = rest.split("'")[1]
    fields = next((list(c.__dataclass_fields__) for c in _configs(error) if c.__name__ == callee), [])
    meant = difflib.get_close_matches(wrong, fields, n=1, cutoff=0.5)
    known = f"; known are {', '.join(fields)}" if fields else ""
    hint = new or (f"; did you mean {meant[0]}?" if meant else known)
    return f"{callee} has no setting {wrong!r}{hint}"


def _configs(error: BaseException) -> Iterator[Any]:
    """The dataclasses visible in the recipe: its own names, and those of the modules it imports."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    names = list(frame.tb_frame.f_globals.values()) if frame else []
    for value in names:
        yield from (
            v for v in (vars(value).values() if isinstance(value, ModuleType) else (value,)) if _is_config(v)
        )


def _is_config(value: object) -> bool:
    return isinstance(value, type) and hasattr(value, "__dataclass_fields__")
