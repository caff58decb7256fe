"""Every attention learns tones in the recurrent decoder, in bfloat16, and is then asked by beam search."""

from dataclasses import replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import tones
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrattn import metrics
from asrattn.attention import AttentionConfig
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.text.char import CharTokenizer

TOKENIZER = CharTokenizer("abcd")
SIZES = {"dim": 32, "filters": 10, "kernel": 15}
STEPS = {"monotonic": 500, "mocha": 500}  # what decides must first learn to be sure
KINDS = [(m, kind) for m in get_args(AttentionConfig) for kind in get_args(get_type_hints(m)["kind"])]


def sung(count: int, seed: int) -> tuple[list[str], Tensor, Tensor, Tensor, Tensor]:
    """Random words with their waves and tokens, and the lengths of both."""
    draw = np.random.default_rng(seed)
    texts = ["".join(draw.choice(list("abcd"), draw.integers(2, 8))) for _ in range(count)]
    waves = [torch.from_numpy(tones.sing(text)) for text in texts]
    tokens = [torch.tensor(TOKENIZER.encode(text)) for text in texts]
    lens = (torch.tensor([len(x) for x in xs]) for xs in (waves, tokens))
    padded = (pad_sequence(xs, batch_first=True) for xs in (waves, tokens))
    (wave, words), (wave_lens, token_lens) = padded, lens
    return texts, wave, wave_lens, words, token_lens


def learnt(attention: Any, steps: int) -> SpeechModel:
    torch.manual_seed(0)
    config = tones.recipe().model
    decoder = replace(config.decoder, dim=32, attention=attention)
    encoder = replace(config.encoder, dim=32)
    model = SpeechModel(replace(config, encoder=encoder, decoder=decoder, vocabulary=TOKENIZER.size))
    optimizer = torch.optim.AdamW(model.parameters())
    _, wave, wave_lens, tokens, token_lens = sung(64, seed=0)
    feats, lens = model.frontend(wave, wave_lens)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 20) * (1 - step / steps)
        rows = torch.randperm(64)[:32]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = model.loss(feats[rows], lens[rows], tokens[rows], token_lens[rows], LossConfig(ctc=0.3))
        optimizer.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("member", "kind"), KINDS, ids=[kind for _, kind in KINDS])
def test_tones_are_learnt(member: Any, kind: str) -> None:
    """Most letters of words never heard are right; with one context for all tokens, which such short words fit into,
    still some."""
    config = member(kind=kind)
    config = replace(config, **{k: v for k, v in SIZES.items() if hasattr(config, k)})
    model = learnt(config, STEPS.get(kind, 150))
    texts, wave, wave_lens, _, _ = sung(40, seed=1)
    with torch.inference_mode():
        encoded = model.encode(wave, wave_lens)
    found = beam_search(model.decoder, encoded.output, encoded.lens, None, DecodingConfig(beam_size=4))
    counts = [
        metrics.count_char_errors(text, TOKENIZER.decode(hypotheses[0].tokens))
        for text, hypotheses in zip(texts, found, strict=True)
    ]
    assert metrics.sum_counts(counts).rate < (0.7 if kind in ("mean", "last", "concat") else 0.5)
