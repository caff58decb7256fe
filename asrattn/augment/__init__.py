"""Augmentation of waves and features.

The configuration is here and loads no torch; `transforms` has the module.
"""

from asrattn.augment.config import (
    AugmentConfig,
)

__all__ = [
    "AugmentConfig",
]
