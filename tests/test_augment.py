"""Augmentation: as drawn, within its limits, the same for the same seed, and never across the padding."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn import audio, lengths
from asrattn.augment import AugmentConfig
from asrattn.augment.transforms import Augment, perturb_speed, warp_frames
from asrattn.config import from_plain, to_plain
from asrattn.errors import AudioError, ConfigError, DataError

RATE = 16000
NOTHING = AugmentConfig(
    noise=0.0, stretch=0.0, vtlp=0.0, equalizer=0.0, frequency_masks=0, time_masks=0, time_fraction=0.0
)


def only(**settings) -> Augment:
    """Nothing but the named parts."""
    return Augment(from_plain(AugmentConfig, {**to_plain(NOTHING), **settings}), RATE)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def waves(*lens: int) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.tensor(lens)
    wave = 0.1 * torch.randn(len(lens), max(lens), generator=seeded(7))
    return wave * lengths.mask(counts, max(lens)), counts


def features(*lens: int, size: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.tensor(lens)
    feats = torch.randn(len(lens), max(lens), size, generator=seeded(8))
    return feats * lengths.mask(counts, max(lens))[:, :, None], counts


def ratios(augment: Augment, wave: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
    """Measured signal-to-noise ratios (B,) in dB."""
    noisy, _ = augment.augment_wave(wave, lens, seeded())
    noise = noisy - wave
    return 10 * torch.log10(wave.double().square().sum(1) / noise.double().square().sum(1))


def test_all_at_0_is_the_identity():
    augment = only()
    wave, lens = waves(4000, 3000)
    assert torch.equal(augment.augment_wave(wave, lens, seeded())[0], wave)
    feats, feat_lens = features(50, 30)
    warped, warped_lens = augment.warp_features(feats, feat_lens, seeded())
    assert torch.equal(warped, feats)
    assert torch.equal(warped_lens, feat_lens)
    assert torch.equal(augment.mask_features(feats, feat_lens, seeded()), feats)


def test_the_seed_decides_and_the_caller_keeps_his_tensors():
    augment = Augment(AugmentConfig(speed=0.1, noise=0.5), RATE)
    wave, lens = waves(8000, 6000, 5000)
    feats, feat_lens = features(60, 50, 40)
    copies = wave.clone(), feats.clone()

    def run(seed):
        generator = seeded(seed)
        warped, warped_lens = augment.warp_features(feats, feat_lens, generator)
        masked = augment.mask_features(warped, warped_lens, generator)
        return (*augment.augment_wave(wave, lens, generator), warped, warped_lens, masked)

    assert all(torch.equal(a, b) for a, b in zip(run(1), run(1), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(run(1), run(2), strict=True))
    assert torch.equal(wave, copies[0])
    assert torch.equal(feats, copies[1])


def test_padding_changes_nothing():
    augment = Augment(AugmentConfig(speed=0.1, noise=1.0), RATE)
    wave, lens = waves(8000, 6000)
    wider = torch.nn.functional.pad(wave, (0, 3000))
    a, a_lens = augment.augment_wave(wave, lens, seeded())
    b, b_lens = augment.augment_wave(wider, lens, seeded())
    assert torch.equal(a_lens, b_lens)
    torch.testing.assert_close(a, b[:, : a.shape[1]], atol=1e-6, rtol=1e-5)

    feats, lens = features(300, 200, 1)
    wider = torch.nn.functional.pad(feats, (0, 0, 0, 500))
    a, a_lens = augment.warp_features(feats, lens, seeded())
    b, b_lens = augment.warp_features(wider, lens, seeded())
    assert torch.equal(a_lens, b_lens)
    assert a.shape == b.shape == (3, int(a_lens.max()), 80)
    torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    a, b = augment.mask_features(feats, lens, seeded()), augment.mask_features(wider, lens, seeded())
    assert torch.equal(a, b[:, :300])


def test_padding_stays_0():
    augment = Augment(AugmentConfig(speed=0.2, noise=1.0), RATE)
    wave, lens = augment.augment_wave(*waves(8000, 3000, 1), seeded())
    assert (wave[~lengths.mask(lens, wave.shape[1])] == 0).all()
    feats, lens = augment.warp_features(*features(100, 30, 1), seeded())
    padding = ~lengths.mask(lens, feats.shape[1])
    assert (feats[padding] == 0).all()
    assert (augment.mask_features(feats, lens, seeded())[padding] == 0).all()


def test_no_frame_stays_no_frame():
    augment = Augment(AugmentConfig(), RATE)
    for counts in ((20, 0), (0, 0)):
        feats = torch.zeros(2, 20, 80)
        warped, lens = augment.warp_features(feats, torch.tensor(counts), seeded())
        assert (lens > 0).tolist() == [count > 0 for count in counts]
        assert augment.mask_features(warped, lens, seeded()).shape == warped.shape


# Noise


@pytest.mark.parametrize("snr", [-5.0, 5.0, 20.0])
def test_made_noise_has_the_ratio_asked_for(snr):
    measured = ratios(only(noise=1.0, snr=[snr, snr]), *waves(16000, 9000, 500))
    assert (measured - snr).abs().max() < 0.01


def test_ratios_are_uniform_in_their_range():
    measured = ratios(only(noise=1.0, snr=[5.0, 35.0]), *waves(*[1000] * 300))
    assert 5 <= measured.min() < 6
    assert 34 < measured.max() <= 35
    assert abs(measured.mean() - 20) < 2


def test_noise_comes_as_often_as_its_probability():
    wave, lens = waves(*[100] * 1000)
    noisy, _ = only(noise=0.2).augment_wave(wave, lens, seeded())
    share = (noisy != wave).any(1).double().mean()
    assert abs(share - 0.2) < 0.04


def test_made_noise_goes_from_white_to_brown():
    augment = only(noise=1.0)
    power = torch.fft.rfft(augment.noises.reshape(len(augment.sizes), -1).double()).abs().square()
    hz = torch.linspace(0, RATE / 2, power.shape[1])
    octave = [power[:, (hz > low) & (hz < 2 * low)].mean(1).log2() for low in (500, 1000, 2000)]
    for fall in (octave[0] - octave[1], octave[1] - octave[2]):
        torch.testing.assert_close(fall.float(), torch.linspace(0, 2, len(fall)), atol=0.1, rtol=0)


def test_silence_gets_no_noise_and_no_nan():
    wave, lens = torch.zeros(2, 1000), torch.tensor([1000, 0])
    assert (only(noise=1.0).augment_wave(wave, lens, seeded())[0] == 0).all()


def test_noise_from_real_recordings(shared_data):
    folder = shared_data / "noise-esc10" / "001 - Dog bark"
    augment = only(noise=1.0, noise_folder=str(folder), snr=[10.0, 10.0])
    assert len(augment.sizes) == 40
    assert (augment.sizes / RATE).tolist() == pytest.approx([5.0] * 40, abs=0.05)
    measured = ratios(augment, *waves(*[32000] * 6))
    heard = measured.isfinite()  # a clip may hold a stretch of digital silence
    assert heard.sum() >= 3
    assert (measured[heard] - 10).abs().max() < 0.01


def test_a_short_noise_starts_over(tmp_path):
    clip = torch.sin(torch.arange(160) * 2 * math.pi / 160)
    (tmp_path / "deep").mkdir()
    audio.write(tmp_path / "deep" / "hum.wav", 0.5 * clip.numpy(), RATE)
    wave, lens = waves(1000)
    noisy, _ = only(noise=1.0, noise_folder=str(tmp_path)).augment_wave(wave, lens, seeded())
    noise = (noisy - wave)[0]
    torch.testing.assert_close(noise[:160], noise[160:320], atol=1e-6, rtol=0)


@pytest.mark.parametrize("made", [True, False])
def test_a_noise_folder_without_noises_is_told(tmp_path: Path, made):
    folder = tmp_path / "noises"
    if made:
        folder.mkdir()
        (folder / "README.txt").write_text("no sound here")
    state = "holds no audio file" if made else "is not a folder"
    with pytest.raises(DataError, match=f"noises {state}; name a folder of noises"):
        only(noise=1.0, noise_folder=str(folder))


def test_a_broken_noise_file_is_told(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF and no more")
    with pytest.raises(AudioError, match=r"broken\.wav"):
        only(noise=1.0, noise_folder=str(tmp_path))


# Speed


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_moves_a_tone_and_keeps_its_shape(factor):
    t = torch.arange(RATE) / RATE
    wave = torch.sin(2 * math.pi * 1000 * t)[None]
    fast, lens = perturb_speed(wave, torch.tensor([RATE]), torch.tensor([factor]))
    assert lens.tolist() == [round(RATE / factor)]
    expected = torch.sin(2 * math.pi * 1000 * factor * torch.arange(int(lens)) / RATE)
    middle = slice(100, int(lens) - 100)
    assert (fast[0, middle] - expected[middle]).abs().max() < 5e-3


def test_speeding_up_does_not_fold_frequencies_back():
    t = torch.arange(RATE) / RATE
    high = torch.sin(2 * math.pi * 7900 * t)[None]
    fast, _ = perturb_speed(high, torch.tensor([RATE]), torch.tensor([1.25]))
    assert fast.square().mean() < 0.05 * high.square().mean()


@pytest.mark.parametrize(("hz", "factor"), [(7600, 1.1), (7400, 1.1), (7700, 1.05), (6600, 1.25)])
def test_a_tone_that_would_pass_half_the_rate_is_silent(hz, factor):
    t = torch.arange(RATE) / RATE
    fast, lens = perturb_speed(
        torch.sin(2 * math.pi * hz * t)[None], torch.tensor([RATE]), torch.tensor([factor])
    )
    inside = fast[0, 200 : int(lens) - 200]  # the tone's sudden begin and end are no tone
    assert 20 * math.log10(inside.square().mean().sqrt() * math.sqrt(2)) < -40


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_keeps_what_stays_below_nine_tenths_of_half_the_rate(factor):
    t = torch.arange(RATE) / RATE
    hz = 0.88 * 8000 / max(factor, 1)
    fast, lens = perturb_speed(
        torch.sin(2 * math.pi * hz * t)[None], torch.tensor([RATE]), torch.tensor([factor])
    )
    inside = fast[0, 200 : int(lens) - 200]
    assert abs(20 * math.log10(inside.square().mean().sqrt() * math.sqrt(2))) < 1


def test_speed_draws_its_factor_for_each_utterance():
    wave, lens = waves(*[2000] * 50)
    _, new = only(speed=0.1).augment_wave(wave, lens, seeded())
    factors = 2000 / new
    assert len(new.unique()) > 30
    assert 0.9 - 1e-3 <= factors.min() < 0.92
    assert 1.08 < factors.max() <= 1.1 + 1e-3


def test_silence_is_added_at_both_ends_of_each_utterance():
    wave, lens = waves(*[2000, 1500] * 25)
    longer, new = only(silence=0.5).augment_wave(wave, lens, seeded())
    added = new - lens
    assert len(added.unique()) > 30
    assert added.max() <= RATE
    assert added.min() >= 0
    places = []
    for row, n, count, grown in zip(wave, lens.tolist(), new.tolist(), longer, strict=True):
        start = int(torch.nonzero(grown)[0])
        places.append(start)
        assert torch.equal(grown[start : start + n], row[:n])
        assert not grown[:start].any()
        assert not grown[start + n :].any()
        assert start + n <= count
    assert max(places) > 0.4 * RATE
    with pytest.raises(
        ConfigError, match=r"does not suit the features whisper; switch off with --set augment\.silence=0"
    ):
        AugmentConfig(silence=1.0).check_fits("whisper")


# Warping


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values)


def test_factors_of_one_are_the_identity():
    feats, lens = features(300, 200)
    warped, new = warp_frames(feats, lens, torch.ones(2), torch.ones(2))
    assert torch.equal(new, lens)
    torch.testing.assert_close(warped, feats, atol=1e-3, rtol=0)


@given(
    lens=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    factor=st.floats(0.5, 1.5),
    tract=st.floats(0.7, 1.3),
)
def test_warping_stays_within_the_values_of_the_utterance(lens, factor, tract):
    feats, counts = features(*lens, size=20)
    feats = feats.abs() + 1  # so that a glance at the padding would show as a smaller value
    feats = feats * lengths.mask(counts, feats.shape[1])[:, :, None]
    B = len(lens)
    warped, new = warp_frames(feats, counts, torch.full((B,), factor), torch.full((B,), tract))
    assert new.tolist() == (counts * factor).round().clamp(min=1).tolist()
    real = warped[lengths.mask(new, warped.shape[1])]
    assert real.min() >= 1 - 1e-4
    assert real.max() <= feats.max() + 1e-4


def test_stretching_moves_frames_as_expected():
    """A chirp: frame f has its peak in band f / 10; stretched by 1.2, in band f / 12."""
    frames, bands = 400, 40
    at = torch.arange(frames)[:, None] / 10
    feats = torch.exp(-0.5 * (torch.arange(bands) - at) ** 2)[None]
    warped, lens = warp_frames(feats, torch.tensor([frames]), tensor(1.2), tensor(1.0))
    assert lens.tolist() == [480]
    peaks = warped[0].argmax(1)
    expected = ((torch.arange(480) + 0.5) / 12).clamp(max=bands - 1)
    assert (peaks - expected).abs().max() < 1


@pytest.mark.parametrize(("tract", "expected"), [(0.8, 50), (1.0, 40), (1.25, 32)])
def test_a_longer_vocal_tract_moves_a_peak_down(tract, expected):
    peak = torch.exp(-0.5 * ((torch.arange(80) - 40) / 2) ** 2).expand(1, 30, 80)
    warped, lens = warp_frames(peak, torch.tensor([30]), tensor(1.0), tensor(tract))
    assert lens.tolist() == [30]
    assert (warped[0].argmax(1) - expected).abs().max() <= 1


@pytest.mark.parametrize("tract", [0.7, 1.3])
def test_warping_keeps_both_ends_of_the_axis_and_their_order(tract):
    ramp = torch.linspace(0, 1, 80).expand(1, 5, 80)
    warped, _ = warp_frames(ramp, torch.tensor([5]), tensor(1.0), tensor(tract))
    assert warped[0, :, 0].abs().max() < 1e-5
    assert (warped[0, :, -1] - 1).abs().max() < 1e-5
    assert (warped.diff(dim=2) > 0).all()


def test_stretch_is_drawn_for_each_utterance_within_its_limits():
    feats, lens = features(*[1000] * 100, size=2)
    _, new = only(stretch=0.12).warp_features(feats, lens, seeded())
    assert 880 <= new.min() < 890
    assert 1110 < new.max() <= 1120


# Masking


def runs(hidden: list[bool]) -> list[int]:
    """Lengths of the stretches of True."""
    return [len(part) for part in "".join("x" if h else " " for h in hidden).split()]


@given(
    seed=st.integers(0, 2**20),
    lens=st.lists(st.integers(1, 120), min_size=1, max_size=5),
    count=st.integers(0, 4),
    width=st.integers(0, 30),
    fraction=st.floats(0, 1),
)
def test_time_masks_keep_their_limits(seed, lens, count, width, fraction):
    augment = only(time_masks=count, time_width=width, time_fraction=fraction)
    counts = torch.tensor(lens)
    feats = torch.ones(len(lens), max(lens), 6)
    masked = augment.mask_features(feats, counts, seeded(seed))
    assert torch.equal(masked.amax(2), masked.amin(2))  # whole frames
    for row, size in zip(masked[:, :, 0], lens, strict=True):
        hidden = (row[:size] == 0).tolist()
        assert sum(hidden) <= min(fraction * size + 1e-3, count * width)
        assert len(runs(hidden)) <= count


@given(
    seed=st.integers(0, 2**20),
    count=st.integers(0, 3),
    width=st.integers(0, 30),
    size=st.sampled_from([13, 80]),
)
def test_frequency_masks_keep_their_limits(seed, count, width, size):
    augment = only(frequency_masks=count, frequency_width=width)
    masked = augment.mask_features(torch.ones(3, 7, size), torch.tensor([7, 7, 5]), seeded(seed))
    for row in masked:
        hidden = (row[0] == 0).tolist()
        assert torch.equal(row[:5], row[:1].expand(5, size))
        assert sum(hidden) <= min(size, count * width)
        assert len(runs(hidden)) <= count
        assert all(run <= count * width for run in runs(hidden))


def test_one_mask_takes_every_width_and_every_place():
    masked = only(time_masks=1, time_width=5, time_fraction=1.0).mask_features(
        torch.ones(3000, 20, 1), torch.full((3000,), 20), seeded()
    )
    hidden = masked[:, :, 0] == 0
    widths = hidden.sum(1).bincount(minlength=6) / 3000
    assert (widths - 1 / 6).abs().max() < 0.03
    assert hidden.any(0).all()


def test_the_equalizer_adds_one_curve_to_all_frames_of_an_utterance():
    feats, lens = features(50, 30)
    curve = only(equalizer=0.4).mask_features(feats, lens, seeded()) - feats
    assert (curve[1, 30:] == 0).all()
    first = curve[:, 0]
    torch.testing.assert_close(curve[0], first[0].expand(50, 80), atol=1e-5, rtol=0)
    assert not torch.allclose(first[0], first[1])
    assert 0.05 < first.abs().max() <= 0.4
    assert first.diff(dim=1).abs().max() <= 2 * 0.4 / (79 / 4) + 1e-5  # no jumps: four lines over 80 bands


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"speed": 0.9}, "speed"),
        ({"silence": 11.0}, "silence"),
        ({"noise": 1.5}, "noise"),
        ({"stretch": -0.1}, "stretch"),
        ({"vtlp": 0.5}, "vtlp"),
        ({"snr": [30.0, 5.0]}, "snr"),
        ({"snr": [5.0]}, "snr"),
        ({"equalizer": math.nan}, "equalizer"),
        ({"time_masks": -1}, "time_masks"),
        ({"frequency_width": -2}, "frequency_width"),
        ({"time_fraction": 1.1}, "time_fraction"),
        ({"frequency_mask": 2}, "did you mean frequency_masks"),
    ],
)
def test_a_wrong_setting_is_told(setting, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(AugmentConfig, setting)


def test_nothing_of_it_is_saved_with_a_model():
    assert not Augment(AugmentConfig(), RATE).state_dict()


@pytest.mark.gpu
def test_the_accelerator_draws_the_same(accelerator):
    augment = Augment(AugmentConfig(speed=0.1, noise=0.5), RATE)

    def run(device):
        generator = seeded(3)
        module = augment.to(device)
        wave, lens = (x.to(device) for x in waves(8000, 6000, 5000))
        feats, feat_lens = (x.to(device) for x in features(60, 50, 40))
        sound = module.augment_wave(wave, lens, generator)
        warped = module.warp_features(feats, feat_lens, generator)
        return [x.cpu() for x in (*sound, *warped, module.mask_features(*warped, generator))]

    for cpu, gpu in zip(run("cpu"), run(accelerator), strict=True):
        torch.testing.assert_close(gpu, cpu, atol=1e-3, rtol=1e-3)


def test_a_ramp_grows_from_nothing_to_the_whole():
    config = AugmentConfig(warmup=0.4)
    assert [config.strength(p) for p in (0.0, 0.1, 0.4, 1.0)] == pytest.approx([0, 0.25, 1, 1])
    assert AugmentConfig().strength(0.0) == 1
    feats, lens = features(40, 30)
    module = Augment(AugmentConfig(noise=0), 16000)
    assert torch.equal(module.mask_features(feats, lens, seeded(), 0.0), feats)
    unwarped, _ = module.warp_features(feats, lens, seeded(), torch.ones(len(feats)), 0.0)
    torch.testing.assert_close(unwarped, feats, atol=1e-4, rtol=1e-4)
    whole = (module.mask_features(feats, lens, seeded()) == 0).sum()
    assert (module.mask_features(feats, lens, seeded(), 0.3) == 0).sum() < whole
