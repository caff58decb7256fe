"""Random-projection quantizer (BEST-RQ, Chiu et al. 2022): feature frames -> codes, never trained."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.encoders.interface import Encoder
from asrattn.errors import ConfigError
from asrattn.training.data.sampler import derive_seed
from asrattn.training.pretrain.config import BestRQConfig

_PROBE_FRAMES = 4096  # long enough for every encoder, and a multiple of all factors


class RandomProjectionQuantizer(nn.Module):
    """argmin_k ‖c_k/‖c_k‖ − Ax/‖Ax‖‖: A is Xavier-uniform, c_k ~ N(0, I); both are frozen and drawn from the seed.

    N codebooks, K codes each.
    """

    projection: Tensor  # (N, inputs, codebook_dim)
    codes: Tensor  # (N, K, codebook_dim), l2-normalised

    def __init__(self, config: BestRQConfig, inputs: int, seed: int) -> None:
        super().__init__()
        N, K, d = config.codebooks, config.codebook_size, config.codebook_dim
        generator = torch.Generator().manual_seed(derive_seed("quantizer", seed))
        bound = math.sqrt(6 / (inputs + d))
        projection = bound * (2 * torch.rand(N, inputs, d, generator=generator) - 1)
        codes = F.normalize(torch.randn(N, K, d, generator=generator), dim=-1)
        self.register_buffer("projection", projection)
        self.register_buffer("codes", codes)

    @torch.no_grad()
    def forward(self, stacked: Tensor) -> Tensor:
        """stacked (…, inputs) -> codes (…, N), int64. In float32, under autocast too."""
        with torch.autocast(stacked.device.type, enabled=False):
            projected = torch.einsum("...i,nid->...nd", stacked.float(), self.projection)
            # Of unit vectors the nearest is the one with the largest product. ‖Ax‖ > 0 does not change which it is.
            return torch.einsum("...nd,nkd->...nk", projected, self.codes).argmax(-1)


@dataclass(frozen=True)
class CodebookUsage:
    """How evenly codes are used, mean over the codebooks.

    majority    share of the most frequent code: the accuracy of always predicting it
    largest     the largest such share of any codebook
    used        fraction of the codes that occur
    entropy     of the codes, in nats: the loss of a model that knows their shares and nothing else (the prior)
    perplexity  exp of the entropy; `codebook_size` if all are equally frequent
    """

    majority: float
    largest: float
    used: float
    entropy: float
    perplexity: float

    @staticmethod
    def of(counts: Tensor) -> "CodebookUsage":
        """counts (N, K): how often each code occurs."""
        shares = counts.double() / counts.sum(-1, keepdim=True).clamp(min=1)
        top = shares.amax(-1)
        entropy = -torch.special.xlogy(shares, shares).sum(-1)
        return CodebookUsage(
            float(top.mean()),
            float(top.max()),
            float((counts > 0).double().mean()),
            float(entropy.mean()),
            float(entropy.exp().mean()),
        )


UNKNOWN_USAGE = CodebookUsage(*[math.nan] * 5)


def subsampling_factor(encoder: Encoder) -> int:
    """r: feature frames for one encoder frame; encoder frame t begins at feature frame r·t.

    Raises ConfigError for an encoder whose frame rate is not a fixed fraction of that of the features.
    """
    lens = encoder.lens(torch.arange(_PROBE_FRAMES, 2 * _PROBE_FRAMES + 1))
    steps = lens[1:] - lens[:-1]
    factor = _PROBE_FRAMES // max(1, int(lens[-1] - lens[0]))
    if not torch.equal(lens[factor:] - lens[:-factor], torch.ones_like(lens[factor:])) or steps.amax() > 1:
        raise ConfigError(
            "model.encoder: its frames are not a fixed number of feature frames, which BEST-RQ needs; "
            "take another encoder"
        )
    return factor


def stack_frames(feats: Tensor, factor: int) -> Tensor:
    """feats (B, F, M) -> (B, F // factor, factor·M): row t holds the frames factor·t … factor·t + factor - 1."""
    B, frames, M = feats.shape
    whole = frames // factor
    return feats[:, : whole * factor].reshape(B, whole, factor * M)
