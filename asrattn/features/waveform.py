"""The wave itself as a feature type, and normalisation to zero mean and unit variance per utterance."""

from torch import Tensor

from asrattn import lengths

VARIANCE_FLOOR = 1e-7  # added to the variance, as Hugging Face's feature extractors do


def waveform(wave: Tensor, lens: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """wave (B, S), lens (B,) samples -> feats (B, S, 1), 0 on padding, and lens.

    normalize: zero mean and unit variance per utterance, as wav2vec 2.0 wants it (Baevski et al. 2020; the same as
    Wav2Vec2FeatureExtractor with do_normalize).
    """
    feats = wave[:, :, None]
    if normalize:
        feats = standardize(feats, lens)
    return feats.masked_fill(~lengths.mask(lens, wave.shape[1])[:, :, None], 0.0), lens


def standardize(feats: Tensor, lens: Tensor, correction: int = 0) -> Tensor:
    """feats (B, F, M) minus their mean and by their deviation over the real frames, each feature of each utterance for
    itself; 0 on padding. correction: 1 for the unbiased variance."""
    real = lengths.mask(lens, feats.shape[1])[:, :, None]
    count = lens.clamp(min=1)[:, None, None]
    centred = (feats - feats.masked_fill(~real, 0.0).sum(1, keepdim=True) / count).masked_fill(~real, 0.0)
    variance = centred.square().sum(1, keepdim=True) / (count - correction).clamp(min=1)
    return centred / (variance + VARIANCE_FLOOR).sqrt()
