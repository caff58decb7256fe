"""Demo corpus: spoken words synthesised offline by eSpeak NG, with the same bytes for the same seed."""

import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from tqdm import tqdm

from asrattn import audio
from data_prep import build, espeak
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import CorpusEntry

RATE = 16000
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("yes", "no", "go", "stop", "left", "right", "up", "down"),
    *("start", "help", "erase", "enter", "repeat", "open"),
)

# Voice variants that speak clearly. Left out: whispers, croaks, robots, twins of another one, and all with Klatt's
# synthesis, which draws its noise from the C library's rand(): its state is not ours, and a second run would differ.
WOMEN = (
    *("Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5"),
    *("grandma", "linda", "shelby", "steph"),
)
MEN = (
    *("Alex", "Andy", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Mario", "Michael"),
    *("Mike", "Nguyen", "boris", "ed", "grandpa", "gustave", "ian", "iven4", "john", "m1", "m2", "m3", "m4"),
    *("m5", "m6", "m7", "m8", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro"),
    *("quincy", "rob", "robert", "sandro", "travis", "victor"),
)
HELD_OUT = {"dev": (2, 6), "test": (3, 7), "unseen": (0, 1)}  # women, men
UTTERANCES = {"train": 1200, "dev": 100, "test": 200, "unseen": 1}


class Voice(NamedTuple):
    """A made speaker."""

    variant: str
    pitch: int

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.pitch}"


class DemoUtterance(NamedTuple):
    """One utterance before it is spoken."""

    id: str
    text: str
    voice: Voice
    speed: int
    pitch: int
    gap: int
    seed: int


def prepare(dest: Path, options: PrepOptions = DEFAULT_OPTIONS) -> dict[str, Path]:
    """DEST/wav/<split>/*.wav, 16 kHz, and their manifests; no voice speaks in two splits.

    Also DEST/unseen.wav and its text in DEST/unseen.txt, spoken by a voice that is in no split.
    Raises DataError where espeakng-loader is not installed.
    """
    dest = build.open_dest(dest)
    draw = random.Random(options.seed)
    lines = {
        split: list(_draw_utterances(split, voices, UTTERANCES[split], draw))
        for split, voices in _assign_voices(draw).items()
    }
    (unseen,) = lines.pop("unseen")
    files = {dest / "unseen.wav": unseen}
    listed: dict[str, list[CorpusEntry]] = {}
    for split, script in lines.items():
        paths = [dest / "wav" / split / f"{line.id}.wav" for line in script]
        files.update(zip(paths, script, strict=True))
        listed[split] = [
            CorpusEntry(line.id, path, line.text, line.voice.name)
            for path, line in zip(paths, script, strict=True)
        ]
    _synthesize(files.items(), len(files))
    with build.wrap_write_errors(dest):
        (dest / "unseen.txt").write_text(unseen.text + "\n", encoding="utf-8")
    return build.write_manifests(dest, build.build_splits(dest, listed, options))


def _assign_voices(draw: random.Random) -> dict[str, list[Voice]]:
    """Who speaks where: a variant in one split only; in train it makes two speakers, a low and a high one."""
    cast: dict[str, list[Voice]] = {"train": [], **{split: [] for split in HELD_OUT}}
    for gender, variants in enumerate((WOMEN, MEN)):
        order = draw.sample(variants, len(variants))
        for split, counts in HELD_OUT.items():
            cast[split] += [Voice(order.pop(), draw.randint(35, 65)) for _ in range(counts[gender])]
        for variant in order:
            cast["train"] += [Voice(variant, draw.randint(30, 48)), Voice(variant, draw.randint(52, 70))]
    return cast


def _draw_utterances(
    split: str, voices: list[Voice], count: int, draw: random.Random
) -> Iterator[DemoUtterance]:
    """`count` utterances of one to five words; the voices take turns."""
    for number in range(count):
        voice = voices[number % len(voices)]
        words = draw.choices(WORDS, k=5 if split == "unseen" else draw.randint(1, 5))
        yield DemoUtterance(
            f"{split}-{number:04d}-{voice.name}",
            " ".join(words),
            voice,
            speed=draw.randint(125, 175),
            pitch=voice.pitch + draw.randint(-4, 4),
            gap=draw.randint(0, 5),
            seed=draw.randrange(1, 2**31),
        )


def _synthesize(lines: Iterable[tuple[Path, DemoUtterance]], count: int) -> None:
    with espeak.open_synthesizer() as speaker:
        for path, line in tqdm(
            lines, "speaking", count, unit=" files", file=sys.stderr, disable=None, leave=False
        ):
            wave = speaker.synthesize(
                line.text,
                "en-us",
                line.voice.variant,
                speed=line.speed,
                pitch=line.pitch,
                gap=line.gap,
                seed=line.seed,
            )
            audio.write(path, _simulate_recording(soxr.resample(wave, speaker.rate, RATE), line.seed), RATE)


def _simulate_recording(wave: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """As if recorded: pauses around it, a drawn level, faint noise. No room is as silent as a row of zeros."""
    rng = np.random.default_rng(seed)
    before, after = rng.integers(RATE // 10, RATE // 4, 2)
    wave = np.pad(wave, (before, after)) * (rng.uniform(0.3, 0.9) / np.abs(wave).max())
    noise = rng.standard_normal(len(wave)) * 10 ** rng.uniform(-3.5, -2.5)
    return np.clip(wave + noise, -1, 1).astype(np.float32)
