"""Layers shared by encoders and decoders: one file for each kind."""

from asrattn.layers.cache import Cache, Nodes
from asrattn.layers.convolution import Convolution, Depthwise
from asrattn.layers.dropout import Dropout, rows
from asrattn.layers.embedding import TokenEmbedding, causal
from asrattn.layers.feed_forward import FeedForward
from asrattn.layers.gemm_backend import GemmBackends, gemm_backends, use_gemm_backends
from asrattn.layers.linear import Linear, lay_in_columns, project
from asrattn.layers.norm import BatchNorm, Norm, PerFrame, norm, normalized
from asrattn.layers.positions import AddedPositions, FramePositions, Positions, rotate, sinusoids
from asrattn.layers.reach import FullConfig, LocalConfig, Reach, SparseConfig
from asrattn.layers.recurrent import run_recurrent
from asrattn.layers.self_attention import SelfAttention

__all__ = [
    "AddedPositions",
    "BatchNorm",
    "Cache",
    "Convolution",
    "Depthwise",
    "Dropout",
    "FeedForward",
    "FramePositions",
    "FullConfig",
    "GemmBackends",
    "Linear",
    "LocalConfig",
    "Nodes",
    "Norm",
    "PerFrame",
    "Positions",
    "Reach",
    "SelfAttention",
    "SparseConfig",
    "TokenEmbedding",
    "causal",
    "gemm_backends",
    "lay_in_columns",
    "norm",
    "normalized",
    "project",
    "rotate",
    "rows",
    "run_recurrent",
    "sinusoids",
    "use_gemm_backends",
]
