"""Configuration of every encoder; `EncoderConfig` is their union."""

import json
from dataclasses import dataclass
from typing import Literal

from asrattn.config import check
from asrattn.layers import AttentionSpan, FramePositions, FullAttentionConfig, Norm, PerFrameNorm

SubsamplingKind = Literal["conv", "vgg"]
RecurrentNorm = Literal["none", Norm]
PretrainedFamily = Literal["wav2vec2", "hubert", "wavlm", "data2vec-audio", "wav2vec2-bert", "whisper"]


@dataclass(frozen=True)
class RecurrentEncoderConfig:
    """`dim` cells in each direction and layer.

    subsampling   conv, vgg: two-dimensional convolutions before the first layer (`subsampling`);
                  pyramid: pairs of frames are joined before each of the first layers (Chan et al. 2016)
    factor        frames in for a frame out: 2, 4 or 8
    channels      of the convolutions
    norm          of what the front and each layer give: layer, rms, batch (Amodei et al. 2016) or none. With one the
                  alignment is found several times as soon
    """

    kind: str = ""
    dim: int = 256
    layers: int = 4
    bidirectional: bool = True
    subsampling: Literal["conv", "vgg", "pyramid"] = "conv"
    factor: int = 4
    channels: int = 32
    norm: RecurrentNorm = "layer"
    dropout: float = 0.2

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers, self.channels) > 0, "dim, layers and channels must be positive")
        check(self.factor in (2, 4, 8), f"factor is {self.factor}; it must be 2, 4 or 8")
        steps = self.factor.bit_length() - 1
        enough = self.subsampling != "pyramid" or self.layers > steps
        check(enough, f"a pyramid of factor {self.factor} needs more than {steps} layers")


@dataclass(frozen=True)
class RNNEncoderConfig(RecurrentEncoderConfig):
    """h_t = tanh(W x_t + U h_{t-1} + b) (Elman 1990; both directions: Schuster & Paliwal 1997)."""

    kind: Literal["rnn"] = "rnn"


@dataclass(frozen=True)
class GRUEncoderConfig(RecurrentEncoderConfig):
    """h_t = (1 - z_t) ⊙ tanh(W x_t + r_t ⊙ U h_{t-1} + b) + z_t ⊙ h_{t-1}, with gates r and z (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"


@dataclass(frozen=True)
class LSTMEncoderConfig(RecurrentEncoderConfig):
    """c_t = f_t ⊙ c_{t-1} + i_t ⊙ tanh(W x_t + U h_{t-1} + b), h_t = o_t ⊙ tanh(c_t), with gates i, f and o
    (Hochreiter & Schmidhuber 1997; for speech in both directions Graves et al. 2013)."""

    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True)
class CNNEncoderConfig:
    """`layers` of convolutions with `dim` channels over `kernel` frames (Waibel et al. 1989).

    dilations     the frames that a layer sees are so far apart, one number a layer, again and again (Peddinti et al.
                  2015)
    subsampling   the front: plain convolutions, or blocks as in VGG, with `channels`
    factor        feature frames for one of the layers': 2, 4 or 8
    """

    kind: Literal["cnn"] = "cnn"
    dim: int = 256
    layers: int = 12
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4)
    subsampling: SubsamplingKind = "conv"
    factor: int = 4
    channels: int = 64
    norm: Norm = "layer"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(min(self.dim, self.layers, self.channels) > 0, "dim, layers and channels must be positive")
        check(self.factor in (2, 4, 8), f"factor is {self.factor}; it must be 2, 4 or 8")
        check(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd")
        check(min(self.dilations, default=0) > 0, "dilations must be positive, one at least")


@dataclass(frozen=True)
class SelfAttentionEncoderConfig:
    """`layers` of self-attention with `heads`, and feed-forward nets of `ffn_dim`.

    subsampling   the front: plain convolutions, or blocks as in VGG, with `channels`
    factor        feature frames for one of the stack's: 2, 4 or 8
    attention     how far a frame sees: full, local or sparse
    norm          before each part of a layer: layer norm, or RMS norm
    downsampling  the layers are dealt out, in order, to so many groups, each of which works on frames that are so many
                  times as long: 1,2,4,2,1 is a U (Yao et al. 2023, Zipformer)
    """

    kind: str = ""
    dim: int = 256
    layers: int = 12
    heads: int = 4
    ffn_dim: int = 1024
    subsampling: SubsamplingKind = "conv"
    factor: int = 4
    channels: int = 64
    positions: FramePositions = "rotary"
    attention: AttentionSpan = FullAttentionConfig()  # noqa: RUF009 (frozen)
    norm: PerFrameNorm = "layer"
    downsampling: tuple[int, ...] = (1,)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.ffn_dim, self.channels)
        check(min(sizes) > 0, "dim, layers, heads, ffn_dim and channels must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")
        check(self.factor in (2, 4, 8), f"factor is {self.factor}; it must be 2, 4 or 8")
        listed = ", ".join(map(str, self.downsampling))
        check(
            min(self.downsampling, default=0) > 0, f"downsampling is {listed or 'none'}; it must be positive"
        )
        check(
            len(self.downsampling) <= self.layers,
            f"downsampling {listed}: factors need a layer each; there are {self.layers}",
        )


@dataclass(frozen=True)
class TransformerEncoderConfig(SelfAttentionEncoderConfig):
    """Self-attention and a feed-forward net a layer (Vaswani et al. 2017; for speech Dong et al. 2018)."""

    kind: Literal["transformer"] = "transformer"


@dataclass(frozen=True)
class ConformerConfig(SelfAttentionEncoderConfig):
    """As the Transformer, with a convolution of `kernel` frames and two half feed-forward nets a layer (Gulati et al.
    2020).

    convolution_norm   in the convolution: layer; batch, as in the paper; or rms
    """

    kind: Literal["conformer"] = "conformer"
    kernel: int = 15
    convolution_norm: Norm = "layer"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it must be odd")


@dataclass(frozen=True)
class EBranchformerConfig(SelfAttentionEncoderConfig):
    """Attention beside a gated convolution, merged by another one, between half feed-forward nets (Kim et al. 2022).

    gated    units of the branch with the gated convolution (cgMLP)
    kernel   frames which its convolution sees
    merge    frames which the convolution that merges the branches sees
    """

    kind: Literal["ebranchformer"] = "ebranchformer"
    gated: int = 1024
    kernel: int = 31
    merge: int = 31

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.gated > 0 and self.gated % 2 == 0, f"gated is {self.gated}; it must be even")
        for name in ("kernel", "merge"):
            size = getattr(self, name)
            check(size > 0 and size % 2 == 1, f"{name} is {size}; it must be odd")


@dataclass(frozen=True)
class PretrainedEncoderConfig:
    """The encoder of a pretrained model, computed by Hugging Face's transformers (pip install asrattn[hf]): wav2vec 2.0
    (Baevski et al. 2020), HuBERT (Hsu et al. 2021), WavLM (Chen et al. 2022), data2vec (Baevski et al. 2022),
    Wav2Vec2-BERT (Seamless Communication 2023) or Whisper (Radford et al. 2023).

    settings          its sizes, as the JSON of transformers' configuration; what is not named has the default there
    weighted_layers   the output is the sum of the hidden states of all layers, with learned weights (SUPERB, Yang et
                      al. 2021); else the last one
    mask_time_prob    in training this share of the frames is masked, at most, since spans may overlap; 0 masks none
    mask_time_length  frames of a span
    dropout           of hidden states, attention weights and activations
    """

    kind: Literal["pretrained"] = "pretrained"
    family: PretrainedFamily = "wav2vec2"
    settings: str = "{}"
    weighted_layers: bool = True
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(
            0 <= self.mask_time_prob <= 1, f"mask_time_prob is {self.mask_time_prob}; it must lie in [0, 1]"
        )
        check(self.mask_time_length > 0, f"mask_time_length is {self.mask_time_length}; it must be positive")
        check(0 <= self.dropout < 1, f"dropout is {self.dropout}; it must lie in [0, 1)")
        plain = self.plain_settings
        check(
            plain.get("model_type", self.family) == self.family,
            f"settings are those of {plain.get('model_type')}, family is {self.family}; make them the same",
        )
        check(
            not plain.get("add_adapter"),
            "settings: add_adapter is on, which is not supported; set it to false to leave the adapter out",
        )

    @property
    def plain_settings(self) -> dict[str, object]:
        """The settings by name. Raises ConfigError if they are no JSON object."""
        try:
            plain = json.loads(self.settings)
        except (ValueError, RecursionError) as error:
            check(False, f"settings are no JSON ({error}); asrattn import writes them")
        check(isinstance(plain, dict), "settings are no JSON object; asrattn import writes them")
        return dict(plain)

    @property
    def feature_kind(self) -> str:
        """The feature type that the family is made for."""
        return {"wav2vec2-bert": "seamless", "whisper": "whisper"}.get(self.family, "wave")

    def check_fits(self, kind: str) -> None:
        """Raises ConfigError for another feature type."""
        check(
            kind == self.feature_kind,
            f"frontend.kind: {kind} does not suit the encoder {self.family}; take {self.feature_kind}",
        )


@dataclass(frozen=True)
class WhisperEncoderConfig:
    """Whisper's encoder (Radford et al. 2023): two convolutions, fixed positions, pre-norm layers.

    max_frames       encoder frames that there are positions for: 1500 are 30 s
    silence_seconds  silence behind the audio that is encoded as it is
    silence_samples  encoder frames that stand for the rest of the 30 s that Whisper was trained on, each with the
                     weight of those that it stands for; none encodes them all, exactly as Whisper; 0 drops them
    """

    kind: Literal["whisper"] = "whisper"
    dim: int = 384
    layers: int = 4
    heads: int = 6
    ffn_dim: int = 1536
    max_frames: int = 1500
    silence_seconds: float = 0.5
    silence_samples: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.dim, self.layers, self.heads, self.ffn_dim, self.max_frames)
        check(min(sizes) > 0, "dim, layers, heads, ffn_dim and max_frames must be positive")
        check(self.dim % self.heads == 0, f"dim {self.dim} is no multiple of heads {self.heads}")
        seconds, samples = self.silence_seconds, self.silence_samples
        check(0.1 <= seconds <= 30, f"silence_seconds is {seconds}; it must lie in [0.1, 30]")
        known = samples is None or 0 <= samples <= self.max_frames
        check(known, f"silence_samples is {samples}; it must lie in [0, {self.max_frames}], or be none")


EncoderConfig = (
    RNNEncoderConfig
    | GRUEncoderConfig
    | LSTMEncoderConfig
    | CNNEncoderConfig
    | TransformerEncoderConfig
    | ConformerConfig
    | EBranchformerConfig
    | PretrainedEncoderConfig
    | WhisperEncoderConfig
)
