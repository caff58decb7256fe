"""Report of an evaluation: self-contained HTML below 10 MB that loads nothing.

A file for each group of sections; `document` has the building blocks of all pages of the package.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from asrattn import files
from asrattn.data.manifest import Utterance
from asrattn.metrics.normalize import NORMALIZERS, Normalizer
from asrattn.metrics.result import ScoredUtterance, SetResult
from asrattn.report import error_tables, reliability_diagram, slices, utterances
from asrattn.report.document import (
    Column,
    Section,
    render_bar,
    render_definitions,
    render_error_rate,
    render_page,
    render_percent,
    render_table,
)
from asrattn.report.reliability_diagram import WordConfidence
from asrattn.report.utterances import UtteranceMedia, sample_utterances

__all__ = ["Section", "UtteranceMedia", "render_page", "sample_utterances", "write_report"]


def write_report(
    path: Path,
    results: Sequence[SetResult],
    rows: Sequence[ScoredUtterance],
    manifest_utterances: Sequence[Utterance] = (),
    *,
    title: str = "Recognition report",
    cards: Mapping[str, Mapping[str, str]] | None = None,
    media_by_id: Mapping[str, UtteranceMedia] | None = None,
    word_confidences: Sequence[WordConfidence] = (),
    fields: Sequence[str] = (),
    snr_estimated: bool = False,
    normalizer: Normalizer = NORMALIZERS["none"],
    n_worst: int = 10,
    n_random: int = 6,
    seed: int = 0,
) -> None:
    """Write the page atomically.

    results    one per set; rows the scored utterances of all sets, and `manifest_utterances` the same ones from the
               manifests, for slices: by length, the tag snr, `fields`, speaker and tags
    cards      metadata by heading
    word_confidences  confidence of each hypothesis word, and whether it is correct
    media_by_id  by utterance id, for the worst and the `n_random` random utterances (drawn with `seed`)
    """
    sections: list[Section | str] = [
        _results(results),
        error_tables.error_types_section(results),
        error_tables.confusions_section(rows),
        reliability_diagram.reliability_section(word_confidences),
        *(
            _parts(manifest_utterances, rows, fields, normalizer, snr_estimated)
            if manifest_utterances
            else []
        ),
        *utterances.utterance_sections(rows, media_by_id or {}, n_worst, n_random, seed),
        *(Section(name, render_definitions(list(known.items()))) for name, known in (cards or {}).items()),
    ]
    files.write_text(path, render_page(title, sections))


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
            render_error_rate(r.word_counts, r.wer_interval),
            render_bar(r.wer, r.wer_interval, top),
            render_error_rate(r.char_counts, r.cer_interval),
            render_percent(r.ser, r.ser_interval),
            "–" if r.rtf is None else f"{r.rtf:.3f}",
        ]
        for r in results
    ]
    units = " or ".join(sorted({r.unit for r in results}))
    return f"""
<p class="soft">Error rates of words (WER), characters (CER) and sentences (SER) with 95 % intervals from resampling
{units}. RTF: computing seconds per second of audio.</p>
{render_table(columns, rows, wide=True)}"""


def _parts(
    manifest_utterances: Sequence[Utterance],
    rows: Sequence[ScoredUtterance],
    fields: Sequence[str],
    normalizer: Normalizer,
    snr_estimated: bool,
) -> list[Section]:
    known = slices.slice_fields(manifest_utterances, fields)
    return [
        slices.curves_section(manifest_utterances, rows, normalizer, snr_estimated),
        slices.tables_section(manifest_utterances, rows, known, normalizer),
    ]
