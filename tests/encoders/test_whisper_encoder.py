"""Whisper's features, encoder and logits are those of transformers; a few silent frames stand for all of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_whisper
import torch

from asrattn import audio
from asrattn.checkpoint import Checkpoint
from asrattn.convert import huggingface, whisper
from asrattn.encoders import WhisperEncoderConfig
from asrattn.encoders.whisper import WhisperEncoder, sample_log_weights
from asrattn.features import FeatureConfig
from asrattn.features.extraction import FeatureExtractor, whisper_silence
from asrattn.lengths import mask
from asrattn.text import EOS

RATE = 16000


def padded(*seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Buzzes of these lengths: (B, S), (B,)."""
    waves = [torch.from_numpy(tiny.wave(each, n, RATE)) for n, each in enumerate(seconds)]
    lens = torch.tensor([len(wave) for wave in waves])
    return torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), lens


def features_of_transformers(wave: np.ndarray, mels: int = 80) -> torch.Tensor:
    """(S,) -> (1, M, 3000)."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    return extractor(wave, sampling_rate=RATE, return_tensors="pt").input_features


def assert_is_transformers(folder: Path, saved: Checkpoint, wave: np.ndarray) -> None:
    """Features, encoder outputs and logits."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    wanted = features_of_transformers(wave, saved.model.config.frontend.mels)
    model = saved.model
    with torch.inference_mode():
        feats, lens = model.frontend(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
        T = int(lens)
        torch.testing.assert_close(feats[0, :T].T, wanted[0, :, :T], atol=1e-4, rtol=0)
        encoded = model.encoder(feats, lens)
        theirs_encoded = theirs.model.encoder(wanted).last_hidden_state
        torch.testing.assert_close(encoded.output, theirs_encoded, atol=1e-3, rtol=0)
        text = saved.tokenizer.encode("he heard a bell")
        ids = [saved.tokenizer.to_whisper(token) for token in (*model.decoder.prompt, *text)]
        found = model.decoder(torch.tensor([[EOS, *text]]), encoded.output, encoded.lens).logits
        logits = theirs(wanted, decoder_input_ids=torch.tensor([ids])).logits
        order = [saved.tokenizer.from_whisper(i) for i in range(logits.shape[2])]
        past = len(model.decoder.prompt) - 1
        torch.testing.assert_close(found[..., order], logits[:, past:], atol=1e-3, rtol=0)


def test_random_model_is_that_of_transformers(tmp_path: Path) -> None:
    source = tiny_whisper.source(audio_context=1500)
    huggingface.write(tmp_path, source)
    assert_is_transformers(tmp_path, tiny_whisper.native(source), tiny.wave(2.3, rate=RATE))


@pytest.mark.slow
def test_tiny_en_is_that_of_transformers(shared_data: Path) -> None:
    folder = tiny_whisper.real_folder()
    saved = whisper.to_native(huggingface.read(folder))
    clip = sorted((shared_data / "commonvoice-en" / "clips").iterdir())[0]
    assert_is_transformers(folder, saved, audio.read(clip, RATE))


@pytest.mark.parametrize("seconds", [0.5, 29.98, 30.0, 30.5])
@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_those_of_transformers(seconds: float, mels: int) -> None:
    """Also of exactly 30 s, and of more, which is cut."""
    wave = tiny.wave(seconds, rate=RATE)
    wanted = features_of_transformers(wave, mels)[0].T
    extractor = FeatureExtractor(FeatureConfig.whisper(mels))
    (feats,), lens = extractor(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    T = int(lens)
    assert len(feats) == T <= 3000
    torch.testing.assert_close(feats, wanted[:T], atol=1e-4, rtol=0)
    silence = whisper_silence(feats[None], mask(lens, T))
    assert T == 3000 or torch.allclose(wanted[T:], silence, atol=1e-4)


def test_features_do_not_depend_on_the_batch() -> None:
    extractor = FeatureExtractor(FeatureConfig.whisper())
    waves, lens = padded(1.0, 0.3, 0.7)
    feats, feat_lens = extractor(waves, lens)
    longer = torch.nn.functional.pad(
        waves, (0, 5000), value=0.5
    )  # what lies beyond an utterance does not count
    torch.testing.assert_close(extractor(longer, lens)[0][:, : feats.shape[1]], feats)
    for b, T in enumerate(feat_lens.tolist()):
        (alone,), _ = extractor(waves[b : b + 1, : lens[b]], lens[b : b + 1])
        torch.testing.assert_close(feats[b, :T], alone)


def encoder(**settings: object) -> WhisperEncoder:
    torch.manual_seed(0)
    sizes = WhisperEncoderConfig(dim=16, layers=2, heads=2, ffn_dim=32, max_frames=120)
    return WhisperEncoder(replace(sizes, **settings), 80).eval()


@pytest.fixture(scope="module")
def feats() -> tuple[torch.Tensor, torch.Tensor]:
    return FeatureExtractor(FeatureConfig.whisper())(*padded(0.9, 0.4))


@torch.inference_mode()
def test_as_many_samples_as_silent_frames_are_exact(feats: tuple[torch.Tensor, torch.Tensor]) -> None:
    one = feats[0][:1], feats[1][:1]
    near = int(encoder(silence_samples=0).lens(one[1]))
    exact, sampled = encoder()(*one), encoder(silence_samples=120 - near)(*one)
    assert exact.lens.tolist() == sampled.lens.tolist() == [120]
    # The convolutions see the end of the 30 s in the last frame only.
    torch.testing.assert_close(sampled.output[:, :near], exact.output[:, :near], atol=2e-2, rtol=0)


@torch.inference_mode()
def test_samples_come_nearer_to_the_exact_outputs_than_none(feats: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact = encoder()(*feats).output

    def distance(samples: int) -> float:
        output, lens, _ = encoder(silence_samples=samples)(*feats)
        near = lens - samples
        return sum(float((output[b, :T] - exact[b, :T]).square().mean()) for b, T in enumerate(near.tolist()))

    assert distance(16) < 0.25 * distance(0)


def test_weights_are_the_logarithm_of_the_frames_each_stands_for() -> None:
    weights = sample_log_weights(torch.tensor([34, 20, 60]), 60, samples=4, max_frames=60)
    for row, near in zip(weights, (30, 16, 56), strict=True):
        counts = row.exp()
        assert counts[:near].tolist() == [1.0] * near
        torch.testing.assert_close(counts[near:], torch.full((60 - near,), (60 - near) / 4))
        torch.testing.assert_close(counts[: near + 4].sum(), torch.tensor(60.0))  # of all 60 frames


def test_weight_of_a_key_is_that_of_its_copies() -> None:
    """Softmax over a key with the score s + log n is that over n keys with the score s."""
    layer = encoder().layers[0].attention
    x = torch.randn(1, 5, 16)
    copied = torch.cat((x, x[:, -1:].expand(-1, 2, -1)), dim=1)
    weights = torch.tensor([[0.0, 0.0, 0.0, 0.0, np.log(3)]], dtype=torch.float32)
    real = torch.ones(1, 1, 7, dtype=torch.bool)
    torch.testing.assert_close(layer(x, real[..., :5], weights), layer(copied, real, None)[:, :5])


@pytest.mark.parametrize("samples", [None, 0, 1, 16])
@torch.inference_mode()
def test_padding_and_batching_change_nothing(
    feats: tuple[torch.Tensor, torch.Tensor], samples: int | None
) -> None:
    made = encoder(silence_samples=samples)
    output, lens, _ = made(*feats)
    longer = torch.nn.functional.pad(feats[0], (0, 0, 0, 40), value=7.0)
    torch.testing.assert_close(made(longer, feats[1]).output, output)
    for b, T in enumerate(lens.tolist()):
        F = int(feats[1][b])
        alone = made(feats[0][b : b + 1, :F], feats[1][b : b + 1])
        assert alone.lens.tolist() == [T]
        torch.testing.assert_close(output[b, :T], alone.output[0], atol=1e-5, rtol=1e-4)
        assert not output[b, T:].any()


@pytest.mark.parametrize("samples", [None, 4])
@torch.inference_mode()
def test_longer_audio_is_cut_where_positions_end(samples: int | None) -> None:
    made = encoder(silence_samples=samples)
    feats = torch.randn(1, 400, 80)
    output, lens, _ = made(feats, torch.tensor([400]))
    assert lens.tolist() == made.lens(torch.tensor([400])).tolist() == [120]
    assert output.shape[1] == 120
    torch.testing.assert_close(made(feats[:, :240], torch.tensor([240])).output, output)


def test_no_frames_give_none() -> None:
    lens = torch.tensor([0, 10])
    assert encoder(silence_samples=4).lens(lens).tolist() == [0, 34]
    assert encoder().lens(lens).tolist() == [0, 120]
