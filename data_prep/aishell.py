"""AISHELL-1 (OpenSLR 33): Mandarin, wav/<split>/<speaker>/*.wav and one list of transcripts."""

from pathlib import Path

from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, require_folder
from data_prep.text_files import read_lines

_LIST = Path("transcript", "aishell_transcript_v0.8.txt")


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    dev_share: float = 0.0,
    test_share: float = 0.0,
) -> dict[str, Path]:
    """Manifests of the published splits; texts without the spaces, which are a segmenter's and not the speaker's.

    source   data_aishell/, or the folder above it
    """
    dest = build.open_dest(dest)
    root = _root(require_folder(source))
    _check_unpacked(root / "wav")
    splits = build.build_splits(dest, _entries(root), options)
    return build.write_manifests(dest, split.fill_empty(splits, dev_share, test_share, options.seed))


def _root(source: Path) -> Path:
    for root in (source, source / "data_aishell"):
        if (root / "wav").is_dir():
            return root
    raise DataError(f"{source}: has no wav/ and no data_aishell/wav/; name the folder data_aishell/")


def _check_unpacked(wav: Path) -> None:
    """The archive holds an archive for each speaker. Raises DataError for one that has no folder yet."""
    speakers = {path.name for path in wav.glob("*/*")}
    packed = [p for p in sorted(wav.glob("*.tar.gz")) if p.name.removesuffix(".tar.gz") not in speakers]
    if packed:
        raise DataError(
            f"{packed[0]}: is not unpacked yet ({len(packed)} such); "
            f"run: cd {wav} && for f in *.tar.gz; do tar -xzf $f; done"
        )


def _entries(root: Path) -> dict[str, list[CorpusEntry]]:
    texts, dropped = _transcripts(root / _LIST)
    sounds = {name: sorted((root / "wav" / name).glob("*/*.wav")) for name in SPLITS}
    if not sounds["train"]:
        raise DataError(f"{root / 'wav'}: has no train/<speaker>/*.wav; was the archive unpacked whole?")
    home = {path.parent.name: name for name, paths in sounds.items() for path in paths}
    entries = {name: [_entry(path, texts) for path in paths] for name, paths in sounds.items()}
    for id_, text in texts.items():  # transcripts without audio
        speaker = id_[6:11]  # BAC009S0002W0122
        fault = f"no wav file of {speaker or id_} is its audio"
        entries[home.get(speaker, "train")].append(
            CorpusEntry(id_, root / _LIST, text, speaker, drop_reason=fault)
        )
    entries["train"] += dropped
    return entries


def _entry(path: Path, texts: dict[str, str]) -> CorpusEntry:
    fault = "" if path.stem in texts else f"{_LIST.name} has no line for it"  # 325 of those published
    return CorpusEntry(path.stem, path, texts.pop(path.stem, ""), path.parent.name, drop_reason=fault)


def _transcripts(path: Path) -> tuple[dict[str, str], list[CorpusEntry]]:
    """Id -> text; then the lines whose id has one already."""
    texts: dict[str, str] = {}
    dropped = []
    for number, line in read_lines(path):
        id_, *words = line.split()
        if id_ in texts:
            fault = f"{id_} has a line already; each id may have one"
            dropped.append(CorpusEntry(id_, path, "", drop_reason=fault, where=f"{path.name}:{number}"))
        else:
            texts[id_] = "".join(words)
    return texts, dropped
