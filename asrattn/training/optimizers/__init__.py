"""Optimizers: AdamW, Adam, SGD, Muon.

The configuration is here and loads no torch. To add one: write its config, name it in `OptimizerConfig` (both in
`config.py`), and add a case to `build` in `factory.py`.
"""

from asrattn.training.optimizers.config import (
    AdamConfig,
    AdamWConfig,
    MuonConfig,
    OptimizerConfig,
    SGDConfig,
)

__all__ = [
    "AdamConfig",
    "AdamWConfig",
    "MuonConfig",
    "OptimizerConfig",
    "SGDConfig",
]
