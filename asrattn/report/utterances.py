"""Single utterances: reference and hypothesis aligned, audio and plots, within a size limit."""

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from asrattn.metrics.result import ScoredUtterance, worst_utterances
from asrattn.report.document import LEGEND, Section, plural, render_alignment
from asrattn.report.plots import UtterancePlot, png_data_url, render_png

MAX_MEDIA_CHARS = 8_000_000  # of audio and images in a page; the page stays below 10 MB


@dataclass(frozen=True)
class UtteranceMedia:
    """The plots of an utterance, and its audio as the bytes of a FLAC file."""

    plot: UtterancePlot | None = None
    flac: bytes | None = None


def sample_utterances(rows: Sequence[ScoredUtterance], n: int, seed: int) -> list[ScoredUtterance]:
    """n random utterances, correct or not, in the order of the set."""
    places = random.Random(seed).sample(range(len(rows)), min(n, len(rows)))
    return [rows[at] for at in sorted(places)]


def utterance_sections(
    rows: Sequence[ScoredUtterance],
    media_by_id: Mapping[str, UtteranceMedia],
    n_worst: int,
    n_random: int,
    seed: int,
) -> list[Section]:
    """The worst utterances, and random ones; none is shown twice."""
    bad, chance = worst_utterances(rows, n_worst), sample_utterances(rows, n_random, seed)
    others = [row for row in chance if row not in bad]
    media = _media([*bad, *others], media_by_id)
    again = ", ".join(f'<a href="#{quote(_name(row))}">{escape(row.id)}</a>' for row in chance if row in bad)
    about = f"{plural(len(chance), 'utterance')}, drawn with seed {seed}, correct or not."
    none = "<p>None: no word errors.</p>"
    return [
        Section("Worst utterances", LEGEND + _articles(bad, media) if bad else none),
        Section(
            "Random utterances",
            f'<p class="soft">{about}{f" Shown above: {again}." if again else ""}</p>{_articles(others, media)}'
            if chance
            else "",
        ),
    ]


def _media(rows: Sequence[ScoredUtterance], media_by_id: Mapping[str, UtteranceMedia]) -> dict[str, str]:
    """Audio players and images by id, the first utterances first, within MAX_MEDIA_CHARS."""
    found: dict[str, str] = {}
    left = MAX_MEDIA_CHARS
    for row in rows:
        known = media_by_id.get(row.id)
        html = _shown(row, known, opened=not found) if known else ""
        found[row.id] = (
            html
            if len(html) <= left
            else '<p class="soft">Audio and image omitted: the page would be too large.</p>'
        )
        left -= len(found[row.id])
    return found


def _shown(row: ScoredUtterance, known: UtteranceMedia, opened: bool) -> str:
    html = ""
    if known.flac:
        url = "data:audio/flac;base64," + base64.b64encode(known.flac).decode("ascii")
        html += f'<audio controls preload="metadata" aria-label="{escape(f"Audio of {row.id}")}" src="{url}"></audio>'
    image = render_png(known.plot) if known.plot else None
    if image:
        alt = escape(
            f"Of {row.id}, on one time axis: waveform, features, and attention weights of each output token"
        )
        html += (
            f"<details{' open' if opened else ''}><summary>Waveform, features, attention</summary>"
            f'<div class="scroll" tabindex="0" role="group" aria-label="{alt}">'
            f'<img alt="{alt}" src="{png_data_url(image)}"></div></details>'
        )
    return html


def _articles(rows: Sequence[ScoredUtterance], media: Mapping[str, str]) -> str:
    return "".join(_article(row, media[row.id]) for row in rows)


def _article(row: ScoredUtterance, media: str) -> str:
    speaker = f" · {escape(row.speaker)}" if row.speaker else ""
    n = row.words
    return f"""
<article id="{escape(_name(row))}"><header><h3>{escape(row.id)}</h3>
<span class="soft">{plural(n.errors, "error")} in {plural(n.words, "word")}{speaker}</span></header>
{render_alignment(row.reference, [("hyp", row.hypothesis)])}{media}</article>"""


def _name(row: ScoredUtterance) -> str:
    """An anchor; an HTML id has no white space."""
    return "u-" + "_".join(row.id.split())
