"""Export of transcripts: text, JSON, subtitles (SRT, VTT), CTM, Praat's TextGrid."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from asrattn import files
from asrattn.inference.transcript import NBestEntry, Transcript, TranscriptSegment, Word

Format = Literal["txt", "json", "srt", "vtt", "ctm", "textgrid"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {f: f for f in FORMATS} | {"textgrid": "TextGrid"}  # as Praat writes it
TIMED_FORMATS = frozenset(FORMATS) - {"txt"}  # these need words with times

# Readable subtitles: two lines of 42 characters, at most seven seconds, a new one at each pause of the speaker.
MAX_LINE_CHARS, MAX_SUBTITLE_LINES, MAX_SUBTITLE_SECONDS, MIN_PAUSE_SECONDS = 42, 2, 7.0, 1.0


def format_transcript(transcript: Transcript, form: Format) -> str:
    """The content of the file of one transcript, with a final line break."""
    match form:
        case "txt":
            return transcript.text + "\n"
        case "json":
            return json.dumps(to_plain(transcript), ensure_ascii=False) + "\n"
        case "srt":
            numbered = enumerate(split_subtitles(transcript.words), 1)
            return "".join(f"{n}\n{_cue_timing(cue, ',')}\n{_wrapped(cue)}\n\n" for n, cue in numbered)
        case "vtt":
            cues = (
                f"{_cue_timing(cue, '.')}\n{_escaped(_wrapped(cue))}\n\n"
                for cue in split_subtitles(transcript.words)
            )
            return "WEBVTT\n\n" + "".join(cues)
        case "ctm":
            return "".join(_ctm_line(transcript, word) for word in transcript.words)
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


def split_subtitles(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Groups of words that fit into one subtitle, in length and time."""
    cue: list[Word] = []
    for word in words:
        if cue and (
            word.start - cue[-1].end > MIN_PAUSE_SECONDS
            or word.end - cue[0].start > MAX_SUBTITLE_SECONDS
            or len(_lines([*cue, word])) > MAX_SUBTITLE_LINES
        ):
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def _lines(cue: Sequence[Word]) -> list[str]:
    """Line wrapping; a word longer than a line gets its own."""
    lines = [cue[0].text]
    for word in cue[1:]:
        if len(lines[-1]) + 1 + len(word.text) <= MAX_LINE_CHARS:
            lines[-1] += f" {word.text}"
        else:
            lines.append(word.text)
    return lines


def _wrapped(cue: Sequence[Word]) -> str:
    return "\n".join(_lines(cue))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cue_timing(cue: Sequence[Word], point: str) -> str:
    return f"{_timestamp(cue[0].start, point)} --> {_timestamp(cue[-1].end, point)}"


def _timestamp(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


def _ctm_line(transcript: Transcript, word: Word) -> str:
    """NIST's CTM: recording, channel, start, duration, word, confidence."""
    confidence = "" if word.confidence is None else f" {word.confidence:.4f}"
    name = "_".join(files.printable(_name(transcript)).split())  # the fields are separated by spaces
    return f"{name} {transcript.channel or 1} {word.start:.3f} {word.end - word.start:.3f} {word.text}{confidence}\n"


def _textgrid(transcript: Transcript) -> str:
    """Praat's long text format: one tier, with empty intervals between the words."""
    end = max(transcript.seconds, transcript.words[-1].end if transcript.words else 0.0)
    intervals = list(_intervals(transcript.words, end))
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
            f"            xmin = {start:.3f}",
            f"            xmax = {stop:.3f}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


def _intervals(words: Sequence[Word], end: float) -> Iterator[tuple[float, float, str]]:
    """Intervals without gaps from 0 to the end; Praat accepts no zero-length ones."""
    at = 0.0
    for word in words:
        if word.start > at:
            yield at, word.start, ""
        begin = max(at, word.start)
        if word.end > begin:
            yield begin, word.end, word.text
            at = word.end
    if end > at or not words:
        yield at, end, ""
