"""CMU Census (AN4): as wav files (github.com/cmusphinx/an4) or as CMU's archive of NIST sphere files."""

import gzip
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from asrattn.errors import DataError
from data_prep import build, split
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import CorpusEntry, require_folder
from data_prep.text_files import read_lines

_LINE = re.compile(r"(?P<text>.*)\((?P<id>[^()]+)\)\s*$")
_SUFFIXES = (".wav", ".sph")


def prepare(
    source: Path,
    dest: Path,
    options: PrepOptions = DEFAULT_OPTIONS,
    dev_speakers: int = 6,
    dev_share: float = 0.0,
    test_share: float = 0.0,
) -> dict[str, Path]:
    """Manifests of AN4; dev is `dev_speakers` whole speakers held out of the 74 of train, or a share of it, as none is
    published.

    source   the folder with etc/ and wav/, the folder above it, or an4_sphere.tar.gz (unpacked to DEST/an4)
    """
    dest = build.open_dest(dest)
    root = _root(_unpack(source, dest) if source.is_file() else require_folder(source))
    splits = build.build_splits(dest, {name: _entries(root, name) for name in ("train", "test")}, options)
    held = split.hold_out_dev(splits, dev_speakers, dev_share, test_share, options.seed)
    return build.write_manifests(dest, held)


def _root(source: Path) -> Path:
    for root in (source, source / "an4"):
        if (root / "etc").is_dir():
            return root
    raise DataError(f"{source}: has no etc/ and no an4/etc/; name the folder that AN4 was unpacked to")


def _entries(root: Path, name: str) -> list[CorpusEntry]:
    transcription = root / "etc" / f"an4_{name}.transcription"
    texts, dropped = _transcripts(transcription)
    entries = []
    for _, line in read_lines(root / "etc" / f"an4_{name}.fileids"):
        path = PurePosixPath(line.strip())
        sound = _sound(root / "wav" / path)
        fault = "" if path.name in texts else f"{transcription.name} has no line for it"
        entries.append(
            CorpusEntry(path.name, sound, texts.pop(path.name, ""), path.parent.name, drop_reason=fault)
        )
    fault = f"an4_{name}.fileids does not name its audio"
    unnamed = [CorpusEntry(id_, transcription, text, drop_reason=fault) for id_, text in texts.items()]
    return [*entries, *unnamed, *dropped]


def _transcripts(path: Path) -> tuple[dict[str, str], list[CorpusEntry]]:
    """Id -> text; the marks of sentence start and end, in train but not in test, are left out. Then the bad lines."""
    texts: dict[str, str] = {}
    dropped = []
    for number, line in read_lines(path):
        match = _LINE.match(line)
        if not match or match["id"] in texts:
            fault = (
                f"{match['id']} has a line already; each id may have one"
                if match
                else f"does not end with an id in parentheses: {line.strip()!r}"
            )
            where = f"{path.name}:{number}"
            dropped.append(CorpusEntry(f"line {number}", path, "", drop_reason=fault, where=where))
            continue
        words = (word for word in match["text"].split() if word not in ("<s>", "</s>"))
        texts[match["id"]] = " ".join(words)
    return texts, dropped


def _sound(stem: Path) -> Path:
    paths = [stem.with_name(stem.name + suffix) for suffix in _SUFFIXES]
    return next((path for path in paths if path.exists()), paths[0])


def _unpack(archive: Path, dest: Path) -> Path:
    """The archive's plain files, no links, below `dest`. Raises DataError for a member that would lie outside."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _unpack_member(tar, member, archive, dest)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: is no whole tar archive ({error}); download it again") from None
    return dest


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, dest: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(
            f"{archive}: {member.name!r} would lie outside of {dest}; this is not the published AN4"
        )
    content = tar.extractfile(member) if member.isfile() else None
    if content is None or path.parts[0] != "an4":
        return
    data = content.read()
    target = dest / path
    with build.wrap_write_errors(dest):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
