"""Configuration of BEST-RQ: the random-projection quantizer and the masks."""

from dataclasses import dataclass

from asrattn.config import check


@dataclass(frozen=True)
class BestRQConfig:
    """BEST-RQ (Chiu et al. 2022): predict the codes of masked frames, given by a frozen random quantizer.

    codebook_size  codes of a codebook; 8192 in the paper, which trains on 60,000 h
    codebook_dim   dimension of the projected frames and of the codes
    codebooks      independent quantizers; each has its own softmax, and the loss is their mean
    mask_prob      probability that a masked span starts at a feature frame; spans may overlap
    mask_span      length of a masked span in seconds
    noise_std      masked features are drawn from N(0, noise_std²); features have mean 0 and deviation 1
    """

    codebook_size: int = 1024
    codebook_dim: int = 16
    codebooks: int = 1
    mask_prob: float = 0.01
    mask_span: float = 0.4
    noise_std: float = 0.1

    def __post_init__(self) -> None:
        check(self.codebook_size >= 2, "bestrq.codebook_size must be at least 2")
        check(self.codebook_dim >= 1, "bestrq.codebook_dim must be at least 1")
        check(self.codebooks >= 1, "bestrq.codebooks must be at least 1")
        check(0 < self.mask_prob < 1, "bestrq.mask_prob must lie between 0 and 1")
        check(self.mask_span > 0, "bestrq.mask_span must be above 0")
        check(self.noise_std >= 0, "bestrq.noise_std must not be negative")
