"""The interface of every encoder, and `build`.

Adding one: write its config and name it in `EncoderConfig`, both in `config.py`; write its module in a file of its own;
add a case to `build`.
"""

from functools import partial
from typing import Protocol

from torch import Tensor

from asrattn.encoders.branchformer import EBranchformerLayer
from asrattn.encoders.config import (
    CNNEncoderConfig,
    ConformerConfig,
    EBranchformerConfig,
    EncoderConfig,
    GRUEncoderConfig,
    LSTMEncoderConfig,
    PretrainedEncoderConfig,
    RNNEncoderConfig,
    TransformerEncoderConfig,
    WhisperEncoderConfig,
)
from asrattn.encoders.conformer import ConformerLayer
from asrattn.encoders.convolutional import CNNEncoder
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.pretrained import PretrainedEncoder
from asrattn.encoders.recurrent import RecurrentEncoder
from asrattn.encoders.self_attention_encoder import SelfAttentionEncoder
from asrattn.encoders.transformer import TransformerEncoderLayer
from asrattn.encoders.whisper import WhisperEncoder


class Encoder(Protocol):
    """`dim` is D, the size of a frame it puts out."""

    dim: int

    def lens(self, feat_lens: Tensor) -> Tensor:
        """How many frames come out for so many feature frames: (B,) -> (B,)."""
        ...

    def __call__(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        """feats (B, F, M), lens (B,) -> frames (B, T, D) with their lengths; frames of padding are zero."""
        ...


def build(config: EncoderConfig, features: int) -> Encoder:
    """The encoder of a configuration, for feats (B, F, features)."""
    match config:
        case RNNEncoderConfig() | GRUEncoderConfig() | LSTMEncoderConfig():
            return RecurrentEncoder(config, features)
        case CNNEncoderConfig():
            return CNNEncoder(config, features)
        case TransformerEncoderConfig():
            return SelfAttentionEncoder(config, features, partial(TransformerEncoderLayer, config))
        case ConformerConfig():
            return SelfAttentionEncoder(config, features, partial(ConformerLayer, config))
        case EBranchformerConfig():
            return SelfAttentionEncoder(config, features, partial(EBranchformerLayer, config))
        case PretrainedEncoderConfig():
            return PretrainedEncoder(config, features)
        case WhisperEncoderConfig():
            return WhisperEncoder(config, features)
