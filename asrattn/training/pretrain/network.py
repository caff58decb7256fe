"""The network of BEST-RQ: front-end and encoder of a speech model, a frozen quantizer, a linear softmax head."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn import lengths
from asrattn.config import check
from asrattn.layers.linear import Linear
from asrattn.model.speech_model import SpeechModel
from asrattn.training.pretrain.config import BestRQConfig
from asrattn.training.pretrain.masking import mask_features
from asrattn.training.pretrain.quantizer import RandomProjectionQuantizer, stack_frames, subsampling_factor


class MaskedBatch(NamedTuple):
    """feats (B, F, M) as they are, masked (B, F, M) with noise in the masked spans, lens (B,).

    predicted (B, F // r): encoder frames to predict, all r feature frames of which are masked.
    """

    feats: Tensor
    masked: Tensor
    lens: Tensor
    predicted: Tensor


class PredictionSums(NamedTuple):
    """Sums over predicted frames and codebooks: cross-entropy in nats, correct predictions, predictions."""

    loss: Tensor
    correct: Tensor
    predictions: Tensor


class BestRQ(nn.Module):
    """`speech` with a BEST-RQ head on its encoder; decoder and CTC head are frozen, and not used.

    Raises ConfigError if a masked span is shorter than an encoder frame, or the encoder has no fixed frame rate.
    """

    def __init__(self, speech: SpeechModel, config: BestRQConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.speech = speech
        for unused in (speech.decoder, speech.ctc):
            assert isinstance(unused, nn.Module)
            unused.requires_grad_(False)
        frontend = speech.config.frontend
        self.factor = subsampling_factor(speech.encoder)
        self.span = round(config.mask_span / frontend.hop)
        check(
            self.span >= self.factor,
            f"bestrq.mask_span must be at least {self.factor * frontend.hop:g} s, the {self.factor} feature frames of "
            "an encoder frame",
        )
        self.quantizer = RandomProjectionQuantizer(config, self.factor * frontend.features, seed)
        self.head = Linear(speech.encoder.dim, config.codebooks * config.codebook_size)

    @torch.no_grad()
    def features(self, wave: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """wave (B, S), wave_lens (B,) -> feats (B, F, M), lens (B,); float32, under autocast too."""
        feats, lens = self.speech.frontend(wave, wave_lens)
        return feats, lens

    def mask(self, feats: Tensor, lens: Tensor, seeds: Sequence[int]) -> MaskedBatch:
        """Mask each utterance by its own seed."""
        masked, where = mask_features(feats, lens, seeds, self.config, self.span)
        whole = stack_frames(where[:, :, None], self.factor).all(-1)
        return MaskedBatch(feats, masked, lens, whole & self.target_mask(lens, whole.shape[1]))

    def target_mask(self, lens: Tensor, size: int) -> Tensor:
        """(B, size): encoder frames that exist, and whose r feature frames are all real."""
        return lengths.mask(torch.minimum(self.speech.encoder.lens(lens), lens // self.factor), size)

    def code_counts(self, feats: Tensor, lens: Tensor) -> Tensor:
        """(N, K): how often each code is the target of a real frame, masked or not."""
        stacked = stack_frames(feats, self.factor)
        codes = self.quantizer(stacked[self.target_mask(lens, stacked.shape[1])])
        K = self.config.codebook_size
        return torch.stack([codes[:, n].bincount(minlength=K) for n in range(codes.shape[1])])

    def forward(self, batch: MaskedBatch) -> PredictionSums:
        """The loss on the masked encoder frames only."""
        encoded = self.speech.encoder(batch.masked, batch.lens)
        T = min(encoded.output.shape[1], batch.predicted.shape[1])
        at = batch.predicted[:, :T]
        targets = self.quantizer(stack_frames(batch.feats, self.factor)[:, :T][at])  # (P, N)
        logits = self.head(encoded.output[:, :T][at]).float()
        logits = logits.view(-1, self.config.codebook_size)  # (P·N, K)
        flat = targets.flatten()
        loss = F.cross_entropy(logits, flat, reduction="sum")
        correct = (logits.detach().argmax(-1) == flat).sum()
        return PredictionSums(loss, correct, flat.new_tensor(len(flat)))
