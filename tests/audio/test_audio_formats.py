"""Formats × headers × segments: what is read is what went in, whatever the header says."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import formats
import numpy as np
import pytest
import test_audio
from hypothesis import given
from hypothesis import strategies as st

from asrattn import audio
from asrattn.errors import AudioError

RATE = formats.RATE
SECOND = {"samples": 3 * RATE + 211, "first": 5 * RATE + 137}


@cache
def encoded(name: str, samples: int) -> bytes:
    form, coding, _, _ = formats.SOUNDFILE_CODINGS[name]
    return formats.encode(formats.chirp(samples), form, coding)


def check_whole(data: bytes, wave: np.ndarray, tolerance: float, fill: int) -> np.ndarray:
    """The samples of a file, which are those that went in, and what a block is filled up with."""
    found = audio.read(Path("a"), RATE, data=data)
    assert len(wave) <= len(found) <= len(wave) + fill
    inner = slice(400, len(wave) - 400)  # lossy codings swing in and out
    assert np.abs(found[inner] - wave[inner]).max() < tolerance
    return found


@pytest.mark.parametrize("name", formats.SOUNDFILE_CODINGS)
def test_every_coding_gives_back_the_samples(name: str):
    _, _, tolerance, fill = formats.SOUNDFILE_CODINGS[name]
    samples = SECOND["first"]
    check_whole(encoded(name, samples), formats.chirp(samples), tolerance, fill)


@pytest.mark.parametrize("name", formats.HEADERS)
def test_every_header_gives_back_the_samples(name: str, tmp_path: Path):
    base, change = formats.HEADERS[name]
    _, _, tolerance, fill = formats.SOUNDFILE_CODINGS[base]
    wave = formats.chirp(SECOND["first"])
    data = change(encoded(base, len(wave)))
    found = check_whole(data, wave, tolerance, fill)
    np.testing.assert_array_equal(found, audio.read(Path("a"), RATE, data=encoded(base, len(wave))))
    (tmp_path / "a").write_bytes(data)
    assert audio.info(tmp_path / "a").seconds == len(found) / RATE


@given(
    name=st.sampled_from([*formats.SOUNDFILE_CODINGS, *formats.HEADERS]),
    begin=st.floats(0, 1, exclude_max=True),
    share=st.floats(0.001, 1),
)
def test_a_segment_is_a_part_of_the_whole(name: str, begin: float, share: float):
    base, change = formats.HEADERS.get(name, (name, bytes))
    data = change(encoded(base, SECOND["first"]))
    whole = audio.read(Path("a"), RATE, data=data)
    at = int(begin * (len(whole) - 1))
    count = max(1, int(share * (len(whole) - at)))
    segment = audio.read(Path("a"), RATE, at / RATE, count / RATE, data)
    np.testing.assert_allclose(segment, whole[at : at + count], atol=1e-4)


CHAINED = [name for name in formats.SOUNDFILE_CODINGS if not name.startswith(("svx", "mat5", "voc"))]


@pytest.mark.parametrize("name", CHAINED)
def test_streams_that_follow_each_other_are_all_read(name: str):
    first, second = encoded(name, SECOND["first"]), encoded(name, SECOND["samples"])
    parts = [audio.read(Path("a"), RATE, data=each) for each in (first, second)]
    both = np.concatenate(parts)
    with audio.open_sound(Path("a"), first + second) as sound:
        np.testing.assert_allclose(sound.read(RATE), both, atol=1e-4)
        assert any("several streams" in note for note in sound.notes)
        at = len(parts[0]) - 3000  # across the join, and behind it
        np.testing.assert_allclose(sound.read(RATE, at / RATE, 0.4), both[at : at + 6400], atol=1e-4)
        at = len(parts[0]) + 5000
        np.testing.assert_allclose(sound.read(RATE, at / RATE, 0.5), both[at : at + 8000], atol=1e-4)


def test_a_segment_of_one_stream_does_not_come_from_the_next():
    """The case of the issue: of two flac files in one, segments of the first came from the second."""
    x, y = formats.chirp(3 * RATE), formats.chirp(3 * RATE)[::-1].copy()
    data = formats.encode(x, "FLAC", "PCM_16") + formats.encode(y, "FLAC", "PCM_16")
    np.testing.assert_allclose(audio.read(Path("a"), RATE, 2.2, 0.8, data), x[35200:48000], atol=1e-4)
    np.testing.assert_allclose(audio.read(Path("a"), RATE, 3.5, 0.8, data), y[8000:20800], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "junk"),
    [("wav-pcm_16", b"text\n" * 2000), ("wav-pcm_16", b"\x93\x01" * 30), ("ogg-opus", b"\x93\x01" * 900)],
)
def test_bytes_behind_the_audio_are_told(name: str, junk: bytes):
    whole = audio.read(Path("a"), RATE, data=encoded(name, RATE))
    with audio.open_sound(Path("a"), encoded(name, RATE) + junk) as sound:
        np.testing.assert_array_equal(sound.read(RATE), whole)
        assert sound.notes == (
            f"bytes are left after the end of the audio, which are not read ({len(junk)} bytes)",
        )


def test_a_stream_of_another_rate_is_told():
    data = encoded("flac-pcm_16", RATE) + formats.encode(formats.chirp(8000, 8000), "FLAC", "PCM_16", 8000)
    with audio.open_sound(Path("a"), data) as sound:
        assert len(sound.read(RATE)) == RATE
        assert any("another rate" in note for note in sound.notes)


def test_bytes_between_mp3_frames_are_left_out_and_told():
    data = encoded("mp3-mpeg_layer_iii", 5 * RATE)
    middle = data.index(data[:2], len(data) // 2)
    with audio.open_sound(Path("a"), data[:middle] + b"\xff\x00 no frame" * 50 + data[middle:]) as sound:
        assert any("no mp3 frames" in note for note in sound.notes)
        whole = audio.read(Path("a"), RATE, data=data)
        wave = sound.read(RATE)
        assert len(wave) == len(whole)
        np.testing.assert_allclose(wave[-8000:], whole[-8000:], atol=0.05)


def test_a_long_mp3_is_decoded_in_blocks_without_a_gap():
    """Between two blocks soundfile seeks, after which an mp3 decoder lacks the bits of earlier frames."""
    data = formats.encode(formats.chirp(40 * RATE), "MP3", "MPEG_LAYER_III")
    whole = audio.read(Path("a"), RATE, data=data)
    for at in range(0, 36 * RATE, RATE):
        np.testing.assert_allclose(
            audio.read(Path("a"), RATE, at / RATE, 4.0, data), whole[at:][: 4 * RATE], atol=1e-4
        )


# what the samples show


def stereo(left: np.ndarray, right: np.ndarray, subtype: str = "FLOAT") -> bytes:
    return formats.encode(np.stack([left, right], 1), "WAV", subtype)


def notes_of(data: bytes) -> str:
    with audio.open_sound(Path("a"), data) as sound:
        sound.read(RATE)
        return "; ".join(sound.notes)


def test_channels_that_cancel_or_differ_are_told():
    x, y = formats.chirp(RATE), formats.chirp(RATE)[::-1].copy()
    assert "cancel each other" in notes_of(stereo(x, -x))
    assert "differ and are averaged" in notes_of(stereo(x, y))
    assert notes_of(stereo(x, x)) == ""
    assert "cancel" in notes_of(stereo(x, -0.98 * x))


def test_one_channel_can_be_chosen():
    x, y = formats.chirp(RATE), formats.chirp(RATE)[::-1].copy()
    data = stereo(x, y)
    np.testing.assert_array_equal(audio.read(Path("a"), RATE, data=data, channel=1), x)
    np.testing.assert_array_equal(audio.read(Path("a"), RATE, 0.25, 0.5, data, channel=2), y[4000:12000])
    with pytest.raises(AudioError, match="has no channel 3; it has 2"):
        audio.read(Path("a"), RATE, data=data, channel=3)


@pytest.mark.parametrize("scale", [32768, 2**31, 3])
def test_samples_beyond_full_scale_are_told(scale: float):
    data = formats.encode(formats.chirp(RATE) * np.float32(scale), "WAV", "FLOAT")
    if scale == 3:
        assert notes_of(data) == ""
        data = formats.encode(formats.chirp(RATE) * np.float32(9), "WAV", "FLOAT")
    assert "samples beyond ±1" in notes_of(data)
    assert ("integer range" in notes_of(data)) == (scale > 3)


def test_an_error_while_a_sound_is_read_names_the_file():
    path = Path("/proc/self/mem")  # a file whose first byte cannot be read
    if not path.exists():
        pytest.skip("no /proc here")
    for call in (lambda: audio.read(path, RATE), lambda: audio.info(path)):
        with pytest.raises(AudioError, match="/proc/self/mem: cannot be read"):
            call()


def test_an_error_in_the_middle_of_a_sound_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded("wav-pcm_16", 20 * RATE))
    audio.read(path, RATE)

    class Broken(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 300_000:
                raise OSError(5, "Input/output error")
            return super().read(-1 if size is None else size) or b""

    monkeypatch.setattr(audio, "_file", lambda path: Broken(path))
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read \(Input/output error\)"):
        audio.read(path, RATE)


@pytest.mark.parametrize("cut", [lambda b: b[:-700], lambda b: b[: len(b) // 2]])
@pytest.mark.parametrize(
    "name", ["flac-pcm_16", "mp3-mpeg_layer_iii", "ogg-vorbis", "wav-pcm_16", "nist-pcm_16"]
)
def test_what_is_cut_is_told_without_decoding(name: str, cut: Callable[[bytes], bytes], tmp_path: Path):
    """So that data_prep --quick never writes a length that is not so."""
    (tmp_path / "a").write_bytes(cut(encoded(name, 5 * RATE)))
    with pytest.raises(AudioError, match="truncated"):
        audio.info(tmp_path / "a")


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("ipod", "aac"), ("matroska", "flac")])
def test_containers_of_two_files_with_junk_or_cut(container: str, codec: str, tmp_path: Path):
    test_audio.encode_track(tmp_path / "a", container, codec, formats.chirp(48000, 48000)[None])
    data = (tmp_path / "a").read_bytes()
    whole = audio.read(Path("a"), 48000, data=data)

    def read(changed: bytes) -> tuple[np.ndarray, str]:
        with audio.open_sound(Path("a"), changed) as sound:
            return sound.read(48000), "; ".join(sound.notes)

    for tail, note in ((b"\x93junk" * 99, "bytes are left"), (bytes(999), "")):
        wave, told = read(data + tail)
        np.testing.assert_array_equal(wave, whole)
        assert note in told
        assert bool(note) == bool(told)
    wave, told = read(data + data)
    assert len(wave) > 1.9 * len(whole) or "bytes are left" in told
    with pytest.raises(AudioError, match="truncated"):
        read(data[:-40])
