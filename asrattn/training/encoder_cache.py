"""Encoder outputs of a frozen encoder, kept in memory between epochs."""

import torch
from torch import Tensor

from asrattn.encoders.output import EncoderOutput
from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.training.data.sampler import Batch
from asrattn.training.recipe import Recipe

BYTES_PER_VALUE = 2  # half precision


def is_keepable(recipe: Recipe) -> bool:
    """Whether the outputs of the encoder in training are kept. With a teacher, whose outputs are kept in any case,
    those that change are computed each time. Without one, raises ConfigError if they change."""
    if not recipe.data.keep_encoded:
        return False
    obstacle = _find_change(recipe)
    if obstacle and not recipe.loss.needs_teacher:
        raise ConfigError(
            f"data.keep_encoded keeps encoder outputs, which must not change: {obstacle}, or keep none"
        )
    return not obstacle


def _find_change(recipe: Recipe) -> str:
    """What to do about the first setting that changes the encoder outputs during the run; "" if none does."""
    remedies = {
        "set train.freeze=encoder": "encoder" not in recipe.train.freeze,
        "set train.freeze_updates=0": recipe.train.freeze_updates,
        "switch the augmentation off (AugmentConfig.off())": not recipe.augment.is_off,
        "set data.concat_prob=0": recipe.data.concat_prob,
        "set loss.consistency=0": recipe.loss.consistency,
        "set loss.inter_ctc=0": recipe.loss.inter_ctc,
    }
    return next((remedy for remedy, needed in remedies.items() if needed), "")


class EncoderCache:
    """Outputs by utterance, up to a number of bytes; beyond it they are computed again.

    Each utterance is encoded alone, so that a resumed run computes the same numbers.
    """

    def __init__(self, gigabytes: float) -> None:
        self._room = gigabytes * 1e9
        self._kept: dict[tuple[str, str, float | None], Tensor] = {}  # (T, D) each

    @torch.no_grad()
    def encode(self, model: SpeechModel, batch: Batch) -> EncoderOutput:
        """The encoder output of a batch, rounded to half precision; `middle` is None."""
        device = batch.wave.device
        rows = [self._row(model, batch, b) for b in range(len(batch.utterances))]
        lens = torch.tensor([len(row) for row in rows], device=device)
        output = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device).float()
        return EncoderOutput(output, lens, None)

    def _row(self, model: SpeechModel, batch: Batch, b: int) -> Tensor:
        utterance = batch.utterances[b]
        key = utterance.id, utterance.audio, utterance.start  # train and dev may have the same ids
        if key in self._kept:
            return self._kept[key]
        lens = batch.wave_lens[b : b + 1]
        training = model.training
        model.eval()  # dropout would change the outputs
        encoded = model.encode(batch.wave[b : b + 1, : int(lens)], lens)
        model.train(training)
        row = encoded.output[0, : int(encoded.lens)].half().cpu()
        if row.numel() * BYTES_PER_VALUE <= self._room:
            self._room -= row.numel() * BYTES_PER_VALUE
            self._kept[key] = row
        return row
