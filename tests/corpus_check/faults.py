"""Faults to plant into a corpus, one by one, each with the kind that is to be found and where."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from asrattn import audio
from asrattn.corpus_check import check_corpus, manifests
from asrattn.corpus_check.audio_stats import StatsOrError, measure_utterance
from asrattn.corpus_check.finding import CheckedUtterance, Finding
from asrattn.data import manifest
from asrattn.data.manifest import Utterance

Splits = dict[str, list[Utterance]]
KnownStats = dict[tuple[object, ...], StatsOrError]
Fault = Callable[[Splits, Path], str]  # changes the splits, writes sounds into the folder; where it is then
FAULTS: dict[str, Fault] = {}


def find_faults(splits: Splits, folder: Path, known: KnownStats, tail: str = "") -> list[Finding]:
    """What is found in the splits, once written; sounds that are known are not read again."""
    cases: list[CheckedUtterance] = []
    findings: list[Finding] = []
    for name, utterances in splits.items():
        manifest.write(folder / f"{name}.jsonl", utterances)
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as out:
            out.write(tail if name == "train" else "")
        good, bad = manifests.read(folder / f"{name}.jsonl")
        cases += [with_stats(case, known) for case in good]
        findings += bad
    return findings + check_corpus(cases)


def with_stats(case: CheckedUtterance, known: KnownStats) -> CheckedUtterance:
    u = case.utterance
    key = u.audio, u.start, None if u.start is None else u.seconds
    if key not in known:
        known[key] = measure_utterance(u)
    return replace(case, audio_result=known[key])


def fault(kind: str) -> Callable[[Fault], Fault]:
    def named(plant: Fault) -> Fault:
        FAULTS[kind] = plant
        return plant

    return named


def place(splits: Splits, split: str = "train", letters: int = 10) -> int:
    """Of the first utterance whose text has so many letters or more."""
    return next(i for i, u in enumerate(splits[split]) if len(u.text) >= letters)


def change_text(splits: Splits, change: Callable[[str], str], split: str = "train") -> str:
    i = place(splits, split)
    u = splits[split][i] = replace(splits[split][i], text=change(splits[split][i].text))
    return f"{split}:{u.id}"


def change_audio(
    splits: Splits,
    folder: Path,
    change: Callable[[np.ndarray, int], np.ndarray],
    split: str = "train",
    rate: int | None = None,
) -> str:
    """Another sound for an utterance, in float, so that nothing is clipped but by the change."""
    import soundfile

    i = place(splits, split)
    u = splits[split][i]
    native = audio.info(Path(u.audio)).rate
    wave = change(audio.read(Path(u.audio), rate or native), rate or native)
    path = folder / f"{u.id}.faults.wav"
    soundfile.write(path, wave, rate or native, subtype="FLOAT")
    splits[split][i] = replace(u, audio=str(path), seconds=len(wave) / (rate or native))
    return f"{split}:{u.id}"


def noise(wave: np.ndarray, level: float) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(len(wave))
    return (level * drawn).astype(np.float32)


@fault("missing audio")
def missing(splits: Splits, folder: Path) -> str:
    u = splits["train"][3] = replace(splits["train"][3], audio=str(folder / "nowhere.wav"))
    return f"train:{u.id}"


@fault("unreadable audio")
def cut_short(splits: Splits, folder: Path) -> str:
    where = change_audio(splits, folder, lambda wave, rate: wave)
    path = next(folder.glob("*.faults.wav"))
    path.write_bytes(path.read_bytes()[:-2000])
    return where


@fault("silence")
def silence(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: 0 * wave)


@fault("noise only")
def noise_only(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: noise(wave, 0.05))


@fault("mostly pauses")
def pauses(splits: Splits, folder: Path) -> str:
    return change_audio(
        splits, folder, lambda wave, rate: np.concatenate([wave, noise(np.zeros(20 * rate), 1e-5)])
    )


@fault("clipping")
def clipping(splits: Splits, folder: Path) -> str:
    return change_audio(
        splits, folder, lambda wave, rate: 0.5 * np.clip(wave * (3 / np.abs(wave).max()), -1, 1)
    )


@fault("DC offset")
def offset(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: 0.5 * wave + 0.1)


@fault("quiet")
def quiet(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: wave * (2e-3 / wave.std()))


@fault("wrong length")
def length(splits: Splits, folder: Path) -> str:
    u = splits["train"][3]
    splits["train"][3] = replace(u, seconds=u.seconds + 0.5)
    return f"train:{u.id}"


@fault("unusual length")
def long(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: np.resize(wave, 31 * rate))


@fault("several rates")
def rates(splits: Splits, folder: Path) -> str:
    native = audio.info(Path(splits["train"][0].audio)).rate
    change_audio(splits, folder, lambda wave, rate: wave, rate=native * 3 // 4)
    return "all"


@fault("several channels")
def channels(splits: Splits, folder: Path) -> str:
    change_audio(splits, folder, lambda wave, rate: np.stack([wave, wave], 1))
    return "all"


@fault("too few frames")
def few_frames(splits: Splits, folder: Path) -> str:
    return change_audio(splits, folder, lambda wave, rate: wave[: int(0.15 * rate)])


@fault("text too long")
def long_text(splits: Splits, folder: Path) -> str:
    """A text that the frames could hold, but nobody could say: a quarter of a second is left of the voice."""
    change_text(splits, lambda text: "AND ALL THE OLD DOGS")

    def cut(wave: np.ndarray, rate: int) -> np.ndarray:
        loud = max(0, int(np.abs(wave).argmax()) - rate // 8)
        return np.concatenate([wave[loud : loud + rate // 4], noise(np.zeros(rate), 1e-4)])

    return change_audio(splits, folder, cut)


@fault("text too short")
def short_text(splits: Splits, folder: Path) -> str:
    i = max(range(len(splits["train"])), key=lambda i: splits["train"][i].seconds)
    u = splits["train"][i] = replace(splits["train"][i], text=splits["train"][i].text[:1])
    return f"train:{u.id}"


@fault("empty text")
def empty(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: " ")


@fault("control characters")
def control(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + "\x07")


@fault("invisible characters")
def invisible(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text[:3] + "\u200b" + text[3:])


@fault("wrong encoding")
def misread(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + " CAFÉ".encode().decode("cp1252"))


@fault("markup")
def markup(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: f"<s> {text} </s>")


@fault("mixed scripts")
def mixed(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + " T\u0410KE")  # a Cyrillic A


@fault("foreign script")
def foreign(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + " ДА")


@fault("unlike the others")
def digits(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + " 21")


@fault("repeated text")
def repeated(splits: Splits, folder: Path) -> str:
    train = splits["train"]
    train[::8] = [replace(u, text="TO BE DONE") for u in train[::8]]
    return "train"


@fault("Unicode form")
def decomposed(splits: Splits, folder: Path) -> str:
    return change_text(splits, lambda text: text + unicodedata.normalize("NFD", " CAFÉ"))


@fault("rare characters")
def rare(splits: Splits, folder: Path) -> str:
    change_text(splits, lambda text: text + " CAFÉ")
    return "train"


@fault("unseen characters")
def unseen(splits: Splits, folder: Path) -> str:
    change_text(splits, lambda text: text + " CAFÉ", "test")
    return "test"


@fault("identical audio")
def twins(splits: Splits, folder: Path) -> str:
    u = splits["train"][3]
    splits["train"].append(replace(u, id="twin"))
    return "train:twin"


@fault("one audio, two texts")
def contradiction(splits: Splits, folder: Path) -> str:
    splits["train"].append(replace(splits["train"][3], id="twin", text=splits["train"][4].text + " SO"))
    return "train:twin"


@fault("audio of train")
def leak(splits: Splits, folder: Path) -> str:
    splits["test"].append(replace(splits["train"][3], id="leaked"))
    return "test:leaked"


@fault("like audio")
def alike(splits: Splits, folder: Path) -> str:
    """In another coding, and at half the level."""
    u = splits["train"][place(splits)]
    rate = audio.info(Path(u.audio)).rate
    audio.write(folder / "alike.ogg", 0.5 * audio.read(Path(u.audio), rate), rate)
    splits["test"].append(replace(u, id="alike", audio=str(folder / "alike.ogg")))
    return "test:alike"


@fault("speakers of train")
def speakers(splits: Splits, folder: Path) -> str:
    splits["test"][0] = replace(splits["test"][0], speaker=splits["train"][0].speaker)
    return "test"


@fault("id in two splits")
def ids(splits: Splits, folder: Path) -> str:
    splits["test"][0] = replace(splits["test"][0], id=splits["train"][0].id)
    return f"test:{splits['train'][0].id}"


@fault("most texts of train")
def texts(splits: Splits, folder: Path) -> str:
    pairs = zip(splits["test"], splits["train"], strict=False)
    splits["test"] = [replace(u, text=other.text) for u, other in pairs]
    return "test"
