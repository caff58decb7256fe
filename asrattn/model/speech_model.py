"""The model: wave -> features -> frames -> logits, and its losses."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.decoders import WhisperDecoderConfig
from asrattn.decoders.interface import build as build_decoder
from asrattn.decoders.output import DecoderOutput
from asrattn.decoders.whisper import WhisperDecoder
from asrattn.decoding.scorers import StepwiseDecoder
from asrattn.decoding.token_rules import RuledDecoder, TokenRules
from asrattn.encoders.interface import build as build_encoder
from asrattn.encoders.output import EncoderOutput
from asrattn.encoders.whisper import WhisperEncoder
from asrattn.features.extraction import FeatureExtractor
from asrattn.lengths import mask
from asrattn.model.config import LossConfig, ModelConfig
from asrattn.model.ctc_head import CTCHead
from asrattn.model.losses import (
    IGNORE_INDEX,
    Losses,
    LossNormalizer,
    TeacherOutput,
    consistency_loss,
    cross_entropy,
    ctc_loss,
    divergence,
    encoder_distance,
    guided_attention_loss,
    spell_batch,
)
from asrattn.text import BYTE_VOCABULARY, EOS, UNKNOWN, Spelling, Tokenizer


class SpeechModel(nn.Module):
    """Front-end, encoder, attention decoder and CTC head. Raises ConfigError while the vocabulary is not known.

    spelling    the CTC labels of the decoder's tokens; with ctc_labels="bytes", `spell_with` sets it. It is no weight.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        check(config.vocabulary > EOS, f"vocabulary is {config.vocabulary}; take the size of the tokenizer")
        self.config = config
        self.frontend = FeatureExtractor(config.frontend)
        self.encoder = build_encoder(config.encoder, config.frontend.features)
        self.decoder = build_decoder(config.decoder, self.encoder.dim, config.vocabulary)
        if isinstance(self.decoder, WhisperDecoder) and isinstance(self.encoder, WhisperEncoder):
            self.decoder.encoder = self.encoder.config
        self.ctc = CTCHead(self.encoder.dim, self.ctc_vocabulary, config.ctc_dim, config.ctc_dropout)
        self.spelling = Spelling()
        self._label_table: Tensor | None = None

    @property
    def ctc_vocabulary(self) -> int:
        """The outputs of the CTC head, BLANK among them."""
        return BYTE_VOCABULARY if self.config.ctc_labels == "bytes" else self.config.vocabulary

    def spell_with(self, tokenizer: Tokenizer) -> None:
        """Set the spelling to that of the tokenizer's tokens, as the configuration asks for."""
        self.spelling = Spelling.in_bytes(tokenizer) if self.config.ctc_labels == "bytes" else Spelling()
        self._label_table = None

    def label_table(self, device: torch.device) -> Tensor | None:
        """The CTC labels of each token (V, L), int16, padded with -1; None if tokens are their own labels.

        Raises ConfigError for a head over bytes if the tokenizer is not known.
        """
        if self.config.ctc_labels == "tokens":
            return None
        rows = self.spelling.rows
        check(rows is not None, "the CTC head writes bytes: call spell_with(tokenizer) on the model first")
        if self._label_table is None and rows is not None:
            counts = torch.tensor([len(row) for row in rows])
            places = torch.arange(max(1, int(counts.max())))
            # Small integers, since the longest token is much longer than most.
            table = torch.full((len(rows), len(places)), -1, dtype=torch.int16)
            table[places < counts[:, None]] = torch.tensor(
                [label for row in rows for label in row], dtype=torch.int16
            )
            self._label_table = table
        if self._label_table is not None and self._label_table.device != device:
            self._label_table = self._label_table.to(device)
        return self._label_table

    def encode(self, wave: Tensor, wave_lens: Tensor) -> EncoderOutput:
        """wave (B, S), wave_lens (B,) -> frames."""
        return self.encoder(*self.frontend(wave, wave_lens))

    def stepwise_decoder(self, timestamps: bool = False) -> StepwiseDecoder[Any, Any]:
        """The decoder as decoding steps through it: Whisper's obeys its rules.

        timestamps: of Whisper, whether it writes them.
        """
        config, decoder = self.config.decoder, self.decoder
        if not (isinstance(config, WhisperDecoderConfig) and isinstance(decoder, WhisperDecoder)):
            return decoder
        if timestamps:
            decoder = decoder.with_timestamps()
        # Timestamps are the last tokens; there is one for each frame of the encoder, and one for the end.
        frames = self.encoder.config.max_frames if isinstance(self.encoder, WhisperEncoder) else 1500
        stamps = range(self.config.vocabulary - frames - 1, self.config.vocabulary) if timestamps else None
        return RuledDecoder(decoder, TokenRules((UNKNOWN, *config.suppress), config.begin_suppress, stamps))

    def ctc_log_probs(self, frames: Tensor, lens: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, V) over the labels of the CTC head, float32."""
        return self.ctc.log_probs(frames, lens)

    def loss(
        self,
        feats: Tensor,
        feat_lens: Tensor,
        tokens: Tensor,
        token_lens: Tensor,
        config: LossConfig,
        normalizer: LossNormalizer | None = None,
        teacher: Callable[[Tensor], TeacherOutput] | None = None,
    ) -> Losses:
        """feats (B, F, M) over tokens (B, U) without EOS. With consistency, the second half of the batch
        holds the utterances of the first once more, masked in other places.

        normalizer: the step that the batch is a part of, copies counted; the losses of its parts add up to its own.
        teacher: gives what is to be learned from it, for the lengths (B,) of the encoder output.
        """
        encoded = self.encoder(feats, feat_lens)
        taught = teacher(encoded.lens) if teacher else None
        return self.loss_of_encoded(encoded, tokens, token_lens, config, normalizer, taught)

    def loss_of_encoded(
        self,
        encoded: EncoderOutput,
        tokens: Tensor,
        token_lens: Tensor,
        config: LossConfig,
        normalizer: LossNormalizer | None = None,
        teacher: TeacherOutput | None = None,
    ) -> Losses:
        """As `loss`, for the output of the encoder; with a teacher, the distances from what it gives."""
        normalizer = normalizer or LossNormalizer(len(token_lens), int(token_lens.sum()))
        zero = encoded.output.new_zeros(())
        attention = ctc = inter = consistency = guided = distance = kl = zero
        spoken = normalizer.tokens + normalizer.utterances  # EOS is a token too
        attends = config.recognition > 0 and config.ctc < 1
        if attends or (teacher and config.distill_decoder):
            decoded, targets = self._decode(encoded, tokens, token_lens, config.decoder_input_noise)
            logits = decoded.logits.float()
            if attends:
                attention = cross_entropy(logits, targets, config.label_smoothing) / spoken
            if teacher and teacher.logits is not None:
                kl = divergence(logits, teacher.logits, token_lens + 1) / spoken
            if config.consistency:
                said = logits.log_softmax(-1)
                consistency = consistency + consistency_loss(said, token_lens + 1) / spoken
            if config.guided:
                guided = (
                    guided_attention_loss(decoded.alignment_weights, token_lens + 1, encoded.lens) / spoken
                )
        if config.recognition > 0 and config.ctc > 0:
            log_probs = self.ctc_log_probs(encoded.output, encoded.lens)
            table = self.label_table(tokens.device)
            spelled = (tokens, token_lens) if table is None else spell_batch(table, tokens, token_lens)
            ctc = ctc_loss(log_probs, encoded.lens, *spelled) / normalizer.tokens
            if config.consistency:
                consistency = consistency + consistency_loss(log_probs, encoded.lens) / normalizer.tokens
            if config.inter_ctc:
                inter = self._inter_loss(encoded, *spelled) / normalizer.tokens
        if teacher and config.distill_encoder:
            distance = encoder_distance(encoded.output, teacher.encoded, encoded.lens)
            distance = distance / normalizer.utterances
        mixed = (1 - config.inter_ctc) * ctc + config.inter_ctc * inter
        total = config.recognition * ((1 - config.ctc) * attention + config.ctc * mixed)
        total = total + config.consistency * consistency + config.guided * guided
        total = total + config.distill_encoder * distance + config.distill_decoder * kl
        return Losses(total, attention, ctc, inter, consistency, guided, distance, kl)

    @torch.no_grad()
    def teach(
        self, encoded: EncoderOutput, lens: Tensor, tokens: Tensor, config: LossConfig
    ) -> TeacherOutput:
        """What this model as a teacher gives for its own encoder output: the first `lens` frames (B, T, D), and the
        logits (B, U + 1, V) of the tokens (B, U) if they are to be learned from."""
        logits = None
        if config.distill_decoder:
            logits = self.decoder(F.pad(tokens, (1, 0), value=EOS), encoded.output, encoded.lens).logits
        T = int(lens.max())
        frames = F.pad(encoded.output[:, :T], (0, 0, 0, max(0, T - encoded.output.shape[1])))
        return TeacherOutput(frames, logits)

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

    def _inter_loss(self, encoded: EncoderOutput, labels: Tensor, label_lens: Tensor) -> Tensor:
        check(
            encoded.middle is not None, "loss.inter_ctc: this encoder's middle layer has another frame rate"
        )
        assert encoded.middle is not None
        return ctc_loss(self.ctc_log_probs(encoded.middle, encoded.lens), encoded.lens, labels, label_lens)
