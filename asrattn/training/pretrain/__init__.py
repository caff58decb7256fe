"""Self-supervised pre-training of an encoder by BEST-RQ (Chiu et al. 2022), without transcripts.

The configuration is here and loads no torch; `fit` has the training.
"""

from asrattn.training.pretrain.config import BestRQConfig

__all__ = ["BestRQConfig"]
