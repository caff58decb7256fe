"""The recurrent decoder against its formula, step by step."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from asrattn.attention import FixedContextConfig, LocationAwareAttentionConfig
from asrattn.decoders import RecurrentDecoderConfig
from asrattn.decoders.interface import build as build_decoder
from asrattn.text import EOS

Kind = Literal["lstm", "gru", "rnn"]


def cell(kind: Kind, w: dict[str, Tensor], x: Tensor, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """s_u and c_u from the input and those of the last step (Hochreiter & Schmidhuber; Cho et al.; Elman)."""
    inward = w["weight_ih"] @ x + w["bias_ih"]
    onward = w["weight_hh"] @ s + w["bias_hh"]
    if kind == "rnn":
        return torch.tanh(inward + onward), c
    if kind == "gru":
        (r, z, n), (r2, z2, n2) = inward.chunk(3), onward.chunk(3)
        z = torch.sigmoid(z + z2)
        return (1 - z) * torch.tanh(n + torch.sigmoid(r + r2) * n2) + z * s, c
    i, f, g, o = (inward + onward).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


@torch.no_grad()
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_the_decoder_is_its_formula(kind: Kind) -> None:
    """s_u = RNN(s_{u-1}, [y_{u-1}; c_{u-1}]), here with the mean of the frames for c, and two layers."""
    torch.manual_seed(0)
    config = RecurrentDecoderConfig(kind, dim=6, layers=2, embedding=4, attention=FixedContextConfig("mean"))
    decoder = build_decoder(config, 5, 7).eval().double()
    enc, lens = torch.randn(1, 8, 5).double(), torch.tensor([8])
    tokens = torch.tensor([[EOS, 3, 5, 4]])
    w = decoder.state_dict()
    state = [(torch.zeros(6).double(), torch.zeros(6).double()) for _ in range(2)]
    context, logits = torch.zeros(5).double(), []
    for token in tokens[0]:
        x = torch.cat((w["embed.weight"][token], context))
        for layer in range(2):
            names = {
                name: w[f"cells.{layer}.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            state[layer] = cell(kind, names, x, *state[layer])
            x = state[layer][0]
        context = enc[0].mean(0)
        hidden = torch.tanh(w["out.0.weight"] @ torch.cat((x, context)) + w["out.0.bias"])
        logits.append(w["out.3.weight"] @ hidden + w["out.3.bias"])
    torch.testing.assert_close(decoder(tokens, enc, lens).logits[0], torch.stack(logits))


def test_names_of_the_weights_are_those_of_older_model_files() -> None:
    config = RecurrentDecoderConfig(
        dim=6, embedding=4, attention=LocationAwareAttentionConfig(dim=8, filters=3, kernel=5)
    )
    assert {name: tuple(w.shape) for name, w in build_decoder(config, 5, 7).state_dict().items()} == {
        "attention.query.weight": (8, 6),
        "attention.key.weight": (8, 5),
        "attention.key.bias": (8,),
        "attention.filters.weight": (3, 5),
        "attention.location.weight": (8, 3),
        "attention.score.weight": (1, 8),
        "embed.weight": (7, 4),
        "cells.0.weight_ih": (24, 9),
        "cells.0.weight_hh": (24, 6),
        "cells.0.bias_ih": (24,),
        "cells.0.bias_hh": (24,),
        "out.0.weight": (6, 11),
        "out.0.bias": (6,),
        "out.3.weight": (7, 6),
        "out.3.bias": (7,),
    }
