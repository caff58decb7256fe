"""Whisper's own timestamps and its detection of languages."""

import json
from pathlib import Path

import pytest
import tiny
import tiny_whisper
import torch

from asrattn.cli.main import main
from asrattn.decoders.whisper import WhisperDecoder
from asrattn.errors import ConfigError
from asrattn.inference import whisper
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript, Word
from asrattn.text import WhisperTokenizer

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
