"""Search: what the model scores -> the best token sequences. Functions over protocols; they never touch the model.

The configuration is here and loads no torch.
"""

from asrattn.search.config import (
    SearchConfig,
)

__all__ = [
    "SearchConfig",
]
