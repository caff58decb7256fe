"""SpeechBrain's side, run by its own environment: python -m benchmarks.peers.speechbrain T."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from speechbrain.decoders.scorer import CTCScorer, ScorerBuilder
from speechbrain.decoders.seq2seq import S2SRNNBeamSearcher, S2STransformerBeamSearcher
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.convolution import ConvolutionFrontEnd
from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR
from speechbrain.nnet.linear import Linear
from speechbrain.nnet.losses import ctc_loss, kldiv_loss, nll_loss
from speechbrain.nnet.RNN import LSTM, AttentionalRNNDecoder
from speechbrain.processing.features import InputNormalization
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.peers.batches import RATE
from benchmarks.peers.harness import BEAM, CTC_SHARE, Architecture, run

BLANK, BOS, EOS = 0, 1, 2


class Step(nn.Module, ABC):
    """Features and losses of one batch, as the LibriSpeech recipes put them together."""

    criterion: ClassVar[Callable[..., Tensor]]
    out: Linear

    def __init__(self, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.features = Fbank(sample_rate=RATE, n_fft=512, n_mels=80)
        self.normalize = InputNormalization(norm_type="sentence")
        self.ctc = Linear(vocabulary, input_size=dim)

    def forward(self, wave: Tensor, wave_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        token_relative = token_lens / token_lens.max()
        feats, relative = self.compute_features(wave, wave_lens)
        inputs = F.pad(tokens, (1, 0), value=BOS)
        targets = F.pad(tokens, (0, 1)).scatter(1, token_lens[:, None], EOS)
        encoded, logits = self.model(feats, inputs, relative)
        attention = self.criterion(
            logits.log_softmax(-1),
            targets,
            length=(token_lens + 1) / (token_lens.max() + 1),
            label_smoothing=0.1,
        )
        ctc = ctc_loss(self.ctc(encoded).log_softmax(-1), tokens, relative, token_relative, BLANK)
        loss: Tensor = 0.7 * attention + 0.3 * ctc
        return loss

    def compute_features(self, wave: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the lengths as shares of the longest."""
        relative = wave_lens / wave_lens.max()
        with torch.autocast("cpu", enabled=False):
            return self.normalize(self.features(wave), relative), relative

    def end(self) -> Tensor:
        bias: Tensor = self.out.w.bias
        return bias[EOS]

    def search(self, wave: Tensor, wave_lens: Tensor, count: int) -> list[int]:
        feats, relative = self.compute_features(wave, wave_lens)
        encoded = self.encode(feats, relative)
        scorer = ScorerBuilder(full_scorers=[CTCScorer(self.ctc, BLANK, EOS)], weights={"ctc": CTC_SHARE})
        ratio = (count + 1.5) / encoded.shape[1]  # the end is a step too
        settings = {"bos_index": BOS, "eos_index": EOS, "beam_size": BEAM, "scorer": scorer}
        settings |= {"min_decode_ratio": ratio, "max_decode_ratio": ratio, "using_eos_threshold": False}
        return [len(best) for best in self.searcher(settings)(encoded, relative)[0]]

    @abstractmethod
    def model(self, feats: Tensor, inputs: Tensor, relative: Tensor) -> tuple[Tensor, Tensor]:
        """Frames, and the logits of the decoder."""

    @abstractmethod
    def encode(self, feats: Tensor, relative: Tensor) -> Tensor:
        """The frames alone."""

    @abstractmethod
    def searcher(self, settings: dict[str, Any]) -> nn.Module:
        """Its beam search."""


class Transformer(Step):
    criterion = staticmethod(kldiv_loss)

    def __init__(self, architecture: Architecture, vocabulary: int) -> None:
        super().__init__(256, vocabulary)
        self.front = conv_frontend()
        conformer = architecture == "C"
        self.network = TransformerASR(
            vocabulary,
            input_size=640,
            d_model=256,
            nhead=4,
            num_encoder_layers=12,
            num_decoder_layers=6,
            d_ffn=1024 if conformer else 2048,
            dropout=0.1,
            activation=nn.GELU,
            normalize_before=True,
            causal=False,
            encoder_module="conformer" if conformer else "transformer",
            attention_type="RelPosMHAXL" if conformer else "regularMHA",
        )
        self.out = Linear(vocabulary, input_size=256)

    def model(self, feats: Tensor, inputs: Tensor, relative: Tensor) -> tuple[Tensor, Tensor]:
        encoded, decoded = self.network(self.front(feats), inputs, relative, pad_idx=BLANK)
        return encoded, self.out(decoded)

    def encode(self, feats: Tensor, relative: Tensor) -> Tensor:
        encoded: Tensor = self.network.encode(self.front(feats), relative)
        return encoded

    def searcher(self, settings: dict[str, Any]) -> nn.Module:
        searcher: nn.Module = S2STransformerBeamSearcher(modules=[self.network, self.out], **settings)
        return searcher


class Recurrent(Step):
    criterion = staticmethod(nll_loss)

    def __init__(self, front: str, vocabulary: int) -> None:
        super().__init__(640 if front else 320, vocabulary)
        self.encoder = conv_blstm() if front else crdnn()
        self.embed = nn.Embedding(vocabulary, 320)
        self.decoder = AttentionalRNNDecoder(
            rnn_type="lstm",
            attn_type="location",
            hidden_size=320,
            attn_dim=320,
            num_layers=1,
            enc_dim=640 if front else 320,
            input_size=320,
            channels=10,
            kernel_size=100,
            dropout=0.2,
        )
        self.out = Linear(vocabulary, input_size=320)

    def model(self, feats: Tensor, inputs: Tensor, relative: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.encoder(feats)
        return encoded, self.out(self.decoder(self.embed(inputs), encoded, relative)[0])

    def encode(self, feats: Tensor, relative: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(feats)
        return encoded

    def searcher(self, settings: dict[str, Any]) -> nn.Module:
        searcher: nn.Module = S2SRNNBeamSearcher(self.embed, self.decoder, self.out, **settings)
        return searcher


def crdnn() -> nn.Module:
    """Two blocks of two convolutions, 128 and 256 channels, a quarter of the frames, BLSTM 3 × 320, one linear."""
    encoder: nn.Module = CRDNN(
        input_size=80,
        time_pooling=True,
        time_pooling_size=4,
        rnn_class=LSTM,
        rnn_layers=3,
        rnn_neurons=320,
        dnn_blocks=1,
        dnn_neurons=320,
        dropout=0.15,
    )
    return encoder


def conv_blstm() -> nn.Module:
    """The light front of T and C, then the same BLSTM."""
    flat = nn.Flatten(2)
    return nn.Sequential(
        conv_frontend(),
        flat,
        LSTM(320, input_size=640, num_layers=3, bidirectional=True, dropout=0.2),
        FirstOutput(),
    )


class FirstOutput(nn.Module):
    """The frames out of frames and state."""

    def forward(self, found: tuple[Tensor, Tensor]) -> Tensor:
        return found[0]


def conv_frontend() -> nn.Module:
    front: nn.Module = ConvolutionFrontEnd(
        input_shape=(8, 10, 80),
        num_blocks=2,
        num_layers_per_block=1,
        out_channels=(64, 32),
        kernel_sizes=(3, 3),
        strides=(2, 2),
        residuals=(False, False),
    )
    return front


def build(architecture: Architecture, front: str, vocabulary: int) -> tuple[nn.Module, Optimizer]:
    """front: `conv` puts the light front of T and C before R, in place of CRDNN's own."""
    step = Recurrent(front, vocabulary) if architecture == "R" else Transformer(architecture, vocabulary)
    return step, torch.optim.Adam(step.parameters(), lr=1e-3)


if __name__ == "__main__":
    run(build)
