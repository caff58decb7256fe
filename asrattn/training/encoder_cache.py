"""Encoder outputs of a frozen encoder, kept in memory between epochs."""

import torch
from torch import Tensor

from asrattn.config import check
from asrattn.encoders.output import EncoderOutput
from asrattn.model.speech_model import SpeechModel
from asrattn.training.data.sampler import Batch
from asrattn.training.recipe import Recipe

BYTES_PER_VALUE = 2  # half precision


def check_keepable(recipe: Recipe) -> None:
    """Raises ConfigError if the encoder outputs that are kept would change."""
    if recipe.loss.needs_teacher or not recipe.data.keep_encoded:
        return
    needs = "data.keep_encoded keeps encoder outputs, which must not change:"
    check("encoder" in recipe.train.freeze, f"{needs} set train.freeze=encoder, or keep none")
    check(not recipe.train.freeze_updates, f"{needs} set train.freeze_updates=0, or keep none")
    check(recipe.augment.is_off, f"{needs} switch the augmentation off (AugmentConfig.off()), or keep none")
    check(not recipe.data.concat_prob, f"{needs} set data.concat_prob=0, or keep none")
    check(not recipe.loss.consistency, f"{needs} set loss.consistency=0, or keep none")
    check(not recipe.loss.inter_ctc, f"{needs} set loss.inter_ctc=0, or keep none")


class EncoderCache:
    """Outputs by utterance id, up to a number of bytes; beyond it they are computed again.

    Each utterance is encoded alone, so that a resumed run computes the same numbers.
    """

    def __init__(self, gigabytes: float) -> None:
        self._room = gigabytes * 1e9
        self._kept: dict[str, Tensor] = {}  # (T, D) each

    @torch.no_grad()
    def encode(self, model: SpeechModel, batch: Batch) -> EncoderOutput:
        """The encoder output of a batch, rounded to half precision; `middle` is None."""
        device = batch.wave.device
        rows = [self._row(model, batch, b) for b in range(len(batch.utterances))]
        lens = torch.tensor([len(row) for row in rows], device=device)
        output = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device).float()
        return EncoderOutput(output, lens, None)

    def _row(self, model: SpeechModel, batch: Batch, b: int) -> Tensor:
        name = batch.utterances[b].id
        if name in self._kept:
            return self._kept[name]
        lens = batch.wave_lens[b : b + 1]
        training = model.training
        model.eval()  # dropout would change the outputs
        encoded = model.encode(batch.wave[b : b + 1, : int(lens)], lens)
        model.train(training)
        row = encoded.output[0, : int(encoded.lens)].half().cpu()
        if row.numel() * BYTES_PER_VALUE <= self._room:
            self._room -= row.numel() * BYTES_PER_VALUE
            self._kept[name] = row
        return row
