"""Search: what the model scores -> the best token sequences. Functions over protocols; they never touch the model.

The configuration is here and loads no torch.
"""

from asrattn.decoding.config import DecodingConfig

__all__ = [
    "DecodingConfig",
]
