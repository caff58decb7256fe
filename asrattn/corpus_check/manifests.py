"""Manifests read with all their errors; training would stop at the first bad line."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asrattn import files
from asrattn.corpus_check.audio_stats import StatsOrError, measure_utterances
from asrattn.corpus_check.finding import CheckedUtterance, Finding, FindingKind, Severity
from asrattn.data import manifest, shards
from asrattn.data.manifest import Utterance
from asrattn.errors import ManifestError

CLEAN_SUFFIX = ".clean.jsonl"
_SCAN_PREFIX = "opened-"  # written by the job shards of a preparation next to the manifests

BAD_LINE = FindingKind("bad line", Severity.BREAKS, "fix the line, or prepare the manifest again")
DUPLICATE_ID = FindingKind("id twice", Severity.BREAKS, "give every utterance of a manifest an id of its own")


def find(subjects: Iterable[Path]) -> dict[str, Path]:
    """Manifests by name: those given, and of a folder all that lie in it, cleaned ones left out.

    Raises ManifestError for a folder without any, shards, and two of the same name.
    """
    found: dict[str, Path] = {}
    for subject in subjects:
        for path in _within(subject) if subject.is_dir() else [subject]:
            if path.stem in found:
                raise ManifestError(
                    f"{path}: {found[path.stem]} has the same name; check one after the other"
                )
            found[path.stem] = path
    return found


def _within(folder: Path) -> list[Path]:
    if shards.is_shard_folder(folder):
        raise ManifestError(f"{folder}: holds shards; check the manifest from which they were made")
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: (not path.stem.startswith("train"), path.stem))
    paths = [
        p for p in paths if not p.name.endswith(CLEAN_SUFFIX) and not p.name.startswith((_SCAN_PREFIX, "."))
    ]
    if not paths:
        raise ManifestError(f"{folder}: holds no manifest (.jsonl); make some with python -m data_prep")
    return paths


def read(path: Path) -> tuple[list[CheckedUtterance], list[Finding]]:
    """The good lines of a manifest, and what is wrong with the others.

    Raises ManifestError for a file that cannot be read or holds no good line.
    """
    cases, findings = [], []
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            utterance = manifest.parse_line(line.decode("utf-8-sig"), f"line {number}", path.parent)
        except UnicodeDecodeError:
            findings.append(_fault(BAD_LINE, path, number, f"line {number}: is not UTF-8 text"))
            continue
        except ManifestError as error:
            findings.append(_fault(BAD_LINE, path, number, str(error)))
            continue
        if utterance.id in seen:
            what = f"id {utterance.id!r} is on line {seen[utterance.id]} too"
            findings.append(_fault(DUPLICATE_ID, path, number, what))
        seen.setdefault(utterance.id, number)
        cases.append(CheckedUtterance(path.stem, number, utterance))
    if not cases:
        why = f" ({findings[0].detail})" if findings else "; prepare it again with python -m data_prep"
        raise ManifestError(f"{path}: holds no utterance{why}")
    return cases, findings


def find_parts(cases: Iterable[CheckedUtterance]) -> dict[str, str]:
    """Manifests that another one holds whole, such as train-clean-100 beside train; by name, with the name of that one.

    The name of the part begins with that of the whole: another one's lines elsewhere are a fault.
    """
    lines: dict[str, set[tuple[object, ...]]] = {}
    for case in cases:
        u = case.utterance
        lines.setdefault(case.split, set()).add((u.id, *_audio_key(u), u.text))
    return {
        part: whole
        for part in lines
        for whole in lines
        if re.match(rf"{re.escape(whole)}[-_.]", part) and lines[part] <= lines[whole]
    }


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except FileNotFoundError:
        raise ManifestError(f"{path}: does not exist; make it with python -m data_prep") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from None


def _fault(kind: FindingKind, path: Path, number: int, what: str) -> Finding:
    return Finding(kind, f"{path.stem}:{number}", what, ((path.stem, number),))


StatsProgress = Callable[
    [Iterator[StatsOrError], int], Iterable[StatsOrError]
]  # shows the progress of so many


def add_audio_stats(
    cases: Sequence[CheckedUtterance], jobs: int, progress: StatsProgress
) -> list[CheckedUtterance]:
    """The utterances with the statistics of their audio; shared audio is measured once."""
    once: dict[tuple[object, ...], Utterance] = {}
    for case in cases:
        once.setdefault(_audio_key(case.utterance), case.utterance)
    results = dict(zip(once, progress(measure_utterances(list(once.values()), jobs), len(once)), strict=True))
    return [replace(case, audio_result=results[_audio_key(case.utterance)]) for case in cases]


def _audio_key(utterance: Utterance) -> tuple[object, ...]:
    whole = utterance.start is None
    return utterance.audio, utterance.start, None if whole else utterance.seconds


def write_clean_manifests(lines: Mapping[Path, set[int]]) -> dict[Path, set[int]]:
    """Write NAME.clean.jsonl next to each manifest, without the lines of these numbers; atomic.

    Gives the numbers by what was written. Raises ManifestError as `refuse` does, and where nothing would be left of
    one; then none is written.
    """
    kept = {}
    for path, out in lines.items():
        refuse_overwrite(path)
        kept[path] = [line.rstrip(b"\r\n") + b"\n" for number, line in _lines(path) if number not in out]
        if not kept[path]:
            raise ManifestError(f"{path}: no utterance would be left; fix what is reported above")
    for path, rest in kept.items():
        _write(clean_path(path), rest)
    return {clean_path(path): out for path, out in lines.items()}


def _write(path: Path, lines: Iterable[bytes]) -> None:
    try:
        with files.atomic_write(path) as draft, draft.open("wb") as out:
            out.writelines(lines)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written ({error.strerror})") from None


def refuse_overwrite(path: Path) -> None:
    """Raise ManifestError where a cleaned manifest is there already."""
    if clean_path(path).exists():
        raise ManifestError(f"{clean_path(path)}: is there already; move it away, and clean again")


def clean_path(path: Path) -> Path:
    return path.with_name(path.stem + CLEAN_SUFFIX)
