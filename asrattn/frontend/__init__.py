"""Waves to features.

The configuration is here and loads no torch; `extraction` has the module.
"""

from asrattn.frontend.config import (
    FrontendConfig,
    Kind,
    Normalize,
)

__all__ = [
    "FrontendConfig",
    "Kind",
    "Normalize",
]
