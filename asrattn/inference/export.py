"""Export of transcripts: text, JSON, subtitles (SRT, VTT), CTM, Praat's TextGrid."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from asrattn import files
from asrattn.inference import subtitles
from asrattn.inference.subtitles import MIN_WORD_SECONDS, Cue, spread_times
from asrattn.inference.transcript import NBestEntry, Transcript, TranscriptSegment

Format = Literal["txt", "json", "srt", "vtt", "ctm", "textgrid"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {f: f for f in FORMATS} | {"textgrid": "TextGrid"}  # as Praat writes it
TIMED_FORMATS = frozenset(FORMATS) - {"txt"}  # these need words with times


def format_transcript(transcript: Transcript, form: Format) -> str:
    """The content of the file of one transcript, with a final line break."""
    match form:
        case "txt":
            return transcript.text + "\n"
        case "json":
            return json.dumps(to_plain(transcript), ensure_ascii=False) + "\n"
        case "srt":
            cues = subtitles.make_cues(transcript.words, transcript.seconds)
            return "".join(f"{n}\n{_srt_cue(cue)}" for n, cue in enumerate(cues, 1))
        case "vtt":
            cues = subtitles.make_cues(transcript.words, transcript.seconds)
            return "WEBVTT\n\n" + "".join(map(_vtt_cue, cues))
        case "ctm":
            return "".join(_ctm_line(transcript, word) for word in _timed_words(transcript))
        case "textgrid":
            return _textgrid(transcript)


def to_plain(transcript: Transcript) -> dict[str, object]:
    """Plain values for JSON. Times in seconds."""
    found: dict[str, object] = {
        "id": _name(transcript),
        "path": str(transcript.path),
        "text": transcript.text,
        "score": _number(transcript.score),
        "seconds": round(transcript.seconds, 3),
    }
    if transcript.channel is not None:
        found["channel"] = transcript.channel
    if transcript.flags:
        found["flags"] = list(transcript.flags)
    if transcript.notes:
        found["notes"] = list(transcript.notes)
    found["words"] = [
        {"word": w.text, "start": w.start, "end": w.end}
        | ({} if w.confidence is None else {"confidence": round(w.confidence, 4)})
        for w in transcript.words
    ]
    if transcript.segments:
        found["pieces"] = list(map(_piece, transcript.segments))
    return found


def _piece(segment: TranscriptSegment) -> dict[str, object]:
    found: dict[str, object] = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
    if segment.language:
        found["language"] = segment.language
    if segment.phrases:
        found["phrases"] = [{"text": p.text, "start": p.start, "end": p.end} for p in segment.phrases]
    return found | {"nbest": list(map(_nbest_entry, segment.nbest))}


def _nbest_entry(reading: NBestEntry) -> dict[str, object]:
    parts = {name: _number(value) for name, value in reading.component_scores.items()}
    return {"text": reading.text, "score": _number(reading.score), "parts": parts}


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _name(transcript: Transcript) -> str:
    """The stem of a file's path, or the id of an utterance."""
    return transcript.path.stem if transcript.id == str(transcript.path) else transcript.id


def _srt_cue(cue: Cue) -> str:
    text = "\n".join(cue.lines).replace("-->", "->")  # the sign of a timing line
    return f"{_cue_timing(cue, ',')}\n{text}\n\n"


def _vtt_cue(cue: Cue) -> str:
    text = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_cue_timing(cue, '.')}\n{text}\n\n"


def _cue_timing(cue: Cue, point: str) -> str:
    return f"{_timestamp(cue.start, point)} --> {_timestamp(cue.end, point)}"


def _timestamp(milliseconds: int, point: str) -> str:
    whole, thousandths = divmod(milliseconds, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


class _TimedWord(NamedTuple):
    """A word without spaces; start and end in milliseconds."""

    text: str
    start: int
    end: int
    confidence: float | None


def _timed_words(transcript: Transcript) -> list[_TimedWord]:
    """The words of CTM and TextGrid, which allow neither empty nor overlapping ones."""
    words = [(joined, word) for word in transcript.words if (joined := "_".join(word.text.split()))]
    times = spread_times([(w.start, w.end) for _, w in words], transcript.seconds, MIN_WORD_SECONDS)
    return [_TimedWord(text, *time, w.confidence) for (text, w), time in zip(words, times, strict=True)]


def _ctm_line(transcript: Transcript, word: _TimedWord) -> str:
    """NIST's CTM: recording, channel, start, duration, word, confidence."""
    confidence = "" if word.confidence is None else f" {word.confidence:.4f}"
    name = "_".join(files.printable(_name(transcript)).split())  # the fields are separated by spaces
    start, duration = word.start / 1000, (word.end - word.start) / 1000
    return f"{name} {transcript.channel or 1} {start:.3f} {duration:.3f} {word.text}{confidence}\n"


def _textgrid(transcript: Transcript) -> str:
    """Praat's long text format: one tier, with empty intervals between the words."""
    words = _timed_words(transcript)
    length = max(int(1000 * transcript.seconds + 1e-6), words[-1].end if words else 0, 1)
    intervals = list(_intervals(words, length))
    end = length / 1000
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end:.3f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        f"        xmax = {end:.3f}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, stop, text) in enumerate(intervals, 1):
        quoted = text.replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start / 1000:.3f}",
            f"            xmax = {stop / 1000:.3f}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


def _intervals(words: Sequence[_TimedWord], end: int) -> Iterator[tuple[int, int, str]]:
    """Intervals without gaps from 0 to the end."""
    at = 0
    for word in words:
        if word.start > at:
            yield at, word.start, ""
        yield word.start, word.end, word.text
        at = word.end
    if end > at:
        yield at, end, ""
