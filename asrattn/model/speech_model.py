"""The model: wave -> features -> frames -> logits, and its losses."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.decoders import WhisperDecoderConfig
from asrattn.decoders.interface import build as build_decoder
from asrattn.decoders.output import DecoderOutput
from asrattn.decoding.scorers import StepwiseDecoder
from asrattn.decoding.token_rules import RuledDecoder, TokenRules
from asrattn.encoders.interface import build as build_encoder
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.whisper import WhisperEncoder
from asrattn.features.extraction import FeatureExtractor
from asrattn.layers.linear import Linear
from asrattn.lengths import mask
from asrattn.model.config import LossConfig, ModelConfig
from asrattn.model.losses import (
    IGNORE_INDEX,
    Losses,
    LossNormalizer,
    consistency_loss,
    cross_entropy,
    ctc_loss,
    guided_attention_loss,
)
from asrattn.text import EOS, UNKNOWN


class SpeechModel(nn.Module):
    """Front-end, encoder, attention decoder and CTC head. Raises ConfigError while the vocabulary is not known."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        check(config.vocabulary > EOS, f"vocabulary is {config.vocabulary}; take the size of the tokenizer")
        self.config = config
        self.frontend = FeatureExtractor(config.frontend)
        self.encoder = build_encoder(config.encoder, config.frontend.features)
        self.decoder = build_decoder(config.decoder, self.encoder.dim, config.vocabulary)
        self.ctc = Linear(self.encoder.dim, config.vocabulary if config.ctc_labels == "tokens" else 259)

    def encode(self, wave: Tensor, wave_lens: Tensor) -> EncoderOutput:
        """wave (B, S), wave_lens (B,) -> frames."""
        return self.encoder(*self.frontend(wave, wave_lens))

    def stepwise_decoder(self, timestamps: bool = False) -> StepwiseDecoder[Any, Any]:
        """The decoder as decoding steps through it: Whisper's obeys its rules.

        timestamps: of Whisper, whether its prompt asks for them.
        """
        config = self.config.decoder
        if not isinstance(config, WhisperDecoderConfig):
            return self.decoder
        # Timestamps are the last tokens; there is one for each frame of the encoder, and one for the end.
        frames = self.encoder.config.max_frames if isinstance(self.encoder, WhisperEncoder) else 1500
        stamps = range(self.config.vocabulary - frames - 1, self.config.vocabulary) if timestamps else None
        return RuledDecoder(
            self.decoder, TokenRules((UNKNOWN, *config.suppress), config.begin_suppress, stamps)
        )

    def ctc_log_probs(self, frames: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V), float32."""
        log_probs: Tensor = self.ctc(frames).float().log_softmax(-1)
        return log_probs

    def loss(
        self,
        feats: Tensor,
        feat_lens: Tensor,
        tokens: Tensor,
        token_lens: Tensor,
        config: LossConfig,
        normalizer: LossNormalizer | None = None,
    ) -> Losses:
        """feats (B, F, M) over tokens (B, U) without EOS. With consistency, the second half of the batch
        holds the utterances of the first once more, masked in other places.

        normalizer: the step that the batch is a part of, copies counted; the losses of its parts add up to its own.
        """
        normalizer = normalizer or LossNormalizer(len(token_lens), int(token_lens.sum()))
        encoded = self.encoder(feats, feat_lens)
        zero = feats.new_zeros(())
        attention = ctc = inter = consistency = guided = zero
        if config.ctc < 1:
            decoded, targets = self._decode(encoded, tokens, token_lens, config.decoder_input_noise)
            spoken = normalizer.tokens + normalizer.utterances  # EOS is a token too
            logits = decoded.logits.float()
            attention = cross_entropy(logits, targets, config.label_smoothing) / spoken
            if config.consistency:
                said = logits.log_softmax(-1)
                consistency = consistency + consistency_loss(said, token_lens + 1) / spoken
            if config.guided:
                guided = (
                    guided_attention_loss(decoded.last_layer_weights, token_lens + 1, encoded.lens) / spoken
                )
        if config.ctc > 0:
            log_probs = self.ctc_log_probs(encoded.output)
            ctc = ctc_loss(log_probs, encoded.lens, tokens, token_lens) / normalizer.tokens
            if config.consistency:
                consistency = consistency + consistency_loss(log_probs, encoded.lens) / normalizer.tokens
            if config.inter_ctc:
                inter = self._inter_loss(encoded, tokens, token_lens) / normalizer.tokens
        mixed = (1 - config.inter_ctc) * ctc + config.inter_ctc * inter
        total = (1 - config.ctc) * attention + config.ctc * mixed + config.consistency * consistency
        return Losses(total + config.guided * guided, attention, ctc, inter, consistency, guided)

    def _decode(
        self, encoded: EncoderOutput, tokens: Tensor, token_lens: Tensor, noise: float
    ) -> tuple[DecoderOutput, Tensor]:
        """What the decoder says, U + 1 logits, and their targets (B, U + 1): the tokens and EOS."""
        real = mask(token_lens, tokens.shape[1])
        inputs = F.pad(self._replace_random_tokens(tokens, noise), (1, 0), value=EOS)
        targets = F.pad(tokens.masked_fill(~real, IGNORE_INDEX), (0, 1), value=IGNORE_INDEX)
        targets = targets.scatter(1, token_lens[:, None], EOS)
        return self.decoder(inputs, encoded.output, encoded.lens), targets

    def _replace_random_tokens(self, tokens: Tensor, noise: float) -> Tensor:
        """In training, some tokens (B, U) replaced by others, every real one equally likely."""
        if not (self.training and noise):
            return tokens
        others = torch.randint_like(tokens, UNKNOWN + 1, self.config.vocabulary)
        return torch.where(torch.rand(tokens.shape, device=tokens.device) < noise, others, tokens)

    def _inter_loss(self, encoded: EncoderOutput, tokens: Tensor, token_lens: Tensor) -> Tensor:
        check(
            encoded.middle is not None, "loss.inter_ctc: this encoder's middle layer has another frame rate"
        )
        assert encoded.middle is not None
        return ctc_loss(self.ctc_log_probs(encoded.middle), encoded.lens, tokens, token_lens)
