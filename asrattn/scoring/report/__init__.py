"""One page that shows how well a model hears: self-contained HTML, nothing loaded from elsewhere, below 10 MB.

A file for each group of sections; `page` is what all pages of the package are built of.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.manifest import Utterance
from asrattn.scoring.normalize import NORMALIZERS, Normalizer
from asrattn.scoring.report import errors, parts, sureness, utterances
from asrattn.scoring.report.document import Column, Section, bar, facts, page, percent, rate, table
from asrattn.scoring.report.sureness import Told
from asrattn.scoring.report.utterances import Evidence, drawn
from asrattn.scoring.result import Row, SetResult

__all__ = ["Evidence", "Section", "drawn", "page", "write_report"]


def write_report(
    path: Path,
    results: Sequence[SetResult],
    rows: Sequence[Row],
    spoken: Sequence[Utterance] = (),
    *,
    title: str = "Recognition report",
    cards: Mapping[str, Mapping[str, str]] | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    told: Sequence[Told] = (),
    fields: Sequence[str] = (),
    snr_estimated: bool = False,
    normalizer: Normalizer = NORMALIZERS["none"],
    n_worst: int = 10,
    n_random: int = 6,
    seed: int = 0,
) -> None:
    """Write the page whole or not at all.

    results    one a set; rows the utterances of all, and `spoken` the same ones as the manifests have them, where
               they are to be cut into parts: by length, by the tag snr, by `fields` and what else they tell
    cards      what is known, by heading, shown as it is
    told       of each word heard its confidence, and whether it is right
    evidence   by utterance id, for those of the worst and of the `n_random` drawn with `seed` that have one
    """
    sections: list[Section | str] = [
        _results(results),
        errors.kinds(results),
        errors.pairs(rows),
        sureness.section(told),
        *(_parts(spoken, rows, fields, normalizer, snr_estimated) if spoken else []),
        *utterances.sections(rows, evidence or {}, n_worst, n_random, seed),
        *(Section(name, facts(list(known.items()))) for name, known in (cards or {}).items()),
    ]
    files.write_text(path, page(title, sections))


def _results(results: Sequence[SetResult]) -> str:
    top = max((max(r.wer_interval[1], r.wer) for r in results), default=0.0) or 1.0
    names = ["set", "utterances", "words", "WER", "", "CER", "SER", "RTF"]
    columns = [Column(name, "num" if at else "") for at, name in enumerate(names)]
    columns[4] = Column("", "bar")
    rows = [
        [
            escape(r.name),
            str(r.utterances),
            str(r.words),
            rate(r.word_counts, r.wer_interval),
            bar(r.wer, r.wer_interval, top),
            rate(r.char_counts, r.cer_interval),
            percent(r.ser, r.ser_interval),
            "–" if r.rtf is None else f"{r.rtf:.3f}",
        ]
        for r in results
    ]
    units = " or ".join(sorted({r.unit for r in results}))
    return f"""
<p class="soft">Error rates of words (WER), characters (CER) and sentences (SER) with 95 % intervals from resampling
{units}. RTF: seconds of work for a second of audio.</p>
{table(columns, rows, wide=True)}"""


def _parts(
    spoken: Sequence[Utterance],
    rows: Sequence[Row],
    fields: Sequence[str],
    normalizer: Normalizer,
    snr_estimated: bool,
) -> list[Section]:
    known = parts.fields_of(spoken, fields)
    return [
        parts.curves(spoken, rows, normalizer, snr_estimated),
        parts.tables(spoken, rows, known, normalizer),
    ]
