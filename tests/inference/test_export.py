"""Transcripts as others read them."""

import html
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.cli import transcript_output
from asrattn.inference import export
from asrattn.inference.export import FORMATS, format_transcript
from asrattn.inference.subtitles import MAX_CUE_SECONDS, MAX_LINE_WIDTH, MAX_LINES, display_width
from asrattn.inference.transcript import NBestEntry, Transcript, TranscriptSegment, Word

WORDS = (Word("good", 0.5, 0.9, 0.98), Word("day", 0.9, 1.25, 0.5), Word("<you>", 3.0, 3.4))
SAID = Transcript("in/a b.wav", Path("in/a b.wav"), "good day <you>", -3.21987, 4.0, WORDS)
NOTHING = Transcript("x.wav", Path("x.wav"), "", 0.0, 2.0)


def test_text() -> None:
    assert format_transcript(SAID, "txt") == "good day <you>\n"


def test_json() -> None:
    assert json.loads(format_transcript(SAID, "json")) == {
        "id": "a b",
        "path": "in/a b.wav",
        "text": "good day <you>",
        "score": -3.2199,
        "seconds": 4.0,
        "words": [
            {"word": "good", "start": 0.5, "end": 0.9, "confidence": 0.98},
            {"word": "day", "start": 0.9, "end": 1.25, "confidence": 0.5},
            {"word": "<you>", "start": 3.0, "end": 3.4},
        ],
    }


def test_what_the_search_found_stands_in_the_json() -> None:
    readings = (
        NBestEntry("good day", -1.23456, {"attention": -1.0, "ctc": -math.inf}),
        NBestEntry("good bay", -2.0, {"attention": -2.0, "ctc": -1.5}),
    )
    told = json.loads(
        format_transcript(replace(NOTHING, segments=(TranscriptSegment(0.0, 2.0, readings),)), "json")
    )
    best, second = told["pieces"][0].pop("nbest")
    assert told["pieces"] == [{"start": 0.0, "end": 2.0}]
    assert best == {"text": "good day", "score": -1.2346, "parts": {"attention": -1.0, "ctc": None}}
    assert second["text"] == "good bay"


def test_an_utterance_goes_by_its_id() -> None:
    cut = Transcript("talk-7", Path("talk.flac"), "yes", float("nan"), 1.0, (Word("yes", 0.1, 0.4),))
    assert json.loads(format_transcript(cut, "json"))["id"] == "talk-7"
    assert json.loads(format_transcript(cut, "json"))["score"] is None
    assert format_transcript(cut, "ctm") == "talk-7 1 0.100 0.300 yes\n"


def test_subtitles() -> None:
    assert format_transcript(SAID, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,250\ngood day\n\n2\n00:00:03,000 --> 00:00:03,400\n<you>\n\n"
    )
    assert format_transcript(SAID, "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\ngood day\n\n00:00:03.000 --> 00:00:03.400\n&lt;you&gt;\n\n"
    )


def test_a_subtitle_after_hours() -> None:
    late = Transcript("a", Path("a"), "end", 0.0, 7400.0, (Word("end", 7323.9996, 7325.5),))
    assert "02:02:04,000 --> 02:02:05,500" in format_transcript(late, "srt")


def test_ctm_has_no_spaces_in_its_fields() -> None:
    assert format_transcript(SAID, "ctm").splitlines() == [
        "a_b 1 0.500 0.400 good 0.9800",
        "a_b 1 0.900 0.350 day 0.5000",
        "a_b 1 3.000 0.400 <you>",
    ]


def test_a_textgrid_has_no_gaps() -> None:
    said = Transcript("q", Path("q.wav"), 'say "x"', 0.0, 2.0, (Word("say", 0.5, 1.0), Word('"x"', 1.0, 1.5)))
    text = format_transcript(said, "textgrid")
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 2.000\n')
    assert "intervals: size = 4" in text
    assert re.findall(r'text = "(.*)"', text) == ["", "say", '""x""', ""]
    begins, ends = (re.findall(rf"^ {{12}}{name} = (.*)$", text, re.MULTILINE) for name in ("xmin", "xmax"))
    assert begins == ["0.000", "0.500", "1.000", "1.500"]
    assert ends == ["0.500", "1.000", "1.500", "2.000"]


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_said(form: export.Format) -> None:
    text = format_transcript(NOTHING, form)
    expected = {"txt": "\n", "srt": "", "ctm": "", "vtt": "WEBVTT\n\n"}
    if form in expected:
        assert text == expected[form]
    elif form == "json":
        assert json.loads(text)["words"] == []
    else:
        assert "intervals: size = 1" in text


def test_the_command_line_knows_the_same_formats() -> None:
    assert transcript_output.FORMATS == FORMATS


# Strict readers, from the formats' specifications. Tried beside them once, on 300 made transcripts in eleven scripts:
# webvtt-py, srt, pysrt, Praat (parselmouth), textgrid and sclite, which read all of them.

SRT_CUE = re.compile(r"(\d+)\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n((?:[^\n]+\n)+)\n")
VTT_CUE = re.compile(r"(\d\d+:\d\d:\d\d\.\d{3}) --> (\d\d+:\d\d:\d\d\.\d{3})\n((?:[^\n]+\n)+)\n")
INTERVAL = re.compile(
    r" {8}intervals \[(\d+)\]:\n {12}xmin = ([\d.]+)\n {12}xmax = ([\d.]+)\n {12}text = \"((?:[^\"]|\"\")*)\"\n"
)


class ReadCue(NamedTuple):
    start: int
    end: int
    lines: list[str]


def milliseconds(text: str) -> int:
    hours, minutes, seconds, rest = map(int, re.split("[:.,]", text))
    assert minutes < 60
    assert seconds < 60
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def read_srt(text: str) -> list[ReadCue]:
    found, at = [], 0
    while at < len(text):
        cue = SRT_CUE.match(text, at)
        assert cue, text[at : at + 80]
        assert int(cue[1]) == len(found) + 1
        found.append(ReadCue(milliseconds(cue[2]), milliseconds(cue[3]), cue[4].splitlines()))
        at = cue.end()
    return found


def read_vtt(text: str) -> list[ReadCue]:
    assert text.startswith("WEBVTT\n\n")
    found, at = [], len("WEBVTT\n\n")
    while at < len(text):
        cue = VTT_CUE.match(text, at)
        assert cue, text[at : at + 80]
        assert "-->" not in cue[3]
        assert not re.search("<|&(?!amp;|lt;|gt;)", cue[3])
        lines = [html.unescape(line) for line in cue[3].splitlines()]
        found.append(ReadCue(milliseconds(cue[1]), milliseconds(cue[2]), lines))
        at = cue.end()
    return found


def read_textgrid(text: str) -> list[tuple[int, int, str]]:
    """(start, end, text) of every interval, from 0 to the end without gaps."""
    header, _, body = text.partition("intervals: size = ")
    size, _, body = body.partition("\n")
    (end,) = set(re.findall(r"xmax = ([\d.]+)", header))
    found, at, last = [], 0, "0.000"
    while at < len(body):
        interval = INTERVAL.match(body, at)
        assert interval, body[at : at + 80]
        assert int(interval[1]) == len(found) + 1
        assert interval[2] == last
        assert float(interval[2]) < float(interval[3])
        last = interval[3]
        found.append(
            (round(1000 * float(interval[2])), round(1000 * float(last)), interval[4].replace('""', '"'))
        )
        at = interval.end()
    assert len(found) == int(size)
    assert last == end
    return found


def read_ctm(text: str) -> list[tuple[int, int, str]]:
    found = []
    for line in text.splitlines():
        _, channel, start, duration, word, *confidence = line.split(" ")
        assert channel == "1"
        assert len(confidence) <= 1
        begin, length = round(1000 * float(start)), round(1000 * float(duration))
        assert length > 0
        found.append((begin, begin + length, word))
    return found


def check_cues(cues: list[ReadCue], seconds: float) -> None:
    last = 0
    for start, end, lines in cues:
        assert last <= start < end <= 1000 * seconds + 1e-3
        assert end - start <= 1000 * MAX_CUE_SECONDS
        assert 1 <= len(lines) <= MAX_LINES
        assert all(line.strip() == line and display_width(line) <= MAX_LINE_WIDTH for line in lines)
        last = end


def check_all(words: list[Word], seconds: float) -> list[ReadCue]:
    """Every format, read strictly; the cues."""
    said = Transcript("a", Path("a"), "", 0.0, seconds, tuple(words))
    cues = read_srt(format_transcript(said, "srt"))
    check_cues(cues, seconds)
    assert [cue[:2] for cue in read_vtt(format_transcript(said, "vtt"))] == [cue[:2] for cue in cues]
    kept = [text for word in words if (text := "_".join(word.text.split()))]
    timed = read_ctm(format_transcript(said, "ctm"))
    assert [word for *_, word in timed] == kept
    assert [each for each in read_textgrid(format_transcript(said, "textgrid")) if each[2]] == timed
    assert all(0 <= a < b <= 1000 * seconds + 1e-3 for a, b, _ in timed)
    shown = "".join("".join(line.split()) for cue in cues for line in cue.lines)
    assert shown == "".join("".join(word.text.split()) for word in words).replace("-->", "->")
    return cues


scripts = st.sampled_from(
    [
        "abcdefgh",
        "абвгд",
        "你好世界。，「」",
        "こんにちはーャッ。",
        "สวัสดีครับเแ",
        "हिन्दीि",
        "עברית״",
        "한국어",
        '<&>"-',
    ]
)
texts = scripts.flatmap(lambda letters: st.text(letters, min_size=1, max_size=60)) | st.text(
    min_size=1, max_size=9
)


@given(
    st.lists(st.tuples(texts, st.floats(-0.1, 1.5), st.floats(0, 9) | st.just(0.0)), max_size=30),
    st.floats(0.7, 1.2),
)
def test_every_format_is_valid_for_words_of_any_script_and_length(
    made: list[tuple[str, float, float]], share: float
) -> None:
    """Also for words that overlap, take no time or lie past the end of the audio."""
    words, at = [], 0.0
    for text, gap, length in made:
        if not re.search(r"[\ud800-\udfff\x00]|-->", text):
            words.append(Word(text, max(at + gap, 0.0), max(at + gap, 0.0) + length))
            at = words[-1].end
    check_all(words, max(at * share, 0.5))


def spoken(text: str, seconds: float) -> list[Word]:
    """A word for each character, at an even pace."""
    step = seconds / len(text)
    return [Word(c, i * step, (i + 1) * step) for i, c in enumerate(text)]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (spoken("你好世界", 2.0), ["你好世界"]),
        (spoken("สวัสดี", 2.0), ["สวัสดี"]),
        (spoken("こんにちは", 2.0), ["こんにちは"]),
        ([*spoken("我喜欢", 1.0), Word("jazz", 1.0, 1.5)], ["我喜欢 jazz"]),
        ([Word("안녕", 0.0, 1.0), Word("하세요", 1.0, 2.0)], ["안녕 하세요"]),
        (spoken("你" * 25, 5.0), ["你" * 21, "你" * 4]),
    ],
)
def test_scripts_without_spaces_have_none(words: list[Word], lines: list[str]) -> None:
    (cue,) = check_all(words, 5.0)
    assert cue.lines == lines


def test_closing_signs_do_not_begin_a_line() -> None:
    (cue,) = check_all([Word("你" * 21 + "。好", 0.0, 5.0)], 5.0)
    assert cue.lines == ["你" * 20, "你。好"]


@pytest.mark.parametrize("letter", ["a", "你", "ก", "д"])
def test_a_very_long_word_is_shown_in_parts(letter: str) -> None:
    cues = check_all([Word(letter * 80, 0.0, 30.0)], 30.0)
    assert len(cues) >= 5
    assert sum(cue.end - cue.start for cue in cues) > 25_000


def test_a_short_word_of_half_a_minute_is_shown_for_seven_seconds() -> None:
    (cue,) = check_all([Word("hello", 1.0, 30.0)], 31.0)
    assert (cue.start, cue.end) == (1000, 8000)


def test_words_without_duration_are_shown_for_tenths_of_a_second() -> None:
    first, second = check_all([Word("a", 1.0, 1.0), Word("b", 3.0, 3.0)], 3.0)
    assert first[:2] == (1000, 1300)
    assert second[:2] == (2700, 3000)
    (together,) = check_all([Word("a", 2.0, 2.0), Word("b", 2.0, 2.0)], 2.0)
    assert together == (1700, 2000, ["a b"])
    check_all([Word(f"word{i}", 1.0, 1.0) for i in range(60)], 1.0)


def test_words_past_the_end_of_the_audio_are_pulled_in() -> None:
    check_all([Word("a", 1.0, 1.9), Word("b", 2.5, 3.0)], 2.0)
    check_all([Word("a", 0.0, 1.9), Word("b", 1.5, 1.8)], 2.0)
