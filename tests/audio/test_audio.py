"""Files of every format, rate and channel count; segments; and bad input, each with its one line."""

import errno
import struct
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asrattn import audio
from asrattn.errors import AudioError

RATE = 16000
FORMATS = [
    ("wav", "WAV", "PCM_16", 1e-4),
    ("wav", "WAV", "FLOAT", 1e-7),
    ("flac", "FLAC", "PCM_16", 1e-4),
    ("aiff", "AIFF", "PCM_16", 1e-4),
    ("sph", "NIST", "PCM_16", 1e-4),
    ("mp3", "MP3", "MPEG_LAYER_III", 0.02),
    ("ogg", "OGG", "VORBIS", 0.02),
    ("opus", "OGG", "OPUS", 0.02),
]
TRACKS = [("m4a", "ipod", "aac"), ("mp4", "mp4", "aac"), ("webm", "webm", "libopus"), ("aac", "adts", "aac")]


def sine(seconds: float = 2.0, rate: int = RATE, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def glide(seconds: float, rate: int = RATE) -> np.ndarray:
    """A tone that rises, so that no place sounds like another."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (200 * t + 60 * t**2))).astype(np.float32)


def frequency_and_level(wave: np.ndarray, rate: int) -> tuple[float, float]:
    """Of the strongest tone, by the spectrum of the middle."""
    middle = wave[len(wave) // 8 : -len(wave) // 8]
    window = np.hanning(len(middle))
    spectrum = np.abs(np.fft.rfft(middle * window))
    return float(np.argmax(spectrum) * rate / len(middle)), float(2 * spectrum.max() / window.sum())


def sphere(order: str = "10", count: int | None = None, rate: int = RATE, coding: str = "") -> bytes:
    """A NIST sphere file as AN4 publishes it, 16-bit, "10" big-endian and "01" little-endian."""
    samples = np.round(sine() * 32767).astype(">i2" if order == "10" else "<i2")
    head = (
        f"NIST_1A\n   1024\ndatabase_id -s3 AN4\nutterance_id -s10 an36-fash-b\nchannel_count -i 1\n{coding}"
        f"sample_rate -i {rate}\nsample_count -i {len(samples) if count is None else count}\nsample_n_bytes -i 2\n"
        f"sample_byte_format -s2 {order}\nsample_sig_bits -i 16\nend_head\n"
    )
    return head.encode().ljust(1024) + samples.tobytes()


def encode_track(path: Path, container: str, codec: str, wave: np.ndarray) -> None:
    """Write wave (C, S) at 48 kHz through PyAV."""
    av = pytest.importorskip("av", reason="PyAV is the extra asrattn[video]")
    layout = "mono" if len(wave) == 1 else "stereo"
    with av.open(path, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = 48000, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=48000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


# what is read


@pytest.mark.parametrize(("suffix", "codec", "subtype", "tolerance"), FORMATS)
def test_every_format_gives_back_the_wave(tmp_path, suffix, codec, subtype, tolerance):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine(), RATE, format=codec, subtype=subtype)
    wave = audio.read(path, RATE)
    assert wave.dtype == np.float32
    assert wave.shape == sine().shape
    np.testing.assert_allclose(wave[800:-800], sine()[800:-800], atol=tolerance)
    assert audio.info(path) == (RATE, 1, 2.0)


@pytest.mark.parametrize(("suffix", "codec", "subtype"), [f[:3] for f in FORMATS])
def test_bytes_in_memory_are_read_as_a_file_is(tmp_path, suffix, codec, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, glide(2.0), RATE, format=codec, subtype=subtype)
    data = path.read_bytes()
    whole, part = audio.read(path, RATE), audio.read(path, RATE, 0.5, 1.0)
    path.unlink()
    assert np.array_equal(audio.read(path, RATE, data=data), whole)
    assert np.array_equal(audio.read(path, RATE, 0.5, 1.0, data), part)
    with pytest.raises(AudioError, match=path.name):
        audio.read(path, RATE, data=data[: len(data) // 2])


@pytest.mark.parametrize(("suffix", "container", "codec"), TRACKS)
def test_the_sound_track_of_a_container_is_read(tmp_path, suffix, container, codec):
    path = tmp_path / f"a.{suffix}"
    encode_track(path, container, codec, np.stack([sine(2.0, 48000), np.zeros(96000, np.float32)]))
    wave = audio.read(path, RATE)
    hertz, level = frequency_and_level(wave, RATE)
    assert abs(hertz - 440) < 2
    assert abs(level - 0.15) < 0.01
    told = audio.info(path)
    assert (told.rate, told.channels) == (48000, 2)
    assert abs(told.seconds - 2) < 0.08
    assert abs(len(wave) / RATE - told.seconds) < 0.08


@pytest.mark.parametrize("order", ["10", "01"])
def test_sphere_of_both_byte_orders(tmp_path, order):
    (tmp_path / "a.sph").write_bytes(sphere(order))
    np.testing.assert_allclose(audio.read(tmp_path / "a.sph", RATE), sine(), atol=1e-4)


def test_a_file_is_judged_by_its_content(tmp_path):
    soundfile.write(tmp_path / "a.flac", sine(), RATE)
    for name in ("a.raw", "a.mp3", "a"):
        np.testing.assert_allclose(
            audio.read((tmp_path / "a.flac").rename(tmp_path / name), RATE), sine(), atol=1e-4
        )
        (tmp_path / name).rename(tmp_path / "a.flac")


@pytest.mark.parametrize("native", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("wanted", [8000, 16000, 24000])
def test_resampling_keeps_frequency_and_level(tmp_path, native, wanted):
    soundfile.write(tmp_path / "a.wav", sine(2.0, native, 1000.0), native, subtype="FLOAT")
    wave = audio.read(tmp_path / "a.wav", wanted)
    hertz, level = frequency_and_level(wave, wanted)
    assert len(wave) == 2 * wanted
    assert abs(hertz - 1000) < 1
    assert abs(level - 0.3) < 0.001


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(1.0, 48000, 11000.0), 48000)
    assert np.abs(audio.read(tmp_path / "a.wav", RATE)[800:-800]).max() < 1e-3


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_become_their_mean(tmp_path, channels):
    waves = np.stack([sine(0.5, hertz=200.0 * (i + 1), level=0.1) for i in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", waves, RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav", RATE), waves.mean(axis=1), atol=1e-6)
    assert audio.info(tmp_path / "a.wav").channels == channels


def test_a_stream_of_unknown_length_is_no_truncated_file(tmp_path):
    """A program that writes into a pipe puts a length of 2 or 4 GiB into the header."""
    soundfile.write(tmp_path / "a.wav", sine(), RATE, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        content[40:44] = struct.pack("<I", size)
        (tmp_path / "a.wav").write_bytes(content)
        assert len(audio.read(tmp_path / "a.wav", RATE)) == 2 * RATE


# segments


@pytest.mark.parametrize(("suffix", "codec", "subtype"), [f[:3] for f in FORMATS])
def test_a_segment_is_a_slice_of_the_whole(tmp_path, suffix, codec, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, glide(6.0), RATE, format=codec, subtype=subtype)
    whole = audio.read(path, RATE)
    for start, seconds in [(0.0, 1.0), (1.25, 0.5), (2.0, 0.5), (4.0, 2.0), (5.99, 0.01)]:
        begin = round(start * RATE)
        segment = audio.read(path, RATE, start, seconds)
        np.testing.assert_allclose(segment, whole[begin : begin + round(seconds * RATE)], atol=1e-5)
    np.testing.assert_allclose(audio.read(path, RATE, 4.5), whole[72000:], atol=1e-5)
    np.testing.assert_allclose(audio.read(path, RATE, None, 0.5), whole[:8000], atol=1e-5)


@pytest.mark.parametrize(("suffix", "container", "codec"), TRACKS)
def test_a_segment_of_a_track_is_a_slice_of_the_whole(tmp_path, suffix, container, codec):
    path = tmp_path / f"a.{suffix}"
    encode_track(path, container, codec, glide(6.0, 48000)[None])
    whole = audio.read(path, 48000)
    for start, seconds in [(0.0, 1.0), (1.25, 0.5), (4.0, 1.5)]:
        segment = audio.read(path, 48000, start, seconds)
        assert len(segment) == round(seconds * 48000)
        begin = round(start * 48000)
        shifts = range(max(begin - 48, 0), begin + 49)  # webm keeps its times in milliseconds
        assert min(np.abs(segment - whole[s : s + len(segment)]).max() for s in shifts) < 0.01


@given(start=st.floats(0, 2.99), seconds=st.floats(0.001, 3.0))
def test_segments_have_the_length_one_asks_for(three_seconds, start, seconds):
    if start + seconds > 3.01:
        with pytest.raises(AudioError, match="not within its 3"):
            audio.read(three_seconds, 8000, start, seconds)
    else:
        expected = min(seconds, 3.0 - start) * 8000
        assert abs(len(audio.read(three_seconds, 8000, start, seconds)) - expected) <= 1


@pytest.fixture(scope="module")
def three_seconds(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "three.wav"
    soundfile.write(path, sine(3.0), RATE)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_memory_follows_the_segment_and_not_the_file(tmp_path, suffix):
    path = tmp_path / f"long.{suffix}"
    with soundfile.SoundFile(path, "w", 8000, 1) as out:
        for _ in range(20):
            out.write(sine(60.0, 8000))
    audio.read(path, 8000, 0.0, 1.0)
    tracemalloc.start()
    wave = audio.read(path, 8000, 1000.0, 2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(wave) == 16000
    assert peak < 1_000_000, "the whole file is 38 MB"


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        (-1.0, 1.0),
        (3.0, 1.0),
        (7.0, 1.0),
        (2.5, 0.6),
        (1.0, 0.0),
        (1.0, -0.5),
        (float("nan"), 1.0),
        (1.0, float("inf")),
    ],
)
def test_a_segment_outside_of_the_file(three_seconds, start, seconds):
    with pytest.raises(AudioError, match=r"three.wav: the segment .*; correct start and seconds"):
        audio.read(three_seconds, RATE, start, seconds)


def test_a_segment_may_pass_the_end_by_rounding(three_seconds):
    assert len(audio.read(three_seconds, RATE, 2.0, 1.005)) == RATE


# bad input


def error_message(path: Path, rate: int = RATE) -> str:
    with pytest.raises(AudioError) as caught:
        audio.read(path, rate)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_missing_empty_folder_device_and_odd_names(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert "does not exist" in error_message(tmp_path / "missing.wav")
    assert "empty (0 bytes)" in error_message(tmp_path / "empty.wav")
    assert "is a folder" in error_message(tmp_path)
    assert "a device" in error_message(Path("/dev/null"))
    assert "cannot be opened" in error_message(tmp_path / ("x" * 300))
    with pytest.raises(AudioError, match="null byte"):
        audio.read(tmp_path / "a\0b", RATE)


def test_no_permission(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sine(), RATE)

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read everything
    assert "check its permissions" in error_message(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.au", "a.raw", "a.mp3", "a.m4a", "a.opus"])
@pytest.mark.parametrize("content", [b"a text, and no sound\n" * 50, b"\0" * 4000, b"x"])
def test_what_is_no_sound(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "is not an audio file" in error_message(tmp_path / name)


@pytest.mark.parametrize(("suffix", "codec", "subtype"), [f[:3] for f in FORMATS])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_told(tmp_path, suffix, codec, subtype, part):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, glide(10.0), RATE, format=codec, subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "truncated" in error_message(path)


@pytest.mark.parametrize(("suffix", "container", "codec"), TRACKS[:3])
def test_a_truncated_container_is_told(tmp_path, suffix, container, codec):
    path = tmp_path / f"a.{suffix}"
    encode_track(path, container, codec, glide(10.0, 48000)[None])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    assert "truncated" in error_message(path)


@pytest.mark.parametrize(("suffix", "codec", "subtype"), [("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS")])
def test_an_ogg_file_that_ends_with_a_page_is_read_and_told(tmp_path, suffix, codec, subtype):
    """Recorders in browsers leave out the end-of-stream mark; a file cut between two pages looks like theirs."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, glide(10.0), RATE, format=codec, subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    with audio.open_sound(path) as sound:
        assert len(sound.read(RATE)) == sound.frames > 5 * RATE
        assert "no end-of-stream mark" in sound.notes[0]


def test_a_sphere_file_that_is_cut_short_or_compressed(tmp_path):
    path = tmp_path / "a.sph"
    path.write_bytes(sphere(count=90000))
    assert "32000 of 90000 samples" in error_message(path)
    path.write_bytes(sphere(coding="sample_coding -s26 pcm,embedded-shorten-v2.00\n"))
    assert "compressed sphere" in error_message(path)


@pytest.mark.parametrize("seconds", [0.5, 8.0])
def test_an_mp3_of_varying_bit_rate_without_its_length(tmp_path, seconds):
    """libsndfile would guess the length by the first frames; ours are counted."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, glide(seconds), RATE, bitrate_mode="VARIABLE")
    whole, content = audio.read(path, RATE), path.read_bytes()
    assert b"Xing" in content[:100]
    path.write_bytes(content[content.index(b"\xff\xf3", 4) :])
    wave = audio.read(path, RATE)
    delay = 576  # samples of the encoder, which the header would have cut off
    assert len(whole) + delay <= len(wave) < len(whole) + delay + 2 * 576
    np.testing.assert_allclose(wave[delay + 600 :][:4000], whole[600:4600], atol=0.02)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)])
def test_an_mp3_of_constant_bit_rate_needs_no_length(tmp_path, rate, tag):
    path = tmp_path / "a.mp3"
    soundfile.write(path, glide(30.0, rate), rate, bitrate_mode="CONSTANT", compression_level=0.5)
    content = path.read_bytes()
    assert b"Info" in content[:100]
    path.write_bytes(content[content.index(content[:2], 4) :] + tag)
    assert abs(len(audio.read(path, rate)) - 30 * rate) < 3 * 1152


@pytest.mark.parametrize("codec", ["WAV", "NIST", "AIFF"])
def test_zero_length(tmp_path, codec):
    soundfile.write(tmp_path / "a", np.zeros(0), RATE, format=codec)
    assert "holds no samples" in error_message(tmp_path / "a")
    with pytest.raises(AudioError, match="holds no samples"):
        audio.info(tmp_path / "a")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_samples_that_are_no_numbers(tmp_path, bad):
    wave = sine()
    wave[8000:8003] = bad
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    assert f"holds {bad} at 0.500 s (3 samples" in error_message(tmp_path / "a.wav")
    assert np.isfinite(audio.read(tmp_path / "a.wav", RATE, 1.0, 0.5)).all(), "the rest can be used"


@pytest.mark.parametrize("rate", [0, 1, 999, 2_000_000_000])
def test_a_rate_of_nothing_in_the_header(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(), RATE, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "a.wav").write_bytes(content)
    assert "its header is damaged, it gives a rate" in error_message(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [0, -16000, 10**9])
def test_a_rate_of_nothing_asked_for(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(), RATE)
    assert f"at {rate} Hz; a rate is a whole number" in error_message(tmp_path / "a.wav", rate)


def test_too_few_samples_to_resample(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1), 96000)
    assert "give none at 8000 Hz" in error_message(tmp_path / "a.wav", 8000)


@pytest.mark.parametrize("content", [b"ID3\x03" + bytes(6), b"ID3\x04" + bytes(6) + b"ID3\x04" + bytes(6)])
def test_tags_alone_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.mp3: holds tags and no audio; drop it"):
        audio.read(tmp_path / "a.mp3", RATE)
    with pytest.raises(AudioError):
        audio.info(tmp_path / "a.mp3")


@given(
    content=st.binary(min_size=1, max_size=400),
    head=st.sampled_from(
        [
            b"",
            b"RIFF",
            b"OggS",
            b"fLaC",
            b"ID3\3",
            b"\xff\xfb\x90",
            b"NIST_1A\n   1024\n",
            b"\x1aE\xdf\xa3",
            b"\0\0\0\x1cftypM4A ",
            b"\xff\xf1",
        ]
    ),
)
def test_no_bytes_raise_anything_but_an_audio_error(scratch, content, head):
    scratch.write_bytes(head + content)
    with suppress(AudioError):
        wave = audio.read(scratch, RATE)
        assert wave.ndim == 1
        assert np.isfinite(wave).all()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("audio") / "scratch"


@pytest.mark.parametrize(("suffix", "container", "codec"), TRACKS)
def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch, suffix, container, codec):
    encode_track(tmp_path / f"a.{suffix}", container, codec, sine(0.5, 48000)[None])
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install asrattn[video]" in error_message(tmp_path / f"a.{suffix}")


def test_a_film_without_sound(tmp_path):
    av = pytest.importorskip("av", reason="PyAV is the extra asrattn[video]")
    with av.open(tmp_path / "a.mp4", "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        out.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        out.mux(stream.encode(None))
    assert "no audio track" in error_message(tmp_path / "a.mp4")


# what is written


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "aiff", "aif", "sph"])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / "new" / f"a.{suffix}"
    audio.write(path, sine(40.0), RATE)
    np.testing.assert_allclose(audio.read(path, RATE)[800:-800], sine(40.0)[800:-800], atol=0.02)
    assert path.suffix in audio.EXTENSIONS
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_written(tmp_path):
    for path, wave, rate, why in [
        (tmp_path / "a.doc", sine(), RATE, "use one of .wav"),
        (tmp_path / "a.wav", sine(), 0, "at 0 Hz"),
        (tmp_path / "a.wav", np.zeros(0), RATE, "shape"),
        (tmp_path / "a.wav", np.zeros((2, 9)), RATE, "one channel"),
        (tmp_path / "a.wav", np.array([0.0, np.nan]), RATE, "would hold nan"),
        (tmp_path / "a.opus", sine(), 11025, "cannot be written at 11025 Hz"),
        (tmp_path / "file" / "a.wav", sine(), RATE, "cannot be written"),
    ]:
        (tmp_path / "file").touch()
        with pytest.raises(AudioError, match=why):
            audio.write(path, wave, rate)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(AudioError, match="No space left on device"):
        audio.write(tmp_path / "a.wav", sine(), RATE)
    assert not list(tmp_path.iterdir())


def test_importing_is_light():
    code = "import sys, asrattn.audio; print(*{'torch', 'librosa', 'soundfile', 'soxr', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# real speech


@pytest.mark.parametrize("corpus", ["an4/wav", "samromur/audio", "commonvoice-en/clips", "noise-esc10"])
def test_real_recordings(shared_data, corpus):
    paths = sorted(p for p in (shared_data / corpus).rglob("*") if p.suffix in audio.EXTENSIONS)[::40]
    assert len(paths) >= 5
    for path in paths:
        told = audio.info(path)
        wave = audio.read(path, 8000)
        assert told.channels == 1
        assert abs(len(wave) / 8000 - told.seconds) < 0.001
        assert np.abs(wave).max() <= 1.5


def test_a_segment_of_a_real_recording(shared_data):
    path = sorted((shared_data / "samromur/audio").rglob("*.opus"))[0]
    whole = audio.read(path, RATE)
    np.testing.assert_allclose(audio.read(path, RATE, 1.0, 0.75), whole[16000:28000], atol=1e-3)
