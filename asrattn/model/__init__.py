"""The model: wave -> features -> frames -> logits, and its losses.

The configuration is here and loads no torch; `speech_model` has the network.
"""

from asrattn.model.config import (
    LossConfig,
    ModelConfig,
)

__all__ = [
    "LossConfig",
    "ModelConfig",
]
