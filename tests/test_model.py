"""The model's losses against torch's own and against their formulas."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn.decoders import RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import ConformerConfig, LSTMEncoderConfig, TransformerEncoderConfig
from asrattn.errors import ConfigError
from asrattn.features import FeatureConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.model.ctc_head import CTCHead
from asrattn.model.losses import LossNormalizer, consistency_loss, ctc_loss, spell_batch
from asrattn.model.speech_model import SpeechModel
from asrattn.text import BYTE_VOCABULARY, EOS, UNKNOWN, CharTokenizer, Spelling

V = 8


def small(encoder=None, decoder=None):
    config = ModelConfig(
        frontend=FeatureConfig(mels=20),
        encoder=encoder or LSTMEncoderConfig(dim=12, layers=2, channels=4),
        decoder=decoder or RecurrentDecoderConfig(dim=12, embedding=6),
        vocabulary=V,
    )
    torch.manual_seed(0)
    return SpeechModel(config).eval()


MODELS = [
    (LSTMEncoderConfig(dim=12, layers=2, channels=4), RecurrentDecoderConfig(dim=12, embedding=6)),
    (
        ConformerConfig(dim=16, layers=2, heads=2, ffn_dim=16, channels=4),
        TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=16),
    ),
    (
        TransformerEncoderConfig(dim=16, layers=2, heads=2, ffn_dim=16, channels=4),
        RecurrentDecoderConfig(dim=12, embedding=6),
    ),
]


@pytest.fixture
def batch():
    torch.manual_seed(1)
    feats, feat_lens = torch.randn(2, 60, 20), torch.tensor([60, 44])
    feats[1, 44:] = 0
    return feats, feat_lens, torch.tensor([[3, 4, 4, 5], [6, 7, 0, 0]]), torch.tensor([4, 2])


@pytest.mark.parametrize(("encoder", "decoder"), MODELS)
def test_total_is_the_weighted_sum_and_every_weight_learns(encoder, decoder, batch):
    model = small(encoder, decoder).train()
    config = LossConfig(ctc=0.4, inter_ctc=0.25, label_smoothing=0.1)
    losses = model.loss(*batch, config)
    expected = 0.6 * losses.attention + 0.4 * (0.75 * losses.ctc + 0.25 * losses.inter_ctc)
    torch.testing.assert_close(losses.total, expected)
    losses.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_attention_loss_is_the_mean_over_tokens_and_eos(batch):
    model = small()
    feats, feat_lens, tokens, token_lens = batch
    loss = model.loss(*batch, LossConfig(ctc=0.0, label_smoothing=0.0))
    nats = 0.0
    for b in range(2):
        sequence = tokens[b, : token_lens[b]].tolist()
        enc = model.encoder(feats[b : b + 1, : feat_lens[b]], feat_lens[b : b + 1])
        logits = model.decoder(torch.tensor([[EOS, *sequence]]), enc.output, enc.lens).logits[0]
        nats += F.cross_entropy(logits, torch.tensor([*sequence, EOS]), reduction="sum").item()
    assert loss.total.item() == pytest.approx(nats / (4 + 2 + 2), rel=1e-4)
    assert loss.ctc.item() == 0


def test_ctc_loss_sums_every_alignment():
    """Two frames, one token: a·a, a·blank, blank·a."""
    log_probs = torch.randn(1, 2, 4).log_softmax(-1)
    p = log_probs[0].exp()
    total = p[0, 3] * p[1, 3] + p[0, 3] * p[1, 0] + p[0, 0] * p[1, 3]
    loss = ctc_loss(log_probs, torch.tensor([2]), torch.tensor([[3]]), torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(total.item()), rel=1e-5)


def test_ctc_loss_is_zero_without_gradient_where_the_tokens_do_not_fit():
    logits = torch.zeros(2, 3, 4, requires_grad=True)
    labels = torch.tensor([[3, 3], [3, 0]])
    loss = ctc_loss(logits.log_softmax(-1), torch.tensor([2, 3]), labels, torch.tensor([2, 1]))
    alone = ctc_loss(logits[1:].log_softmax(-1), torch.tensor([3]), labels[1:], torch.tensor([1]))
    assert loss.item() == pytest.approx(alone.item())
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[0].any()
    assert logits.grad[1].any()


@pytest.mark.parametrize(("encoder", "decoder"), MODELS)
def test_silence_without_a_text_has_a_loss(encoder, decoder):
    lens, nothing = torch.tensor([60, 60]), torch.zeros(2, 0, dtype=torch.int64)
    config, step = LossConfig(ctc=0.3, consistency=0.2), LossNormalizer(2, 1)
    losses = small(encoder, decoder).loss(
        torch.zeros(2, 60, 20), lens, nothing, torch.zeros_like(lens), config, step
    )
    assert torch.stack(losses).isfinite().all()
    assert losses.ctc.detach() > 0


def test_consistency_is_zero_for_equal_halves_and_counts_real_frames_only():
    half = torch.randn(2, 5, 4).log_softmax(-1)
    lens = torch.tensor([5, 3, 5, 3])
    assert consistency_loss(torch.cat((half, half)), lens).item() == pytest.approx(0, abs=1e-6)
    other = half.clone()
    other[1, 3:] = torch.randn(2, 4).log_softmax(-1)
    assert consistency_loss(torch.cat((half, other)), lens).item() == pytest.approx(0, abs=1e-6)
    other[1, 0] = torch.randn(4).log_softmax(-1)
    p, q = half[1, 0].exp(), other[1, 0].exp()
    divergence = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    assert consistency_loss(torch.cat((half, other)), lens).item() == pytest.approx(
        divergence.item(), rel=1e-4
    )


def test_padding_of_the_batch_changes_no_loss(batch):
    model = small()
    feats, feat_lens, tokens, token_lens = batch
    config = LossConfig(inter_ctc=0.3)
    longer = (F.pad(feats, (0, 0, 0, 30)), feat_lens, F.pad(tokens, (0, 5)), token_lens)
    for one, other in zip(model.loss(*batch, config), model.loss(*longer, config), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_encode_goes_from_wave_to_frames():
    model = small()
    encoded = model.encode(torch.randn(2, 16000), torch.tensor([16000, 9000]))
    assert encoded.output.shape[2] == model.encoder.dim
    assert torch.equal(encoded.lens, model.encoder.lens(model.frontend.lens(torch.tensor([16000, 9000]))))
    torch.testing.assert_close(
        model.ctc_log_probs(encoded.output, encoded.lens).exp().sum(-1), torch.ones(encoded.output.shape[:2])
    )


def test_unknown_vocabulary_and_shares_outside_are_told():
    with pytest.raises(ConfigError, match="vocabulary is 0"):
        SpeechModel(ModelConfig())
    with pytest.raises(ConfigError, match=r"ctc is 1\.5"):
        LossConfig(ctc=1.5)
    pyramid = replace(LSTMEncoderConfig(dim=12, layers=4), subsampling="pyramid", layers=3)
    assert small(pyramid).encoder.pyramid == 2


@pytest.mark.parametrize(("encoder", "decoder"), MODELS)
def test_guided_attention_is_what_lies_off_the_diagonal(encoder, decoder, batch):
    feats, feat_lens, tokens, token_lens = batch
    model = small(encoder, decoder)
    losses = model.loss(*batch, LossConfig(ctc=0.0, guided=2.0))
    encoded = model.encoder(feats, feat_lens)
    weights = model.decoder(F.pad(tokens, (1, 0), value=EOS), encoded.output, encoded.lens).alignment_weights
    off = sum(
        weights[b, u, t].item()
        * (1 - math.exp(-(((u + 0.5) / (n + 1) - (t + 0.5) / frames) ** 2) / (2 * 0.2**2)))
        for b, (n, frames) in enumerate(zip(token_lens.tolist(), encoded.lens.tolist(), strict=True))
        for u in range(n + 1)
        for t in range(frames)
    )
    assert losses.guided.item() == pytest.approx(off / (6 + 2), rel=1e-4)
    torch.testing.assert_close(losses.total, losses.attention + 2 * losses.guided)
    losses.guided.backward()
    assert sum(p.grad.abs().sum() for p in model.decoder.parameters() if p.grad is not None) > 0


def test_consistency_counts_what_both_heads_say():
    model = small()
    feats, lens = torch.randn(2, 60, 20), torch.tensor([60, 50])
    tokens, token_lens = torch.tensor([[3, 4, 5], [4, 3, 0]]), torch.tensor([3, 2])

    def loss(first, second, ctc):
        copies = torch.cat((first, second)), torch.cat((lens, lens))
        config = LossConfig(ctc=ctc, consistency=0.2)
        return model.loss(*copies, torch.cat((tokens, tokens)), torch.cat((token_lens, token_lens)), config)

    for ctc in (0.0, 0.3, 1.0):
        assert loss(feats, feats, ctc).consistency.item() == pytest.approx(0, abs=1e-6)
    heads = [loss(feats, feats + 1, ctc).consistency.item() for ctc in (0.0, 1.0, 0.3)]
    assert min(heads) > 0
    assert heads[2] == pytest.approx(heads[0] + heads[1], rel=1e-4)


def test_token_noise_disturbs_what_is_fed_in_training_and_never_what_is_wanted(batch, monkeypatch):
    model = small()
    fed = []
    decode = type(model.decoder).forward

    def forward(self, tokens, *rest):
        fed.append(tokens)
        return decode(self, tokens, *rest)

    monkeypatch.setattr(type(model.decoder), "forward", forward)
    for noise in (0.0, 0.5):
        for training in (False, True):
            model.train(training).loss(*batch, LossConfig(ctc=0.0, decoder_input_noise=noise))
    plain, _, untouched, disturbed = fed
    assert torch.equal(plain, untouched)  # in evaluation
    assert (disturbed[:, 0] == EOS).all()
    changed = disturbed != plain
    assert 0 < changed[:, 1:].float().mean().item() < 1
    assert (disturbed[changed] > UNKNOWN).all()


def test_ctc_over_bytes_spells_the_tokens(batch):
    tokenizer = CharTokenizer("aB,c ")
    model = SpeechModel(replace(small().config, ctc_labels="bytes")).eval()
    assert model.ctc.weight.shape[0] == model.ctc_vocabulary == BYTE_VOCABULARY
    with pytest.raises(ConfigError, match="spell_with"):
        model.loss(*batch, LossConfig())
    model.spell_with(tokenizer)
    feats, feat_lens, _, _ = batch
    texts = ["aB,c", "c a"]  # the comma has no label
    tokens = torch.tensor([tokenizer.encode(texts[0]), [*tokenizer.encode(texts[1]), 0]])
    token_lens = torch.tensor([4, 3])
    found = model.loss(feats, feat_lens, tokens, token_lens, LossConfig(ctc=0.5, inter_ctc=0.5))
    encoded = model.encoder(feats, feat_lens)
    labels = torch.tensor([[3 + byte for byte in text] for text in (b"abc", b"c a")])
    for output, loss in ((encoded.output, found.ctc), (encoded.middle, found.inter_ctc)):
        wanted = (
            ctc_loss(model.ctc_log_probs(output, encoded.lens), encoded.lens, labels, torch.tensor([3, 3]))
            / 7
        )
        torch.testing.assert_close(loss, wanted)


@settings(max_examples=25)
@given(texts=st.lists(st.lists(st.integers(2, 6), max_size=5), min_size=1, max_size=4))
def test_spelled_batches_are_the_spelled_texts(texts):
    rows = ((), (), (2,), (), (7,), (8, 9), (7, 7, 4))
    table = torch.tensor([[*row, *[-1] * (3 - len(row))] for row in rows])
    lens = torch.tensor([len(text) for text in texts])
    tokens = torch.full((len(texts), 5), 6)  # not blank: what pads counts for nothing
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.int64)
    labels, counts = spell_batch(table, tokens, lens)
    assert labels.shape[1] == counts.max()
    for text, row, count in zip(texts, labels.tolist(), counts.tolist(), strict=True):
        assert row == [*Spelling(rows).spell(text)[0], *[0] * (len(row) - count)]


def test_ctc_head_with_an_lstm_ignores_padding() -> None:
    head = CTCHead(8, 5, 6, dropout=0.5)
    frames = torch.randn(2, 9, 8)
    lens = torch.tensor([9, 4])
    assert not torch.equal(head.log_probs(frames, lens), head.log_probs(frames, lens))  # dropout
    head.eval()
    found = head.log_probs(frames, lens)
    alone = head.log_probs(frames[1:, :4], lens[1:])
    torch.testing.assert_close(found[1, :4], alone[0])
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 9))
