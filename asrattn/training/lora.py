"""Low-rank adapters (LoRA, DoRA) by peft: added to a model before training, merged into a copy of it to be used."""

import copy
import importlib.util
import logging
from collections.abc import Iterable

import torch
from torch import nn

from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.training import finetune
from asrattn.training.data.sampler import derive_seed
from asrattn.training.recipe import LoRAConfig

log = logging.getLogger(__name__)

ADAPTER = "default"  # peft names each; there is one
ATTENTION = ("attention", "self_attention", "self_attn", "encoder_attn")  # modules that hold projections
PROJECTIONS = (
    *("qkv", "query", "key", "value", "key_value", "out"),
    *("q_proj", "k_proj", "v_proj", "out_proj"),  # of transformers, as below
    *("linear_q", "linear_k", "linear_v", "linear_out"),
)


def add_adapters(model: SpeechModel, config: LoRAConfig, seed: int) -> None:
    """Add adapters to the linear layers in place, and freeze all other weights but those below `config.train`.

    At first the model computes what it computed before, since B is 0. The weights must have been copied. Raises
    ConfigError for a name that no layer or weight has, without a layer to adapt, and if peft is not installed.
    """
    layers = target_layers(model, config.targets)
    trained = finetune.select_weights(model, config.train, "train.lora.train")
    # Not by importing it: as the module of a package, it may be there and broken, which is another error.
    if importlib.util.find_spec("peft") is None:
        raise ConfigError("train.lora: needs peft; pip install asrattn[hf]")
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # a float is as good
        lora_dropout=config.dropout,
        target_modules=layers,
        use_dora=config.kind == "dora",
    )
    torch.manual_seed(derive_seed("lora", seed))
    inject_adapter_in_model(settings, model, ADAPTER)  # freezes all but the adapters
    names = {name.replace(".base_layer.", "."): p for name, p in model.named_parameters()}
    for name in trained:
        names[name].requires_grad_(True)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    log.info("%s of rank %d on %d layers: %.2f M weights to train", *_summary(config, layers), count / 1e6)


def target_layers(model: nn.Module, targets: Iterable[str]) -> list[str]:
    """The names of the linear layers to adapt: those that end with a target, or all projections of attentions."""
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    targets = tuple(targets)
    for target in targets:
        if not any(_ends_with(name, target) for name in linear):
            raise ConfigError(
                f"train.lora.targets: no linear layer is named {target!r}, or ends with it after a dot"
            )
    found = [n for n in linear if any(_ends_with(n, t) for t in targets)] if targets else _projections(linear)
    if not found:
        raise ConfigError(
            "train.lora: the model has no attention projections; name layers in train.lora.targets"
        )
    return found


def merge(model: SpeechModel) -> SpeechModel:
    """A copy of the model in which the adapters are added to the weights: an ordinary model without gradients."""
    from peft.tuners.lora import LoraLayer

    merged = copy.deepcopy(model).requires_grad_(False)
    for name, layer in list(merged.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge(adapter_names=[ADAPTER])
            merged.set_submodule(name, layer.get_base_layer())
    vars(merged).pop("peft_config", None)
    return merged


def _projections(linear: Iterable[str]) -> list[str]:
    places = ((name, name.split(".")) for name in linear)
    return [
        name
        for name, parts in places
        if parts[-1] in PROJECTIONS and len(parts) > 1 and parts[-2] in ATTENTION
    ]


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _summary(config: LoRAConfig, layers: list[str]) -> tuple[str, int, int]:
    return {"lora": "LoRA", "dora": "DoRA"}[config.kind], config.rank, len(layers)
