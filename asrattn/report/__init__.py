"""One page that shows how well a model hears: self-contained HTML, nothing loaded from elsewhere, below 10 MB.

A file for each group of sections; `page` is what all pages of the package are built of.
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
    """Write the page whole or not at all.

    results    one a set; rows the utterances of all, and `manifest_utterances` the same ones as the manifests have
               them, where they are to be cut into parts: by length, by the tag snr, by `fields` and what else they tell
    cards      what is known, by heading, shown as it is
    word_confidences  of each word heard its confidence, and whether it is right
    media_by_id  by utterance id, for those of the worst and of the `n_random` drawn with `seed` that have one
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
{units}. RTF: seconds of work for a second of audio.</p>
{render_table(columns, rows, wide=True)}"""


def _parts(
    spoken: Sequence[Utterance],
    rows: Sequence[ScoredUtterance],
    fields: Sequence[str],
    normalizer: Normalizer,
    snr_estimated: bool,
) -> list[Section]:
    known = slices.slice_fields(spoken, fields)
    return [
        slices.curves_section(spoken, rows, normalizer, snr_estimated),
        slices.tables_section(spoken, rows, known, normalizer),
    ]
