"""Configuration of the model and of its losses."""

from dataclasses import dataclass, field
from typing import Literal

from asrattn.config import check
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig
from asrattn.encoders import EncoderConfig, LSTMEncoderConfig, PretrainedEncoderConfig
from asrattn.features import FeatureConfig

CTCLabels = Literal["tokens", "bytes"]


@dataclass(frozen=True)
class ModelConfig:
    """Everything that defines the network.

    vocabulary    V, of the decoder; 0 until the tokenizer is known
    ctc_labels    what the CTC head writes: the decoder's tokens, or bytes, with which it stays small beside a decoder
                  of a large vocabulary (see asrattn.text.spelling)
    ctc_dim       cells in each direction of an LSTM layer before the CTC output; 0 is none. An encoder that was not
                  trained with CTC, and is frozen, needs it
    ctc_dropout   before and after that layer
    """

    frontend: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=LSTMEncoderConfig)
    decoder: DecoderConfig = field(default_factory=RecurrentDecoderConfig)
    vocabulary: int = 0
    ctc_labels: CTCLabels = "tokens"
    ctc_dim: int = 0
    ctc_dropout: float = 0.0

    def __post_init__(self) -> None:
        check(self.ctc_dim >= 0, f"ctc_dim is {self.ctc_dim}; it must not be negative")
        check(self.vocabulary >= 0, f"vocabulary is {self.vocabulary}; it must not be negative")
        if isinstance(self.encoder, PretrainedEncoderConfig):
            self.encoder.check_fits(self.frontend.kind)
        else:
            check(self.frontend.kind != "wave", "frontend.kind: wave is for the encoder pretrained only")


@dataclass(frozen=True)
class LossConfig:
    """total = (1 - ctc) · attention + ctc · ((1 - inter_ctc) · CTC + inter_ctc · inter-CTC) + consistency · KL
    + guided · off-diagonal.

    ctc           share of CTC in the joint loss (Kim et al. 2017)
    inter_ctc     share of the middle layer in the CTC part (Lee & Watanabe 2021)
    label_smoothing  label smoothing of the cross-entropy (Szegedy et al. 2016)
    decoder_input_noise  share of the tokens fed to the decoder that are replaced by random ones, so that it relies on
                  the audio more than on its memory of texts (Xie et al. 2017)
    consistency   weight of the divergence between two masked copies of each utterance, in what CTC says of them
                  (CR-CTC, Yao et al. 2024) and in what the decoder says of them (R-Drop, Liang et al. 2021)
    guided        weight of the attention that lies off the diagonal, where alignment does not come by itself
                  (guided attention, Tachibana et al. 2018)
    recognition   weight of attention and CTC together; at 0 no transcripts are needed
    distill_encoder  weight of the distance to the encoder outputs of the teacher, the model of --init as it came, in
                  units of their variance (Romero et al. 2015, FitNets)
    distill_decoder  weight of the divergence from the teacher's predictions of the next token (Hinton et al. 2015)
    """

    ctc: float = 0.3
    inter_ctc: float = 0.0
    label_smoothing: float = 0.1
    decoder_input_noise: float = 0.0
    consistency: float = 0.0
    guided: float = 0.0
    recognition: float = 1.0
    distill_encoder: float = 0.0
    distill_decoder: float = 0.0

    @property
    def needs_teacher(self) -> bool:
        return self.distill_encoder > 0 or self.distill_decoder > 0

    def __post_init__(self) -> None:
        for name in ("ctc", "inter_ctc", "label_smoothing", "decoder_input_noise"):
            share = getattr(self, name)
            check(0 <= share <= 1, f"{name} is {share}; it must lie in [0, 1]")
        for name in ("consistency", "guided", "recognition", "distill_encoder", "distill_decoder"):
            weight = getattr(self, name)
            check(weight >= 0, f"{name} is {weight}; it must not be negative")
