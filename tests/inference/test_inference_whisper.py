"""Whisper's own timestamps, its detection of languages, and speech that its texts leave out."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_whisper
import torch

from asrattn.cli.main import main
from asrattn.decoders.whisper import WhisperDecoder
from asrattn.decoding.hypothesis import Hypothesis
from asrattn.errors import ConfigError
from asrattn.inference import recognizer as recognizer_module
from asrattn.inference import whisper
from asrattn.inference.batching import DecodedSegment, TimedSegment
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.segmentation import SPEECH_PAD_SECONDS
from asrattn.inference.transcript import Transcript, Word
from asrattn.inference.whisper import WhisperPrompt
from asrattn.text import EOS, WhisperTokenizer

RATE = 16000


@pytest.fixture
def recognizer() -> Recognizer:
    """With random weights."""
    return Recognizer(tiny_whisper.native(), torch.device("cpu"))


@pytest.fixture
def multilingual() -> Recognizer:
    source = tiny_whisper.source(tiny_whisper.SIZES["tiny"])
    return Recognizer(tiny_whisper.native(source), torch.device("cpu"))


def tokenizer_of(recognizer: Recognizer) -> WhisperTokenizer:
    assert isinstance(recognizer.tokenizer, WhisperTokenizer)
    return recognizer.tokenizer


def test_phrases_lie_between_timestamps(recognizer: Recognizer) -> None:
    tokenizer = tokenizer_of(recognizer)
    stamps, he, a = tokenizer.timestamp_tokens(), *map(tokenizer.encode, ("he", "a he"))
    tokens = (stamps[5], *he, stamps[50], stamps[60], *a, stamps[1500])
    text, phrases = whisper.split_phrases(tokens, tokenizer, 2.5)
    assert text == (*he, *a)
    assert phrases == [Word("he", 0.1, 1.0), Word("a he", 1.2, 2.5)]  # none ends behind the audio


def test_a_phrase_that_is_not_closed_ends_with_the_audio(recognizer: Recognizer) -> None:
    tokenizer = tokenizer_of(recognizer)
    he = tokenizer.encode("he")
    assert whisper.split_phrases(he, tokenizer, 2.5) == (tuple(he), [Word("he", 0.0, 2.5)])
    stamps = tokenizer.timestamp_tokens()
    assert whisper.split_phrases((stamps[0], stamps[9]), tokenizer, 2.5) == ((), [])


def test_timestamps_are_written_and_leave_the_words(recognizer: Recognizer, tmp_path: Path) -> None:
    recognizer.require_whisper().timestamps = True
    sound = tiny.sound(tmp_path / "a.wav", 2.0, rate=RATE)
    (found,) = recognizer.transcribe([sound], words=True)
    assert isinstance(found, Transcript)
    (segment,) = found.segments
    assert "".join(phrase.text for phrase in segment.phrases) == found.text.replace(" ", "") != ""
    assert [word.text for word in found.words] == found.text.split()
    times = [at for phrase in segment.phrases for at in (phrase.start, phrase.end)]
    assert times == sorted(times)
    assert 0 <= times[0] <= 1  # Whisper's first timestamp is at most 1 s
    assert times[-1] <= 2


def test_the_language_is_that_of_the_next_token(multilingual: Recognizer) -> None:
    """By the decoder's teacher-forced logits behind the start of the transcript."""
    tokenizer, waves = (
        tokenizer_of(multilingual),
        [tiny.wave(s, n, RATE) for n, s in enumerate((1.0, 2.0, 1.5))],
    )
    enc, _ = multilingual.encode(waves)
    decoder = multilingual.model.decoder
    assert isinstance(decoder, WhisperDecoder)
    found = whisper.detect_languages(decoder, tokenizer, enc)
    before = decoder.prompt
    decoder.prompt = tokenizer.prompt("en")[:1]
    with torch.inference_mode():
        logits = decoder(torch.ones(3, 1, dtype=torch.int64), enc.output, enc.lens).logits[:, 0]
    decoder.prompt = before
    ids = [tokenizer.prompt(code)[1] for code in tokenizer.languages]
    assert found == [tokenizer.languages[n] for n in logits[:, ids].argmax(1).tolist()]


def test_each_utterance_is_decoded_in_its_own_language(
    multilingual: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = [tiny.sound(tmp_path / f"{n}.wav", 1.0 + n / 5, n, RATE) for n in range(4)]
    spoken = ["l03", "en", "l03", "l07"]
    wanted = []
    for sound, language in zip(sounds, spoken, strict=True):
        multilingual.require_whisper().set_language(language, "translate")
        wanted += [
            outcome.text for outcome in multilingual.transcribe([sound]) if isinstance(outcome, Transcript)
        ]
    monkeypatch.setattr(whisper, "detect_languages", lambda *_: spoken[::-1])  # decoded longest first
    multilingual.require_whisper().set_language("auto", "translate")
    outcomes = [each for each in multilingual.transcribe(sounds) if isinstance(each, Transcript)]
    assert [each.text for each in outcomes] == wanted
    assert [each.segments[0].language for each in outcomes] == spoken


def test_the_command_reports_language_and_phrases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tiny_whisper.source(tiny_whisper.SIZES["tiny"])
    model = tiny_whisper.model_file(tmp_path, tiny_whisper.native(source))
    sound = tiny.sound(tmp_path / "a.wav", 1.5, rate=RATE)
    asked = ["--language", "auto", "--timestamps", "--format", "json", "--beam", "2"]
    assert main(["transcribe", str(model), str(sound), *asked]) == 0
    (piece,) = json.loads(capsys.readouterr().out)["pieces"]
    assert piece["language"] in tokenizer_of(Recognizer.load(model, "cpu")).languages
    assert piece["phrases"][0].keys() == {"text", "start", "end"}


def test_other_models_have_neither(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="knows English only"):
        recognizer.require_whisper().set_language("auto")
    other = Recognizer.load(tiny.model_file(tmp_path), "cpu")
    with pytest.raises(ConfigError, match="no Whisper"):
        other.require_whisper()


def test_speech_behind_the_end_of_a_text_is_found() -> None:
    wave = np.zeros(10 * RATE, dtype=np.float32)

    def vad(wave: np.ndarray, rate: int) -> list[tuple[float, float]]:
        return [(0.5, 3.0), (5.0, 5.4), (5.6, 6.0)]

    assert whisper.find_rest(wave, RATE, 3.1, vad) == round((5.0 - SPEECH_PAD_SECONDS) * RATE)
    assert whisper.find_rest(wave, RATE, 2.0, vad) == 2 * RATE  # in the middle of speech
    assert whisper.find_rest(wave, RATE, 5.7, vad) is None  # 0.3 s are too little
    assert whisper.find_rest(wave, RATE, 0.0, vad) is None  # the text must go on


def test_a_text_ends_at_the_likeliest_timestamp_behind_it(recognizer: Recognizer) -> None:
    tokenizer, waves = tokenizer_of(recognizer), [tiny.wave(s, n, RATE) for n, s in enumerate((3.0, 2.0))]
    enc, _ = recognizer.encode(waves)
    texts = [tokenizer.encode("he heard a bell"), tokenizer.encode("he")]
    found = recognizer.require_whisper().find_ends(enc, texts)
    stamps = tokenizer.timestamp_tokens()
    decoder = recognizer.model.decoder
    assert isinstance(decoder, WhisperDecoder)
    timed = decoder.with_prompt(tokenizer.prompt(None, timestamps=True))
    for b, text in enumerate(texts):
        with torch.inference_mode():
            tokens = torch.tensor([[EOS, stamps[0], *text]])
            logits = timed(tokens, enc.output[[b]], enc.lens[[b]]).logits[0, -1, stamps.start :]
        assert found[b] == pytest.approx(0.02 * int(logits.argmax()))


def test_what_a_text_leaves_out_is_decoded_too(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that ends after 4 s of 20: the rest is a segment of its own, if the decoder is sure of it."""
    ends = iter(([4.0], [14.0]))
    monkeypatch.setattr(WhisperPrompt, "find_ends", lambda *_: next(ends))
    monkeypatch.setattr(recognizer_module, "is_speech", lambda rest: rest.start < 15)
    sound = tiny.sound(tmp_path / "a.wav", 20.0, rate=RATE)
    recognizer.vad = lambda wave, rate: [(0.0, len(wave) / rate)]
    (found,) = recognizer.transcribe([sound], words=True)
    assert isinstance(found, Transcript)
    assert [(s.start, s.end) for s in found.segments] == [(0.0, 4.0), (4.0, 18.0)]
    assert found.text.split() == [word.text for word in found.words]
    assert max(word.end for word in found.words) <= 18.0


def test_short_audio_and_fine_tuned_models_are_not_checked(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WhisperPrompt, "find_ends", lambda *_: pytest.fail("checked"))
    (short,) = recognizer.transcribe([tiny.sound(tmp_path / "short.wav", 5.0, rate=RATE)])
    recognizer.card["longest_seconds"] = 28.0
    (long,) = recognizer.transcribe([tiny.sound(tmp_path / "long.wav", 20.0, rate=RATE)])
    for found in (short, long):
        assert isinstance(found, Transcript)
        assert len(found.segments) == 1


@pytest.mark.parametrize(
    ("nats", "flags", "speech"), [(0.4, (), True), (0.6, (), False), (0.4, ("doubtful",), False)]
)
def test_noise_is_no_rest(nats: float, flags: tuple[str, ...], speech: bool) -> None:
    best = Hypothesis((5, 6, 7), -4 * nats, {"attention": -4 * nats})
    decoded = DecodedSegment(best.tokens, flags, [best], [], [])
    assert whisper.is_speech(TimedSegment(0.0, 1.0, decoded)) == speech
