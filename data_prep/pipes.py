"""Commands in Kaldi's wav.scp, such as `flac -c -d -s x.flac |`: what they read. None is ever run.

A command that only decodes one file, or resamples it or mixes its channels, stands for that file, as reading does the
same. Whatever else a command does would be lost, so that its line cannot be used.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

_STANDARD_STREAMS = {"-", "/dev/stdin", "/dev/stdout", "pipe:", "pipe:0", "pipe:1"}

# Harmless options of each program, and how many arguments each takes.
_OPTIONS: dict[str, Mapping[str, int]] = {
    "cat": {},
    "flac": {
        **dict.fromkeys(("-c", "-d", "-s", "-F"), 0),
        **dict.fromkeys(("--decode", "--stdout", "--silent"), 0),
    },
    "sph2pipe": {"-f": 1, "-p": 0, "-c": 1},
    "sox": {"-t": 1, "-r": 1, "-b": 1, "-c": 1, "-e": 1, "-q": 0, "-D": 0, "-R": 0, "-V0": 0, "-V1": 0},
    "ffmpeg": {
        **dict.fromkeys(("-i", "-f", "-ar", "-ac", "-acodec", "-c:a", "-codec:a", "-sample_fmt"), 1),
        **dict.fromkeys(("-v", "-loglevel"), 1),
        **dict.fromkeys(("-hide_banner", "-nostdin", "-vn", "-y"), 0),
    },
    "lame": {"--decode": 0, "--quiet": 0, "--silent": 0, "-S": 0},
    "opusdec": {"--rate": 1, "--force-wav": 0, "--quiet": 0},
}
_CHANNEL_OPTIONS = {("sph2pipe", "-c")}  # of which the argument is the channel that is kept, from 1
_EFFECTS = {
    "rate",
    "channels",
    "dither",
    "remix",
}  # of sox, harmless with the arguments that `_effects` allows


class PipeInput(NamedTuple):
    """The file that a command reads. channel: the only one that is kept, from 1; None: all of them."""

    path: str
    channel: int | None


def read_pipe(command: str) -> PipeInput:
    """What a command reads, whose last bar may be missing. Raises ValueError with the reason if that is not known."""
    stages = _split(command.strip().removesuffix("|"))
    files: list[str] = []
    channels: list[int] = []
    for number, stage in enumerate(stages):
        read, channel = _parse_stage(stage)
        if number and read:
            raise ValueError("it reads several files")
        files += read
        channels += channel
    if len(files) != 1 or len(set(channels)) > 1:
        raise ValueError(
            "it does not read exactly one file" if len(files) != 1 else "it picks several channels"
        )
    return PipeInput(files[0], channels[0] if channels else None)


def _split(command: str) -> list[list[str]]:
    """The words of each program of a pipeline."""
    if "`" in command or "$(" in command:
        raise ValueError("it runs another command")
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    stages: list[list[str]] = [[]]
    try:
        words = list(lexer)
    except ValueError as error:
        raise ValueError(str(error).lower()) from None
    for word in words:
        if word == "|":
            stages.append([])
        elif word and set(word) <= set("|&;<>()"):
            raise ValueError(f"it has {word!r}")
        else:
            stages[-1].append(word)
    return stages


def _parse_stage(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """The files that one program reads, and the channel that it keeps."""
    if not words:
        raise ValueError("it has an empty part")
    program = PurePosixPath(words[0]).name
    if program not in _OPTIONS:
        raise ValueError(f"{program} is not known")
    files: list[str] = []
    channels: list[int] = []
    rest = iter(_short_options_apart(program, words[1:]))
    for word in rest:
        arguments = _OPTIONS[program].get(word)
        if arguments is not None:
            values = [next(rest, "") for _ in range(arguments)]
            if (program, word) in _CHANNEL_OPTIONS:
                channels.append(_channel(values[0]))
            if word == "-i":
                files += values
        elif program == "sox" and word in _EFFECTS:
            channels += _effects([word, *rest])
        elif word.startswith("-") and word not in _STANDARD_STREAMS:
            raise ValueError(f"its option {word} may change the audio")
        else:
            files.append(word)
    return [file for file in files if file not in _STANDARD_STREAMS], channels


def _short_options_apart(program: str, words: Sequence[str]) -> Iterator[str]:
    """-dcs of flac as -d -c -s."""
    for word in words:
        if program == "flac" and re.fullmatch(r"-[a-zA-Z]{2,}", word):
            yield from (f"-{letter}" for letter in word[1:])
        else:
            yield word


def _effects(words: Sequence[str]) -> list[int]:
    """The channel that remix keeps. Raises ValueError for an effect that changes what is heard."""
    channels = []
    rest = list(words)
    while rest:
        effect = rest.pop(0)
        arguments = []
        while rest and rest[0] not in _EFFECTS:
            arguments.append(rest.pop(0))
        match effect, [a for a in arguments if not re.fullmatch(r"-[a-zA-Z]+", a)]:
            case "rate", [rate] if re.fullmatch(r"[\d.]+k?", rate):
                pass
            case ("channels", ["1"]) | ("dither", []) | ("remix", ["-"]):
                pass
            case "remix", [channel]:
                channels.append(_channel(channel))
            case _:
                raise ValueError(f"its effect {' '.join([effect, *arguments])!r} changes the audio")
    return channels


def _channel(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d?", text):
        raise ValueError(f"{text!r} is no channel")
    return int(text)
