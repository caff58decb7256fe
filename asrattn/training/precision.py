"""Mixed precision of training: fp32, bf16 or fp16; whether the processor multiplies bf16 natively."""

import logging

import torch

from asrattn.errors import ConfigError
from asrattn.training.recipe import Precision

log = logging.getLogger(__name__)

LIGHTNING_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def resolve_precision(configured: Precision, requested: Precision | None, accelerator: str) -> Precision:
    """The requested precision, else the recipe's if this hardware supports it natively, else fp32.

    Raises ConfigError for fp16 without a GPU.
    """
    chosen = requested or configured
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if chosen == "fp16" and (on_cpu or not torch.cuda.is_available()):
        raise ConfigError("--precision fp16: needs a GPU; use bf16, or fp32")
    if chosen == "bf16" and not requested and on_cpu and not has_native_bf16():
        log.info("this processor has no native bf16: using fp32; --precision bf16 overrides")
        return "fp32"
    return chosen


def has_native_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware. If not, as in most laptops, a bf16 product takes up to seven
    times as long as one in fp32."""
    able = torch.cpu.get_capabilities()  # avx512_bf16, amx_bf16, and the like of other makers
    if not any(has for name, has in able.items() if name.endswith("bf16")):
        return False
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
