"""Features: log-mel, MFCC, spectrogram, and their normalisation (CMVN).

The configuration is here and loads no torch; `extraction` has the module.
"""

from asrattn.features.config import FeatureConfig, FeatureKind, FeatureNormalization

__all__ = [
    "FeatureConfig",
    "FeatureKind",
    "FeatureNormalization",
]
