"""Error tables: substitutions, deletions, insertions; confusions."""

from collections.abc import Callable, Sequence
from html import escape

from asrattn.metrics.result import ScoredUtterance, SetResult, confusions
from asrattn.metrics.wer import split_characters, split_words
from asrattn.report.document import Column, Section, render_bar, render_percent, render_table

_MAX_CONFUSIONS = 15
_ERROR_TYPES = ("substituted", "deleted", "inserted")
_NOTHING = '<span class="soft">nothing</span>'


def error_types_section(results: Sequence[SetResult]) -> Section:
    """Substitutions, deletions and insertions of each set."""
    known = [result for result in results if result.words]
    top = max((ends[1] for result in known for ends in result.error_type_intervals), default=0.0) or 1.0
    tables = "".join(_kinds(result, top, result.name if len(known) > 1 else "") for result in known)
    about = '<p class="soft">Words, as fractions of those in the references.</p>'
    return Section("Kinds of errors", tables and about + tables)


def _kinds(result: SetResult, top: float, caption: str) -> str:
    counts, rows = result.word_counts, []
    numbers = (counts.substitutions, counts.deletions, counts.insertions)
    for name, number, ends in zip(_ERROR_TYPES, numbers, result.error_type_intervals, strict=True):
        share = number / result.words
        rows.append([name, str(number), render_percent(share, ends), render_bar(share, ends, top)])
    columns = [Column("kind"), Column("words", "num"), Column("rate", "num"), Column("", "bar")]
    return render_table(columns, rows, caption)


def confusions_section(rows: Sequence[ScoredUtterance]) -> Section:
    """The most frequent confusions, of words and of characters."""
    tables = [_pairs(rows, "words", split_words), _pairs(rows, "characters", split_characters)]
    return Section("Confusions", f'<div class="columns">{"".join(tables)}</div>' if any(tables) else "")


def _pairs(rows: Sequence[ScoredUtterance], name: str, split: Callable[[str], Sequence[str]]) -> str:
    found = confusions(rows, _MAX_CONFUSIONS, split)
    cells = [[_text(ref), _text(hyp), str(count)] for ref, hyp, count in found]
    columns = [Column("ref", "name"), Column("hyp", "name"), Column("count", "num")]
    return f"<div>{render_table(columns, cells, f'Of {name}')}</div>" if found else ""


def _text(text: str) -> str:
    return escape(text.replace(" ", "␣")) or _NOTHING
