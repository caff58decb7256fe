"""Transcripts as others read them."""

import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.cli import transcript_output
from asrattn.inference import export
from asrattn.inference.export import (
    FORMATS,
    MAX_LINE_CHARS,
    MAX_SUBTITLE_LINES,
    MAX_SUBTITLE_SECONDS,
    MIN_PAUSE_SECONDS,
    format_transcript,
    split_subtitles,
)
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


@given(
    st.lists(
        st.tuples(st.text("abcdefgh", min_size=1, max_size=60), st.floats(0, 1.5), st.floats(0, 2)),
        max_size=40,
    )
)
def test_subtitles_can_be_read(made: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, gap, length in made:
        words.append(Word(text, at + gap, at + gap + length))
        at += gap + length
    cues = list(split_subtitles(words))
    assert [word for cue in cues for word in cue] == words
    for cue in cues:
        lines = export._lines(cue)
        assert len(cue) == 1 or len(lines) <= MAX_SUBTITLE_LINES
        assert all(len(line) <= MAX_LINE_CHARS or " " not in line for line in lines)
        assert len(cue) == 1 or cue[-1].end - cue[0].start <= MAX_SUBTITLE_SECONDS
        assert all(b.start - a.end <= MIN_PAUSE_SECONDS for a, b in pairwise(cue))
