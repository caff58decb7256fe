"""The front-end against librosa, torchaudio and scipy, and its promises: padding and batching change nothing."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.config import from_plain, to_plain
from asrattn.errors import ConfigError, DataError
from asrattn.features import FeatureConfig
from asrattn.features.extraction import POWER_FLOOR, FeatureExtractor

KINDS = ("log-mel", "mfcc", "spectrogram")
# The others centre the window in the transform of 512 points; this many zeros put their frames where ours are.
SHIFT = (512 - 400) // 2


def plain(kind: str = "log-mel", **settings) -> FeatureExtractor:
    """No pre-emphasis and no normalisation: what the other libraries compute."""
    return FeatureExtractor(FeatureConfig(kind=kind, preemphasis=0.0, normalize="none", **settings))


def sound(samples: int, seed: int = 0) -> torch.Tensor:
    """A tone that wanders, in noise: (1, samples)."""
    t = torch.arange(samples) / 16000
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return (0.3 * torch.sin(2 * math.pi * (300 * t + 400 * t**2)) + 0.05 * noise)[None]


def batch(*lens: int) -> tuple[torch.Tensor, torch.Tensor]:
    wave = torch.zeros(len(lens), max(lens))
    for row, size in enumerate(lens):
        wave[row, :size] = sound(size, seed=row)
    return wave, torch.tensor(lens)


def ours(frontend: FeatureExtractor, wave: torch.Tensor) -> torch.Tensor:
    return frontend(wave, torch.tensor([wave.shape[1]]))[0][0]


def test_log_mel_is_librosas():
    wave = sound(16000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa's own, about its lazy parts
        import librosa

        power = librosa.feature.melspectrogram(
            y=np.pad(wave[0].numpy(), SHIFT), sr=16000, n_fft=512, hop_length=160, win_length=400, center=False,
            htk=True, norm=None, power=2.0, n_mels=80, fmin=20.0,
        )  # fmt: skip
    expected = torch.from_numpy(power.T).clamp(min=POWER_FLOOR).log()
    assert ours(plain(), wave).sub(expected).abs().max() < 1e-3  # of the log: 1e-3 of the energy


def test_log_mel_is_torchaudios():
    from torchaudio.transforms import MelSpectrogram

    wave = sound(16000)
    theirs = MelSpectrogram(16000, 512, 400, 160, f_min=20.0, n_mels=80, center=False)
    power = theirs(torch.nn.functional.pad(wave, (SHIFT, SHIFT)))[0].T
    torch.testing.assert_close(ours(plain(), wave), power.log(), rtol=1e-5, atol=1e-5)


def test_mfcc_is_torchaudios():
    from torchaudio.transforms import MFCC

    wave = 100 * sound(16000)  # loud: torchaudio adds 1e-6 to the energies where we have a floor
    mel = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80, "f_min": 20.0, "center": False}
    theirs = MFCC(16000, 40, log_mels=True, melkwargs=mel)
    expected = theirs(torch.nn.functional.pad(wave, (SHIFT, SHIFT)))[0].T
    torch.testing.assert_close(ours(plain("mfcc"), wave), expected, rtol=1e-4, atol=1e-4)


def test_mfcc_is_scipys_cosine_transform_of_log_mel():
    from scipy.fft import dct

    wave = sound(8000)
    expected = dct(ours(plain(), wave).double().numpy(), norm="ortho")[:, :40]
    torch.testing.assert_close(
        ours(plain("mfcc"), wave), torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-4
    )


def test_spectrogram_is_librosas():
    wave = sound(16000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa

        transform = librosa.stft(
            np.pad(wave[0].numpy(), SHIFT), n_fft=512, hop_length=160, win_length=400, center=False
        )
    expected = torch.from_numpy(np.abs(transform.T) ** 2)
    torch.testing.assert_close(ours(plain("spectrogram"), wave).exp(), expected, rtol=1e-3, atol=1e-4)


def test_seamless_is_kaldis_filterbank_two_frames_side_by_side():
    from torchaudio.compliance.kaldi import fbank

    wave = sound(16000)
    frames = fbank(wave * 2**15, num_mel_bins=80, dither=0.0)
    expected = frames.view(49, 160)
    feats, lens = FeatureExtractor(FeatureConfig(kind="seamless", normalize="none"))(
        wave, torch.tensor([16000])
    )
    assert lens.tolist() == [49]
    torch.testing.assert_close(feats[0], expected, rtol=1e-4, atol=1e-3)
    feats, _ = FeatureExtractor(FeatureConfig(kind="seamless", normalize="utterance"))(
        wave, torch.tensor([16000])
    )
    normalised = (frames - frames.mean(0)) / (frames.var(0) + 1e-7).sqrt()
    torch.testing.assert_close(feats[0], normalised.view(49, 160), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("normalize", ["utterance", "none"])
def test_wave_is_the_wave(normalize):
    frontend = FeatureExtractor(FeatureConfig(kind="wave", normalize=normalize))
    wave, lens = batch(1600, 700)
    wave[1, 700:] = math.nan  # what stands in the padding does not matter
    feats, feat_lens = frontend(wave, lens)
    assert feats.shape == (2, 1600, 1)
    assert torch.equal(feat_lens, lens)
    assert torch.equal(frontend.raw(wave, lens)[0][0, :, 0], wave[0])
    real = wave[1, :700]
    expected = (
        (real - real.mean()) / (real.var(correction=0) + 1e-7).sqrt() if normalize == "utterance" else real
    )
    torch.testing.assert_close(feats[1, :700, 0], expected)
    assert not feats[1, 700:].any()
    silence, _ = frontend(torch.zeros(1, 9), torch.tensor([0]))
    assert not silence.any()


@pytest.mark.parametrize("normalize", ["utterance", "none"])
def test_a_batch_of_seamless_is_its_utterances_one_by_one(normalize):
    frontend = FeatureExtractor(FeatureConfig(kind="seamless", normalize=normalize))
    wave, lens = batch(16000, 7777, 560, 559)
    feats, feat_lens = frontend(wave, lens)
    assert feats.shape == (4, 49, 160)
    assert feat_lens.tolist() == [49, 23, 1, 0]
    assert frontend.minimum_samples == 560
    for row in range(4):
        alone, alone_lens = frontend(wave[row : row + 1, : lens[row]], lens[row : row + 1])
        count = int(feat_lens[row])
        assert alone_lens.item() == count
        torch.testing.assert_close(feats[row, :count], alone[0, :count], rtol=1e-4, atol=1e-4)
        assert not feats[row, count:].any()


def test_preemphasis_is_scipys_filter():
    from scipy.signal import lfilter

    wave = sound(4000)
    filtered = torch.from_numpy(lfilter([1, -0.97], [1], wave[0].double().numpy())).float()[None]
    frontend = FeatureExtractor(FeatureConfig(normalize="none"))
    torch.testing.assert_close(ours(frontend, wave), ours(plain(), filtered), rtol=1e-3, atol=1e-3)


def test_a_click_before_the_first_frame_is_not_heard():
    """A wave that starts anywhere but at 0 gives the frames of the same wave in mid-flow."""
    frontend = FeatureExtractor(FeatureConfig(normalize="none"))
    wave = sound(4000) + 0.5
    torch.testing.assert_close(ours(frontend, wave)[1:], ours(frontend, wave[:, 160:]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalize", ["global", "utterance", "both", "none"])
def test_a_batch_is_its_utterances_one_by_one(kind, normalize):
    frontend = FeatureExtractor(FeatureConfig(kind=kind, normalize=normalize))
    frontend.fit([batch(16000, 8000)])
    wave, lens = batch(16000, 7777, 400, 399)
    feats, feat_lens = frontend(wave, lens)
    assert feats.shape == (4, 98, frontend.config.features)
    assert feat_lens.tolist() == [98, 47, 1, 0]
    for row in range(4):
        alone, alone_lens = frontend(wave[row : row + 1, : lens[row]], lens[row : row + 1])
        count = int(feat_lens[row])
        assert alone_lens.item() == count
        torch.testing.assert_close(feats[row, :count], alone[0, :count], rtol=1e-5, atol=1e-5)
        assert (feats[row, count:] == 0).all()


def test_what_stands_in_the_padding_does_not_matter():
    frontend = FeatureExtractor(FeatureConfig())
    wave, lens = batch(8000, 5000)
    clean, _ = frontend(wave, lens)
    wave[1, 5000:] = math.nan
    assert torch.equal(frontend(wave, lens)[0], clean)


@given(samples=st.integers(0, 3000), padding=st.integers(0, 1000))
def test_lengths_count_the_whole_frames(samples, padding):
    frontend = plain(rate=16000)
    feats, lens = frontend(torch.ones(1, samples + padding), torch.tensor([samples], dtype=torch.int32))
    frames = [f for f in range(samples) if f * 160 + 400 <= samples]
    assert lens.dtype == torch.int64
    assert lens.item() == len(frames)
    assert feats.shape[1] == max(1, 1 + (samples + padding - 400) // 160)


def test_minimum_samples_is_the_shortest_wave_with_a_frame():
    frontend = FeatureExtractor(FeatureConfig(rate=8000))
    least = frontend.minimum_samples
    assert frontend.lens(torch.tensor([least - 1, least])).tolist() == [0, 1]
    assert frontend(torch.zeros(1, 0), torch.tensor([0]))[0].abs().sum() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_fit_gives_mean_0_and_deviation_1(kind):
    frontend = FeatureExtractor(FeatureConfig(kind=kind, normalize="global"))
    batches = [batch(16000, 9000, 300), batch(5000)]
    frontend.fit(iter(batches))
    frames = []
    for wave, lens in batches:
        feats, feat_lens = frontend(wave, lens)
        frames += [row[:count] for row, count in zip(feats, feat_lens, strict=True)]
    frames = torch.cat(frames)
    torch.testing.assert_close(frames.mean(0), torch.zeros(frames.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(frames.std(0, correction=0), torch.ones(frames.shape[1]), atol=1e-4, rtol=0)


def test_an_utterances_own_mean_is_taken_over_its_real_frames():
    frontend = FeatureExtractor(FeatureConfig(normalize="both"))
    wave, lens = batch(16000, 6000)
    feats, feat_lens = frontend(wave, lens)
    means = feats.sum(1) / feat_lens[:, None]
    assert means.abs().max() < 1e-4
    louder, _ = frontend(4 * wave, lens)
    torch.testing.assert_close(louder, feats, rtol=1e-3, atol=1e-3)  # loudness is gone


def test_silence_does_not_blow_up():
    frontend = FeatureExtractor(FeatureConfig(normalize="both"))
    silence = torch.zeros(1, 16000), torch.tensor([16000])
    frontend.fit([silence])
    assert torch.isfinite(frontend(*batch(16000))[0]).all()
    assert (frontend(*silence)[0] == 0).all()
    raw, _ = frontend.raw(*silence)
    assert raw.unique().tolist() == pytest.approx([math.log(POWER_FLOOR)])


def test_fit_without_a_frame_is_told():
    with pytest.raises(DataError, match="400 samples of a frame"):
        FeatureExtractor(FeatureConfig()).fit([batch(399, 10)])


def test_the_normaliser_travels_with_the_state():
    fitted = FeatureExtractor(FeatureConfig())
    fitted.fit([batch(16000, 9000)])
    assert set(fitted.state_dict()) == {"mean", "std"}
    loaded = FeatureExtractor(FeatureConfig())
    loaded.load_state_dict(fitted.state_dict())
    assert torch.equal(loaded(*batch(12000))[0], fitted(*batch(12000))[0])
    assert not torch.equal(FeatureExtractor(FeatureConfig())(*batch(12000))[0], fitted(*batch(12000))[0])


def test_training_and_evaluation_see_the_same_bits():
    frontend = FeatureExtractor(FeatureConfig())
    training, _ = frontend.train()(*batch(16000, 8000))
    evaluation, _ = frontend.eval()(*batch(16000, 8000))
    assert torch.equal(training, evaluation)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_leaves_the_features_in_float32(kind):
    frontend = FeatureExtractor(FeatureConfig(kind=kind))
    expected, _ = frontend(*batch(16000, 8000))
    with torch.autocast("cpu", torch.bfloat16):
        feats, _ = frontend(*batch(16000, 8000))
    assert feats.dtype == torch.float32
    assert torch.equal(feats, expected)


def test_a_tone_lands_in_its_band():
    frontend = plain("spectrogram", rate=8000)
    assert frontend.config.features == 129
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(8000) / 8000)[None]
    assert (ours(frontend, tone).argmax(1) == 1000 / 8000 * 256).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rate": 0}, "rate"),
        ({"hop": 0.0}, "hop"),
        ({"hop": 0.05}, "window"),
        ({"window": 5.0}, "window"),
        ({"mels": 0}, "mels"),
        ({"kind": "mfcc", "coefficients": 81}, "coefficients"),
        ({"high": 9000.0}, "high"),
        ({"low": 8000.0}, "low"),
        ({"preemphasis": 1.5}, "preemphasis"),
        ({"kind": "mel"}, "kind"),
        ({"normalise": "both"}, "normalize"),
        ({"kind": "wave", "normalize": "both"}, "take utterance or none"),
        ({"kind": "seamless", "normalize": "none", "rate": 8000}, "rate"),
    ],
)
def test_a_wrong_setting_is_told(setting, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(FeatureConfig, setting)


def test_a_wrong_kind_in_a_recipe_is_told_too():
    with pytest.raises(ConfigError, match="known are log-mel, mfcc, spectrogram"):
        FeatureConfig(kind="mel")
    with pytest.raises(ConfigError, match=r"frontend\.normalize: 'all' is unknown"):
        FeatureConfig(normalize="all")


def test_more_bands_than_the_transform_tells_apart_are_told():
    with pytest.raises(ConfigError, match="use fewer mels"):
        FeatureExtractor(FeatureConfig(mels=200))


def test_the_configuration_survives_json():
    config = FeatureConfig(kind="mfcc", rate=8000, high=3800.0)
    assert from_plain(FeatureConfig, to_plain(config)) == config


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["log-mel", "mfcc", "spectrogram"])
def test_the_accelerator_computes_the_same(accelerator, kind):
    frontend = FeatureExtractor(FeatureConfig(kind=kind, normalize="both"))
    wave, lens = batch(16000, 8000)
    expected, _ = frontend(wave, lens)
    feats, feat_lens = frontend.to(accelerator)(wave.to(accelerator), lens.to(accelerator))
    assert feat_lens.device.type == accelerator
    torch.testing.assert_close(feats.cpu(), expected, rtol=1e-3, atol=1e-3)
