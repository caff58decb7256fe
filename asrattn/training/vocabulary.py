"""Which weights have a row for each token."""

import torch
from torch import nn

from asrattn import decoders
from asrattn.model import SpeechModel


def token_weights(model: nn.Module) -> frozenset[str]:
    """The names of the weights with a row for each token: embeddings, and what puts out logits.

    Found by building the decoder for one token more: whatever changes its shape has such rows. Where there is no
    vocabulary there are none.
    """
    if not isinstance(model, SpeechModel):
        return frozenset()
    with torch.device("meta"):
        larger = decoders.build(model.config.decoder, model.encoder.dim, model.config.vocabulary + 1)
    assert isinstance(larger, nn.Module)
    assert isinstance(model.decoder, nn.Module)
    own = dict(model.decoder.named_parameters())
    changed = {name for name, p in larger.named_parameters() if p.shape != own[name].shape}
    return frozenset({f"decoder.{name}" for name in changed} | {"ctc.weight", "ctc.bias"})
