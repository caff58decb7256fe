"""Decoding: greedy and beam search over the scores of decoder, CTC and language models. Independent of the model.

The configuration is here and loads no torch.
"""

from asrattn.decoding.config import DecodingConfig

__all__ = [
    "DecodingConfig",
]
