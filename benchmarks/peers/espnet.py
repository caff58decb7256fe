"""ESPnet's side, run by its own environment: python -m benchmarks.peers.espnet T."""

import torch
from espnet.nets.batch_beam_search import BatchBeamSearch
from espnet.nets.beam_search import BeamSearch
from espnet.nets.scorers.ctc import CTCPrefixScorer
from espnet2.asr.ctc import CTC
from espnet2.asr.decoder.abs_decoder import AbsDecoder
from espnet2.asr.decoder.rnn_decoder import RNNDecoder
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from espnet2.asr.encoder.transformer_encoder import TransformerEncoder
from espnet2.asr.encoder.vgg_rnn_encoder import VGGRNNEncoder
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.layers.utterance_mvn import UtteranceMVN
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.peers.batches import RATE
from benchmarks.peers.harness import BEAM, CTC_SHARE, Architecture, run

PADDING = -1


class Step(nn.Module):
    """Features and losses of one batch. No error rates are counted in training, which is faster."""

    def __init__(self, encoder: AbsEncoder, decoder: AbsDecoder, vocabulary: int) -> None:
        super().__init__()
        self.model = ESPnetASRModel(
            vocab_size=vocabulary,
            token_list=["<blank>", *map(str, range(vocabulary - 2)), "<sos/eos>"],
            frontend=DefaultFrontend(fs=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=80),
            specaug=None,
            normalize=UtteranceMVN(),
            preencoder=None,
            encoder=encoder,
            postencoder=None,
            decoder=decoder,
            ctc=CTC(vocabulary, encoder.output_size()),
            joint_network=None,
            ctc_weight=0.3,
            lsm_weight=0.1,
            report_cer=False,
            report_wer=False,
        )

    def forward(self, wave: Tensor, wave_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        padding = torch.arange(tokens.shape[1]) >= token_lens[:, None]
        loss: Tensor = self.model(wave, wave_lens, tokens.masked_fill(padding, PADDING), token_lens)[0]
        return loss

    def end(self) -> Tensor:
        decoder = self.model.decoder
        bias: Tensor = (decoder.output if isinstance(decoder, RNNDecoder) else decoder.output_layer).bias
        return bias[self.model.eos]

    def search(self, wave: Tensor, wave_lens: Tensor, count: int) -> list[int]:
        """One utterance after the other, as ESPnet does; the hypotheses together where the decoder can."""
        encoded, lens = self.model.encode(wave, wave_lens)
        kind = BeamSearch if isinstance(self.model.decoder, RNNDecoder) else BatchBeamSearch
        scorers = {"decoder": self.model.decoder, "ctc": CTCPrefixScorer(self.model.ctc, self.model.eos)}
        beam = kind(
            beam_size=BEAM,
            vocab_size=self.model.vocab_size,
            scorers=scorers,
            weights={"decoder": 1 - CTC_SHARE, "ctc": CTC_SHARE},
            sos=self.model.sos,
            eos=self.model.eos,
            token_list=self.model.token_list,
            pre_beam_score_key="full",
        )
        found = []
        for frames, length in zip(encoded, lens.tolist(), strict=True):
            best, *_ = beam(frames[:length], maxlenratio=-count)
            found.append(len(best.yseq) - 2)  # without start and end
        return found


def build(architecture: Architecture, front: str, vocabulary: int) -> tuple[nn.Module, Optimizer]:
    """There is one front for each: two convolutions of 256 channels before T and C, VGG before R."""
    sizes = {"output_size": 256, "attention_heads": 4, "num_blocks": 12, "dropout_rate": 0.1}
    encoder: AbsEncoder
    decoder: AbsDecoder
    if architecture == "R":
        encoder = VGGRNNEncoder(80, num_layers=3, hidden_size=320, output_size=320, dropout=0.2)
        decoder = RNNDecoder(vocabulary, 320, hidden_size=320, dropout=0.2)  # location-aware, of 320
    elif architecture == "T":
        encoder = TransformerEncoder(80, linear_units=2048, attention_dropout_rate=0.1, **sizes)
        decoder = TransformerDecoder(vocabulary, 256, linear_units=2048, **dropouts())
    else:
        encoder = ConformerEncoder(
            80,
            linear_units=1024,
            attention_dropout_rate=0.1,
            macaron_style=True,
            rel_pos_type="latest",
            cnn_module_kernel=31,
            **sizes,
        )
        decoder = TransformerDecoder(vocabulary, 256, linear_units=1024, **dropouts())
    step = Step(encoder, decoder, vocabulary)
    return step, torch.optim.Adam(step.parameters(), lr=1e-3)


def dropouts() -> dict[str, float]:
    names = (
        "dropout_rate",
        "positional_dropout_rate",
        "self_attention_dropout_rate",
        "src_attention_dropout_rate",
    )
    return dict.fromkeys(names, 0.1)


if __name__ == "__main__":
    run(build)
