"""Vocabulary mapping for fine-tuning: weights with a row per token, and which id of one model is which of the other."""

from collections.abc import Iterable

import torch
from torch import nn

from asrattn import text
from asrattn.decoders.interface import build as build_decoder
from asrattn.errors import TextError
from asrattn.lm.recurrent import LSTMLM
from asrattn.lm.transformer import TransformerLM
from asrattn.model.speech_model import SpeechModel
from asrattn.text import (
    RESERVED,
    BpeConfig,
    BpeTokenizer,
    CharConfig,
    CharTokenizer,
    Tokenizer,
    TokenizerConfig,
)
from asrattn.training.pretrain.network import BestRQ


def token_weights(model: nn.Module) -> frozenset[str]:
    """The names of the weights with a row for each token: embeddings and output layers.

    Found by building the decoder for one token more: weights whose shape changes have such rows. A CTC head
    over bytes and a model without a vocabulary have none.
    """
    if isinstance(model, LSTMLM | TransformerLM):
        return frozenset({"embed.weight", "bias"})
    if isinstance(model, BestRQ):
        return frozenset({"head.weight", "head.bias"})
    if not isinstance(model, SpeechModel):
        return frozenset()
    size = model.config.vocabulary
    with torch.device("meta"):  # both anew: adapters change the names of the model's own
        own, larger = (build_decoder(model.config.decoder, model.encoder.dim, size + n) for n in (0, 1))
    assert isinstance(own, nn.Module)
    assert isinstance(larger, nn.Module)
    shapes = {name: p.shape for name, p in own.named_parameters()}
    changed = {name for name, p in larger.named_parameters() if p.shape != shapes[name]}
    ctc = {"ctc.weight", "ctc.bias"} if model.config.ctc_labels == "tokens" else set()
    return frozenset({f"decoder.{name}" for name in changed} | ctc)


def extend_tokenizer(known: Tokenizer, config: TokenizerConfig, texts: list[str]) -> Tokenizer:
    """The tokenizer to fine-tune a model on these texts, as close to the model's own as possible.

    Characters: the known ones, then the new ones. BPE: the known tokenizer, if it has the configured size and can
    encode every text. Else one trained on the texts alone. Raises TextError as `text.train`.
    """
    match known, config:
        case CharTokenizer(characters=old), CharConfig():
            new = CharTokenizer.train(texts).characters
            return CharTokenizer(old + "".join(c for c in new if c not in old))
        case BpeTokenizer(size=size), BpeConfig(size=wanted) if size == wanted and _can_encode(known, texts):
            return known
    return text.train(config, texts)


def shared_token_ids(ours: Tokenizer, theirs: Tokenizer) -> dict[int, int]:
    """Our id -> their id, for every token that both have, including the reserved ones."""
    places = {token: id_ for id_, token in enumerate(theirs.tokens, RESERVED)}
    both = {id_: places[token] for id_, token in enumerate(ours.tokens, RESERVED) if token in places}
    return {id_: id_ for id_ in range(RESERVED)} | both


def _can_encode(known: Tokenizer, texts: Iterable[str]) -> bool:
    try:
        for each in texts:
            known.encode(each)
    except TextError:
        return False
    return True
