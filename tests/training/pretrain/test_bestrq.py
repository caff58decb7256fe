"""The loss is the cross-entropy of masked encoder frames, and of nothing else."""

from dataclasses import replace

import pytest
import tones
import torch

from asrattn.encoders import ConformerConfig, EncoderConfig, LSTMEncoderConfig
from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.training.pretrain import BestRQConfig
from asrattn.training.pretrain.network import BestRQ

CONFIG = BestRQConfig(codebook_size=6, codebook_dim=4, codebooks=2, mask_prob=0.05, mask_span=0.12)
ENCODERS: list[EncoderConfig] = [
    LSTMEncoderConfig(dim=8, layers=3, channels=4, subsampling="pyramid", dropout=0.0),
    ConformerConfig(dim=8, layers=1, heads=2, ffn_dim=8, channels=4, kernel=3, dropout=0.0),
    ConformerConfig(
        dim=8, layers=1, heads=2, ffn_dim=8, channels=4, kernel=3, dropout=0.0, subsampling="vgg"
    ),
]
WAVE_LENS = torch.tensor([8000, 5100, 3333])
SEEDS = [3, 4, 5]


def network(encoder: EncoderConfig) -> BestRQ:
    torch.manual_seed(0)
    config = replace(tones.recipe().model, encoder=encoder, vocabulary=9)
    return BestRQ(SpeechModel(config), CONFIG, seed=0).eval()


def waves() -> torch.Tensor:
    return torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=ENCODERS, ids=lambda e: f"{e.kind}-{e.subsampling}")
def net(request: pytest.FixtureRequest) -> BestRQ:
    return network(request.param)


@torch.no_grad()
def test_the_loss_is_that_of_the_masked_frames_alone(net: BestRQ) -> None:
    feats, lens = net.features(waves(), WAVE_LENS)
    batch = net.mask(feats, lens, SEEDS)
    where = batch.masked.ne(feats).any(-1)
    found = net(batch)
    encoded = net.speech.encoder(batch.masked, lens)
    nats, correct, predictions = 0.0, 0, 0
    for b in range(3):
        for t in range(int(encoded.lens[b])):
            begin, end = net.factor * t, net.factor * (t + 1)
            if end > int(lens[b]) or not where[b, begin:end].all():
                assert t >= batch.predicted.shape[1] or not batch.predicted[b, t]
                continue
            assert batch.predicted[b, t]
            logits = net.head(encoded.output[b, t]).view(2, 6)
            for row, code in zip(logits, net.quantizer(feats[b, begin:end].flatten()), strict=True):
                nats -= float(row.log_softmax(-1)[code])
                correct += int(row.argmax() == code)
                predictions += 1
    assert predictions > 20
    assert float(found.loss) == pytest.approx(nats, rel=1e-4)
    assert (int(found.correct), int(found.predictions)) == (correct, predictions)


@torch.no_grad()
def test_padding_and_batching_change_nothing(net: BestRQ) -> None:
    feats, lens = net.features(torch.nn.functional.pad(waves(), (0, 999)), WAVE_LENS)
    together = net(net.mask(feats, lens, SEEDS))
    alone = []
    for b in range(3):
        one, its = net.features(waves()[b : b + 1, : int(WAVE_LENS[b])], WAVE_LENS[b : b + 1])
        alone.append(net(net.mask(one, its, SEEDS[b : b + 1])))
    assert float(together.loss) == pytest.approx(sum(float(a.loss) for a in alone), rel=1e-4)
    assert int(together.predictions) == sum(int(a.predictions) for a in alone)
    whole = sum(
        net.code_counts(*net.features(waves()[b : b + 1, : int(n)], n[None])) for b, n in enumerate(WAVE_LENS)
    )
    assert torch.equal(net.code_counts(feats, lens), torch.as_tensor(whole))


def test_the_encoder_does_not_see_what_is_masked(net: BestRQ) -> None:
    feats, lens = net.features(waves(), WAVE_LENS)
    batch = net.mask(feats, lens, SEEDS)
    where = batch.masked.ne(feats).any(-1, keepdim=True)
    other = net.mask(torch.where(where, feats + 7, feats), lens, SEEDS)
    assert torch.equal(batch.masked, other.masked)
    assert torch.equal(batch.predicted, other.predicted)


def test_encoder_and_head_are_trained_and_the_rest_is_frozen(net: BestRQ) -> None:
    net(net.mask(*net.features(waves(), WAVE_LENS), SEEDS)).loss.backward()
    with_gradient = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in with_gradient} == {"speech", "head"}
    for name, p in net.named_parameters():
        assert p.requires_grad != name.startswith(("speech.decoder.", "speech.ctc."))
        assert (p.grad is not None) == p.requires_grad


def test_a_span_must_cover_an_encoder_frame() -> None:
    speech = network(ENCODERS[1]).speech
    with pytest.raises(
        ConfigError, match=r"bestrq\.mask_span must be at least 0\.04 s, the 4 feature frames"
    ):
        BestRQ(speech, replace(CONFIG, mask_span=0.03), seed=0)


def test_without_a_masked_frame_the_loss_is_zero() -> None:
    net = network(ENCODERS[1])
    batch = net.mask(*net.features(waves(), WAVE_LENS), SEEDS)
    found = net(batch._replace(predicted=torch.zeros_like(batch.predicted)))
    found.loss.backward()
    assert (float(found.loss.detach()), int(found.predictions)) == (0.0, 0)
