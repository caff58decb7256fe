"""Pretrained encoders: wav2vec 2.0, HuBERT, WavLM, data2vec, Wav2Vec2-BERT and Whisper, by Hugging Face's transformers.

The network is built from the settings of the configuration; weights come from our own model file. No folder of Hugging
Face and no network connection is needed, and nothing is executed from a file.
"""

import importlib
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asrattn.config import check
from asrattn.encoders.config import PretrainedEncoderConfig, PretrainedFamily
from asrattn.encoders.output import EncoderOutput
from asrattn.errors import ConfigError, DataError
from asrattn.features.extraction import whisper_silence
from asrattn.lengths import conv_output_lens, mask

# The module, the configuration and the encoder of each family, in transformers.
CLASSES: dict[PretrainedFamily, tuple[str, str, str]] = {
    "wav2vec2": ("wav2vec2.modeling_wav2vec2", "Wav2Vec2Config", "Wav2Vec2Model"),
    "hubert": ("hubert.modeling_hubert", "HubertConfig", "HubertModel"),
    "wavlm": ("wavlm.modeling_wavlm", "WavLMConfig", "WavLMModel"),
    "data2vec-audio": ("data2vec.modeling_data2vec_audio", "Data2VecAudioConfig", "Data2VecAudioModel"),
    "wav2vec2-bert": ("wav2vec2_bert.modeling_wav2vec2_bert", "Wav2Vec2BertConfig", "Wav2Vec2BertModel"),
    "whisper": ("whisper.modeling_whisper", "WhisperConfig", "WhisperEncoder"),
}
DROPOUTS = (
    "activation_dropout",
    "attention_dropout",
    "conformer_conv_dropout",
    "dropout",
    "hidden_dropout",
)
_WRONG_SETTINGS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class PretrainedEncoder(nn.Module):
    """feats (B, F, M) of the family's feature type -> frames (B, T, D).

    Raises ConfigError if transformers is missing, the settings make no network, or M is not what it takes; DataError,
    when called, for audio longer than Whisper's 30 s.
    """

    def __init__(self, config: PretrainedEncoderConfig, features: int):
        super().__init__()
        model = build_model(config)
        sizes = model.config
        self.network: WaveNetwork | FrameNetwork | WhisperNetwork
        match config.family:
            case "whisper":
                self.network = WhisperNetwork(model)
            case "wav2vec2-bert":
                self.network = FrameNetwork(model)
            case _:
                self.network = WaveNetwork(model)
        wanted = self.network.features
        check(
            features == wanted, f"the encoder {config.family} takes {wanted} features a frame, not {features}"
        )
        self.config = config
        self.min_spans = int(getattr(sizes, "mask_time_min_masks", 0))
        self.dim = int(sizes.hidden_size)
        if config.weighted_layers:
            self.layer_weights = nn.Parameter(torch.zeros(sizes.num_hidden_layers + 1))
        embed = getattr(model, "masked_spec_embed", None)
        if embed is not None and not config.mask_time_prob:
            embed.requires_grad_(False)  # never used, so it would have no gradient

    def lens(self, feat_lens: Tensor) -> Tensor:
        return self.network.lens(feat_lens)

    def forward(self, feats: Tensor, lens: Tensor) -> EncoderOutput:
        out_lens = self.lens(lens)
        states = self.network(feats, lens, self._spans(self.network.masked_lens(lens)))
        zero = mask(out_lens, states[-1].shape[1])[..., None]
        output = states[-1]
        if self.config.weighted_layers:
            weights = self.layer_weights.softmax(0)
            start = torch.zeros_like(output, dtype=torch.float32)
            output = sum((w * x.float() for w, x in zip(weights, states, strict=True)), start)
        middle = states[(len(states) - 2) // 2 + 1]
        return EncoderOutput(output * zero, out_lens, middle * zero)

    def _spans(self, lens: Tensor) -> Tensor | None:
        """The frames (B, T) that are masked in this step, if any."""
        config = self.config
        if not (self.training and config.mask_time_prob):
            return None
        return draw_spans(lens, config.mask_time_prob, config.mask_time_length, self.min_spans)


class WaveNetwork(nn.Module):
    """Convolutions over the samples, then Transformer layers: (B, S, 1) -> hidden states (B, T, D), the input of the
    first layer and the output of each.

    What lets padding leak runs one utterance at a time: a group norm over time in the convolutions, and layers of
    convolutions, or a batch norm, for the positions.
    """

    features = 1

    def __init__(self, model: Any):
        super().__init__()
        self.config = model.config
        # Taken out of the model, which then begins with what they give: they may have to run one by one.
        self.convolutions = model.feature_extractor
        model.feature_extractor = nn.Identity()
        self.transformer = model
        self.group_norm = getattr(self.config, "feat_extract_norm", "layer") == "group"
        leaks = self.config.model_type == "data2vec-audio" or getattr(
            self.config, "conv_pos_batch_norm", False
        )
        self.alone = bool(leaks)
        self.minimum_samples = 1
        for kernel, stride in reversed(self._windows()):
            self.minimum_samples = (self.minimum_samples - 1) * stride + kernel

    def lens(self, feat_lens: Tensor) -> Tensor:
        """(B,) samples -> (B,) frames."""
        for kernel, stride in self._windows():
            feat_lens = conv_output_lens(feat_lens, kernel, stride)
        return feat_lens

    masked_lens = lens

    def forward(self, feats: Tensor, lens: Tensor, spans: Tensor | None) -> list[Tensor]:
        # An utterance without a frame gets one, lest its attention have nothing to look at.
        lens = lens.clamp(min=self.minimum_samples)
        wave = F.pad(feats[..., 0], (0, max(0, self.minimum_samples - feats.shape[1])))
        if not (self.group_norm or self.alone):
            return self._layers(self.convolutions(wave), mask(lens, wave.shape[1]), spans)
        sizes: list[int] = lens.tolist()
        parts = [self.convolutions(wave[b : b + 1, :size]) for b, size in enumerate(sizes)]
        frames = max(part.shape[2] for part in parts)
        if not self.alone:
            x = torch.cat([F.pad(part, (0, frames - part.shape[2])) for part in parts])
            return self._layers(x, mask(lens, wave.shape[1]), spans)
        each = [
            self._layers(part, mask(lens[b : b + 1], sizes[b]), None if spans is None else spans[b : b + 1])
            for b, part in enumerate(parts)
        ]
        return [
            torch.cat([F.pad(x, (0, 0, 0, frames - x.shape[1])) for x in xs])
            for xs in zip(*each, strict=True)
        ]

    def _layers(self, x: Tensor, real: Tensor, spans: Tensor | None) -> list[Tensor]:
        """What the convolutions give, (B, C, T), through the Transformer layers; real (B, S) marks samples."""
        return _hidden_states(
            self.transformer, x, attention_mask=real, mask_time_indices=_pad_spans(spans, x.shape[2])
        )

    def _windows(self) -> list[tuple[int, int]]:
        """Kernel and stride of each convolution."""
        return list(zip(self.config.conv_kernel, self.config.conv_stride, strict=True))


class FrameNetwork(nn.Module):
    """Wav2Vec2-BERT: Conformer layers on frames (B, T, M) -> hidden states (B, T, D)."""

    def __init__(self, model: Any):
        super().__init__()
        self.transformer = model
        self.features = int(model.config.feature_projection_input_dim)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return feat_lens

    masked_lens = lens

    def forward(self, feats: Tensor, lens: Tensor, spans: Tensor | None) -> list[Tensor]:
        T = feats.shape[1]
        real = mask(lens.clamp(min=1), T).long()  # as above: one frame at least
        return _hidden_states(
            self.transformer, feats, attention_mask=real, mask_time_indices=_pad_spans(spans, T)
        )


class WhisperNetwork(nn.Module):
    """Whisper: (B, F, M) -> hidden states (B, ⌈F/2⌉, D). Padding is silence up to 30 s, as it was in its training, so
    that the batch changes nothing. In training the features are masked, with 0."""

    def __init__(self, model: Any):
        super().__init__()
        self.transformer = model
        self.features = int(model.config.num_mel_bins)
        self.max_frames = 2 * int(model.config.max_source_positions)

    def lens(self, feat_lens: Tensor) -> Tensor:
        return conv_output_lens(feat_lens, kernel=3, stride=2, padding=1)

    def masked_lens(self, lens: Tensor) -> Tensor:
        return lens

    def forward(self, feats: Tensor, lens: Tensor, spans: Tensor | None) -> list[Tensor]:
        frames = int(lens.max())
        if frames > self.max_frames:
            raise DataError(
                f"an utterance has {frames} frames, this Whisper encoder takes {self.max_frames}; cut it, or lower "
                "data.max_seconds"
            )
        T = (feats.shape[1] + 1) // 2
        x = feats[:, : self.max_frames]
        x = F.pad(x, (0, 0, 0, self.max_frames - x.shape[1]))
        real = mask(lens, self.max_frames)
        x = torch.where(real[..., None], x, whisper_silence(x, real)[:, None, None])
        if spans is not None:
            x = x.masked_fill(_pad_spans(spans, self.max_frames)[..., None], 0.0)
        return [state[:, :T] for state in _hidden_states(self.transformer, x.transpose(1, 2))]


def build_model(config: PretrainedEncoderConfig) -> Any:
    """transformers' encoder with untrained weights. It draws no masks and drops no layers by itself.

    Raises ConfigError if transformers is missing and for settings that make no network.
    """
    known = known_settings(config.family)
    from huggingface_hub.errors import StrictDataclassError  # comes with transformers

    plain = {name: value for name, value in config.plain_settings.items() if name != "model_type"}
    for name in plain:
        # Others are no sizes: some would fetch code.
        check(name in known, f"settings: {config.family} has no setting {name!r}; leave it out")
    fixed = {
        **dict.fromkeys(DROPOUTS, config.dropout),
        **dict.fromkeys(("layerdrop", "encoder_layerdrop"), 0.0),  # the weighted sum needs all layers
        "apply_spec_augment": True,
        "mask_time_prob": 1.0,  # the masked frame is a weight in any case; we draw where it goes
    }
    try:
        own, encoder = _classes(config.family)
        model = encoder(own(**plain | {k: v for k, v in fixed.items() if k in known}))
    except (*_WRONG_SETTINGS, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"settings make no {config.family} encoder ({reason}); correct them") from None
    model.config.mask_time_prob = model.config.mask_feature_prob = 0.0
    return model


def known_settings(family: PretrainedFamily) -> dict[str, Any]:
    """The settings of a family and their defaults, without those that transformers has for every model.

    Raises ConfigError if transformers is missing.
    """
    own, _ = _classes(family)
    general = importlib.import_module("transformers").PretrainedConfig().to_dict()
    return {name: value for name, value in own().to_dict().items() if name not in general}


def _classes(family: PretrainedFamily) -> tuple[Any, Any]:
    module, config_class, model_class = CLASSES[family]
    try:
        found = importlib.import_module(f"transformers.models.{module}")
    except ImportError:
        raise ConfigError("the encoder pretrained needs transformers; pip install asrattn[hf]") from None
    return getattr(found, config_class), getattr(found, model_class)


def draw_spans(lens: Tensor, prob: float, length: int, min_spans: int) -> Tensor:
    """lens (B,) frames -> (B, T) bool, True where masked: prob · T / length spans of `length` frames, rounded up or
    down at random, `min_spans` at least and where they fit, at places drawn without replacement (wav2vec 2.0, Baevski
    et al. 2020; as in transformers, but from torch's generator)."""
    counts = lens.tolist()
    masked = torch.zeros(len(counts), max(counts), dtype=torch.bool)
    for row, frames in enumerate(counts):
        wanted = max(int(prob * frames / length + torch.rand(()).item()), min_spans)
        places = max(frames - length + 1, 0)
        starts = torch.randperm(places)[: min(wanted, frames // length)]
        masked[row, (starts[:, None] + torch.arange(length)).flatten()] = True
    return masked.to(lens.device)


def _pad_spans(spans: Tensor | None, size: int) -> Any:
    """Spans (B, T) for `size` frames."""
    return None if spans is None else F.pad(spans, (0, size - spans.shape[1]))  # or cut


def _hidden_states(model: Any, *inputs: Tensor, **more: Tensor | None) -> list[Tensor]:
    """The input of the first layer, and the output of each layer, of the last one after the final norm."""
    given = {name: value for name, value in more.items() if value is not None}
    with warnings.catch_warnings():
        # WavLM gives torch a padding mask of bool beside float position scores, which torch wants to be of one type.
        warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
        out = model(*inputs, output_hidden_states=True, return_dict=True, **given)
    return [*out.hidden_states[:-1], out.last_hidden_state]
