"""References and what was heard brought together, for the commands that score."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.errors import DataError

if TYPE_CHECKING:
    from asrattn.manifest import Utterance
    from asrattn.scoring import Row

_MARKS = {"equal": "", "substitute": "S", "delete": "D", "insert": "I"}


def matched(utterances: Sequence["Utterance"], reference: Path, hypothesis: Path) -> list[str]:
    """What was heard in each utterance; a missing hypothesis is an empty one, and told.

    Raises DataError for a hypothesis of an utterance that is not in the reference.
    """
    from asrattn.scoring import hypotheses

    heard = {line.id: line.text for line in hypotheses.read(hypothesis)}
    known = {utterance.id for utterance in utterances}
    unknown = [name for name in heard if name not in known]
    if unknown:
        raise DataError(
            f"{hypothesis}: {_some(unknown)} not in {reference}; score against the set that was heard"
        )
    missing = [utterance.id for utterance in utterances if utterance.id not in heard]
    if missing:
        print(
            f"{hypothesis}: {_some(missing)} missing; each counts as deleted, word by word", file=sys.stderr
        )
    return [heard.get(utterance.id, "") for utterance in utterances]


def print_aligned(row: "Row") -> None:
    print(f"\n{row.id}   {row.words.errors} errors in {row.words.words} words")
    print("\n".join(aligned_lines(row)))


def aligned_lines(row: "Row") -> list[str]:
    """Reference above hypothesis, word under word; below a wrong one S, D or I: substituted, deleted, inserted."""
    from asrattn.scoring import align
    from asrattn.scoring.counts import words

    columns = []
    for kind, said, heard in align(words(row.reference), words(row.hypothesis)):
        width = max(len(said), len(heard))
        columns.append([f"{text:{width}}" for text in (said, heard, _MARKS[kind])])
    return [
        f"  {label}  {' '.join(cells)}".rstrip()
        for label, cells in zip(("said ", "heard", "     "), zip(*columns, strict=True), strict=True)
    ]


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    return f"{len(ids)} utterance{'s' if len(ids) > 1 else ''} ({shown})"
