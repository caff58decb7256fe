"""`asrattn listen MODEL`: streaming recognition from the microphone."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrattn.cli import options
from asrattn.errors import ConfigError

if TYPE_CHECKING:
    from asrattn.audio.interface import Wave
    from asrattn.inference.streaming import DecodedChunk

CHUNK_SECONDS = 0.1


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Streaming recognition: a line for each utterance with its start time, when a pause ends it. A terminal "
        "shows the partial hypothesis meanwhile. Ctrl-C ends it."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run's model.safetensors")
    parser.add_argument(
        "audio", nargs="?", type=Path, metavar="AUDIO", help="a file instead of the microphone, for a test"
    )
    options.add_recognition(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    options.check_recognition(args)
    if args.audio:
        from asrattn import audio

        audio.check(args.audio)
    recognizer, decoding = options.load_recognizer(args)
    recognizer.decoding = decoding
    chunks = _file(args.audio, recognizer.rate) if args.audio else _microphone(recognizer.rate)
    stream = recognizer.stream()
    try:
        for chunk in chunks:
            _show(stream.feed(chunk))
    except KeyboardInterrupt:
        pass
    _show(stream.finish())
    return 0


def _file(path: Path, rate: int) -> Iterator["Wave"]:
    from asrattn.inference import segmentation
    from asrattn.inference.segmentation import AudioRegion

    size = round(CHUNK_SECONDS * rate)
    for wave, _ in segmentation.read_segments(AudioRegion(str(path), path), rate):
        yield from (wave[i : i + size] for i in range(0, len(wave), size))


def _microphone(rate: int) -> Iterator["Wave"]:
    """Raises ConfigError if there is no microphone, or no library to read it."""
    try:
        import sounddevice  # type: ignore[import-not-found, unused-ignore]
    except (ModuleNotFoundError, OSError) as error:  # the package, or the library that it calls
        raise ConfigError(
            f"the microphone needs sounddevice and PortAudio ({error}); pip install asrattn[mic], or name a file"
        ) from None
    device: Any = sounddevice
    try:
        with device.InputStream(samplerate=rate, channels=1, dtype="float32") as microphone:
            while True:
                yield microphone.read(round(CHUNK_SECONDS * rate))[0][:, 0]
    except device.PortAudioError as error:
        raise ConfigError(f"no microphone can be read ({error}); plug one in, or name a file") from None


def _show(chunks: Iterable["DecodedChunk"]) -> None:
    """Final utterances to stdout; partial hypotheses on one line of a terminal, which the next one overwrites."""
    interactive = sys.stderr.isatty()
    for chunk in chunks:
        if interactive:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if not chunk.final:
            if interactive:
                print(
                    f"{chunk.stable} \033[2m{chunk.tentative}\033[0m"[-200:],
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
        elif chunk.stable:
            print(f"{chunk.start:8.1f}   {chunk.stable}", flush=True)
