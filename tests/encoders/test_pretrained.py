"""Pretrained encoders against transformers, on tiny random models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tones
import torch

from asrattn import checkpoint
from asrattn.augment import AugmentConfig
from asrattn.encoders import PretrainedEncoderConfig
from asrattn.encoders.interface import build as build_encoder
from asrattn.encoders.pretrained import CLASSES, PretrainedEncoder, build_model, draw_spans
from asrattn.errors import ConfigError, DataError
from asrattn.features import FeatureConfig
from asrattn.training.fit import fit

pytest.importorskip("transformers", reason="the extra hf is not installed")

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 40}
CONVOLUTIONS = {"conv_dim": [16, 16, 16], "conv_kernel": [10, 4, 2], "conv_stride": [5, 4, 2]}
POSITIONS = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
WAVE = SIZES | CONVOLUTIONS | POSITIONS
NORMED = WAVE | {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
DATA2VEC = SIZES | CONVOLUTIONS | {"conv_pos_kernel_size": 5, "num_conv_pos_embedding_groups": 2}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 3,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 40,
    "num_mel_bins": 20,
}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("wav2vec2", WAVE),
    "wav2vec2-layer": ("wav2vec2", NORMED),
    "hubert": ("hubert", WAVE),
    "hubert-batch": ("hubert", NORMED | {"conv_pos_batch_norm": True}),
    "wavlm": ("wavlm", WAVE),
    "wavlm-layer": ("wavlm", NORMED),
    "data2vec": ("data2vec-audio", DATA2VEC),
    "wav2vec2-bert": ("wav2vec2-bert", SIZES | {"feature_projection_input_dim": 20, "conv_depthwise_kernel_size": 5}),
    "whisper": ("whisper", WHISPER | {"max_source_positions": 150}),
}  # fmt: skip
STILL = {"dropout": 0.0, "mask_time_prob": 0.0}  # draws nothing in training
BATCH = {"wave": (900, 610, 333), "seamless": (45, 30, 21), "whisper": (45, 30, 21)}


def config(name: str, **more: Any) -> PretrainedEncoderConfig:
    family, settings = SETTINGS[name]
    return PretrainedEncoderConfig(family=family, settings=json.dumps(settings), **more)  # type: ignore[arg-type]


def encoder_of(config: PretrainedEncoderConfig) -> PretrainedEncoder:
    torch.manual_seed(0)
    made = build_encoder(config, 1 if config.feature_kind == "wave" else 20)
    assert isinstance(made, PretrainedEncoder)
    return made.eval()


def batch_of(config: PretrainedEncoderConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Three utterances, padded."""
    lens = torch.tensor(BATCH[config.feature_kind])
    feats = torch.randn(3, int(lens.max()), 1 if config.feature_kind == "wave" else 20)
    return feats * (torch.arange(feats.shape[1]) < lens[:, None])[..., None], lens


@pytest.fixture(params=SETTINGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def theirs(config: PretrainedEncoderConfig) -> Any:
    """transformers' own encoder, with the same weights as `encoder_of`."""
    torch.manual_seed(0)
    return build_model(config).eval()


@torch.no_grad()
def test_output_is_that_of_transformers(name: str) -> None:
    last, weighted = config(name, weighted_layers=False), config(name)
    feats, lens = batch_of(last)
    output, out_lens, middle = encoder_of(last)(feats, lens)
    mixed = encoder_of(weighted)(feats, lens).output
    assert middle is not None
    model = theirs(last)
    for b, size in enumerate(lens.tolist()):
        x = feats[b : b + 1, :size]
        if last.family == "whisper":
            silence = max(float(x.max()) - 2, -1.5)
            x = torch.nn.functional.pad(x, (0, 0, 0, 300 - size), value=silence).transpose(1, 2)
        expected = model(x[..., 0] if last.feature_kind == "wave" else x, output_hidden_states=True)
        T = int(out_lens[b])
        states = [*expected.hidden_states[:-1], expected.last_hidden_state]
        assert len(states) == 4
        torch.testing.assert_close(output[b, :T], states[-1][0, :T], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(middle[b, :T], states[2][0, :T], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(mixed[b, :T], torch.stack(states).mean(0)[0, :T], atol=1e-5, rtol=1e-4)
        if last.family != "whisper":
            assert states[-1].shape[1] == T


def test_shapes_and_lengths(name: str) -> None:
    encoder = encoder_of(config(name))
    feats, lens = batch_of(encoder.config)
    output, out_lens, middle = encoder(feats, lens)
    assert output.shape == (3, int(out_lens.max()), encoder.dim)
    assert out_lens.dtype == torch.int64
    assert torch.equal(out_lens, encoder.lens(lens))
    assert middle is not None
    assert middle.shape == output.shape


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing_and_stays_zero(name: str, training: bool) -> None:
    encoder = encoder_of(config(name, **STILL)).train(training and name != "hubert-batch")
    feats, lens = batch_of(encoder.config)
    longer = torch.cat((feats, torch.zeros(3, 37, feats.shape[2])), dim=1)
    output, out_lens, _ = encoder(longer, lens)
    expected = encoder(feats, lens).output
    torch.testing.assert_close(output[:, : out_lens.max()], expected, atol=1e-5, rtol=1e-4)
    assert not output[1, out_lens[1] :].any()
    alone = encoder(feats[1:2, : lens[1]], lens[1:2]).output[0]
    torch.testing.assert_close(output[1, : out_lens[1]], alone, atol=1e-5, rtol=1e-4)


def test_shortest_input_gives_no_frame_and_does_not_fail(name: str) -> None:
    encoder = encoder_of(config(name))
    feats, lens = batch_of(encoder.config)
    output, out_lens, _ = encoder(feats[:1, :1], torch.tensor([1]))
    assert out_lens.item() == encoder.lens(torch.tensor([1])).item()
    assert output.isfinite().all()
    beside = encoder(feats, torch.tensor([int(lens[0]), 0, 1])).output
    expected = encoder(feats[:1], lens[:1]).output
    torch.testing.assert_close(beside[:1], expected, atol=1e-5, rtol=1e-4)
    assert not beside[1].any()


def test_training_step_reaches_every_weight(name: str) -> None:
    encoder = encoder_of(config(name, mask_time_length=2)).train()
    before = {n: p.detach().clone() for n, p in encoder.named_parameters()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    out = encoder(*batch_of(encoder.config))
    (out.output * torch.randn(out.output.shape)).sum().backward()
    optimizer.step()
    learning = [(n, p) for n, p in encoder.named_parameters() if p.requires_grad]
    assert [n for n, p in learning if p.grad is None or not p.grad.isfinite().all()] == []
    changed = [n for n, p in learning if not torch.equal(p, before[n])]
    assert len(changed) > 0.8 * len(learning)
    assert any("layers.0." in n for n in changed)
    assert "layer_weights" in changed


def test_same_seed_gives_the_same_output_in_training(name: str) -> None:
    encoder = encoder_of(config(name, mask_time_prob=0.3, mask_time_length=2)).train()
    batch = batch_of(encoder.config)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(encoder(*batch).output)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_masks_change_training_and_nothing_else(name: str) -> None:
    masked, plain = (
        encoder_of(config(name, dropout=0.0, mask_time_prob=p, mask_time_length=2)) for p in (0.5, 0.0)
    )
    plain.load_state_dict(masked.state_dict())
    batch = batch_of(masked.config)
    assert torch.equal(masked(*batch).output, plain(*batch).output)
    assert not torch.allclose(masked.train()(*batch).output, plain.train()(*batch).output, atol=1e-3)


def test_bfloat16_is_float32_roughly(name: str) -> None:
    encoder = encoder_of(config(name))
    batch = batch_of(encoder.config)
    exact = encoder(*batch).output
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(*batch).output
        learned = encoder.train()(*batch).output
    assert (rough - exact).square().mean() < 0.02 * exact.square().mean()
    learned.float().square().sum().backward()


@pytest.mark.parametrize("prob", [0.0, 0.3, 1.0])
def test_spans_lie_within_the_utterance(prob: float) -> None:
    lens = torch.tensor([40, 7, 5, 4, 0])
    masked = draw_spans(lens, prob, 5, 1)
    assert masked.shape == (5, 40)
    assert not masked[torch.arange(40) >= lens[:, None]].any()
    assert masked[1].sum() == 5
    assert masked[2].sum() == 5
    assert not masked[3:].any()
    assert 5 <= masked[0].sum() <= 40
    assert not draw_spans(lens, prob, 5, 0)[1:, 10:].any()


def test_share_of_masked_frames_is_at_most_that_wanted() -> None:
    torch.manual_seed(0)
    masked = draw_spans(torch.full((200,), 100), 0.3, 10, 0)
    assert 0.2 < masked.float().mean() < 0.3


def test_every_family_has_classes_and_a_test() -> None:
    assert {family for family, _ in SETTINGS.values()} == set(CLASSES)


def test_wrong_settings_are_reported() -> None:
    good = config("wav2vec2")
    for settings, told in [
        ({"hidden_siz": 3}, "no setting 'hidden_siz'"),
        ({"_attn_implementation": "x"}, "no setting '_attn_implementation'"),
        ({"attn_implementation": "x"}, "no setting 'attn_implementation'"),
        ({"hidden_size": "x"}, "make no wav2vec2 encoder"),
        ({"hidden_size": 32, "num_attention_heads": 5}, "make no wav2vec2 encoder"),
        ({"hidden_act": "no"}, "make no wav2vec2 encoder"),
        ({"conv_dim": [-1] * 7}, "make no wav2vec2 encoder"),
    ]:
        with pytest.raises(ConfigError, match=told) as caught:
            build_encoder(replace(good, settings=json.dumps(settings)), 1)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="takes 1 features a frame, not 80"):
        build_encoder(good, 80)


def test_whisper_takes_thirty_seconds_and_no_more() -> None:
    encoder = encoder_of(config("whisper"))
    assert encoder(torch.randn(1, 300, 20), torch.tensor([300])).output.shape == (1, 150, 32)
    with pytest.raises(DataError, match="has 301 frames"):
        encoder(torch.randn(1, 301, 20), torch.tensor([301]))


def test_missing_transformers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers.models.wav2vec2.modeling_wav2vec2", None)
    with pytest.raises(ConfigError, match=r"pip install asrattn\[hf\]"):
        build_encoder(config("wav2vec2"), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wav2vec2", "wavlm-layer", "data2vec"])
def test_training_run_is_the_same_for_the_same_seed(corpus: Path, tmp_path: Path, name: str) -> None:
    """A whole run, whose model file is loaded, evaluated and fine-tuned without transformers' folder."""
    still = AugmentConfig(stretch=0, vtlp=0, equalizer=0, frequency_masks=0, time_masks=0)
    base = tones.recipe(epochs=2)
    features = FeatureConfig(kind="wave", rate=tones.RATE, normalize="utterance")
    model = replace(base.model, frontend=features, encoder=config(name, mask_time_length=2))
    recipe = replace(base, model=model, augment=still)
    runs = [fit(recipe, corpus, tmp_path / name, seed=3) for name in ("a", "b")]
    one, two = (checkpoint.load(path).model.state_dict() for path in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    tuned = replace(recipe, model=replace(model, encoder=config(name, mask_time_prob=0.2, dropout=0.0)))
    more = fit(replace(tuned, train=replace(recipe.train, epochs=1)), corpus, tmp_path / "c", init=runs[0])
    assert checkpoint.load(more).card["epochs"] == 1
