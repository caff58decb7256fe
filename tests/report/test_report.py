import base64
import re
from pathlib import Path

import numpy as np
import pytest
from markup import Page

from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from asrattn.metrics import score_utterance, summarize
from asrattn.report import UtteranceMedia, sample_utterances, utterances, write_report
from asrattn.report.plots import UtterancePlot, render_png

ROWS = [
    score_utterance("u1", "now go to the end", "now now go to end", "ann"),
    score_utterance("u2", "<script>alert(1)</script> & co", "co", 'b"ob'),
    score_utterance("u3", "yes", "yes", "ann"),
]


def picture(outputs: list[str], frames: int = 40) -> UtterancePlot:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(10), len(outputs)) if outputs else np.zeros((0, 10))
    return UtterancePlot(0.4, rng.normal(size=(frames, 20)), weights, outputs)


def report(folder: Path, **more: object) -> str:
    write_report(folder / "new" / "report.html", [summarize("test", ROWS, rtf=0.012)], ROWS, **more)  # type: ignore[arg-type]
    assert [p.name for p in (folder / "new").iterdir()] == ["report.html"]
    return (folder / "new" / "report.html").read_text(encoding="utf-8")


def test_the_page_holds_what_it_should(tmp_path: Path) -> None:
    text = report(
        tmp_path,
        title="A title",
        cards={"Model": {"Search": "beam 10"}},
        media_by_id={"u1": UtteranceMedia(picture(list("go to")), b"fLaC")},
    )
    page = Page(text)
    assert page.open == []
    result = summarize("test", ROWS)
    assert f"<b>{100 * result.wer:.1f} %</b>" in text
    assert "<dt>Search</dt><dd>beam 10</dd>" in text
    assert "<span><span>the</span><del>the</del></span>" in text
    assert "<span><span></span><ins>now</ins></span>" in text
    assert page.tags.count("article") == 3  # two with errors, and the third by chance
    assert (page.tags.count("img"), page.tags.count("audio")) == (1, 1)
    for heading in ("Kinds of errors", "Confusions", "Worst utterances", "Random utterances", "Model"):
        assert f">{heading}</h2>" in text
        assert f">{heading}</a>" in text


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page = Page(report(tmp_path, media_by_id={"u1": UtteranceMedia(picture(["a"]), b"fLaC")}))
    assert all(source.startswith(("#", "data:")) for source in page.sources)
    sound, image = (base64.b64decode(s.split(",")[1]) for s in page.sources if s.startswith("data:"))
    assert sound == b"fLaC"
    assert image.startswith(b"\x89PNG")


def test_a_transcript_stays_text(tmp_path: Path) -> None:
    text = report(tmp_path, title="<b>&", cards={"<u>": {"<i>": "</dl><script>"}})
    assert Page(text).tags.count("script") == 1  # the page's own
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<title>&lt;b&gt;&amp;</title>" in text


def test_the_number_of_worst_utterances_can_be_chosen(tmp_path: Path) -> None:
    assert Page(report(tmp_path, n_worst=1, n_random=0)).tags.count("article") == 1


def test_a_faultless_set_says_so(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [summarize("test", ROWS[2:])], ROWS[2:])
    text = path.read_text(encoding="utf-8")
    assert "None: no word errors." in text
    assert "Confusions" not in text


def test_some_are_drawn_whether_right_or_wrong() -> None:
    rows = [score_utterance(f"u{i}", "yes", "yes" if i % 2 else "no") for i in range(50)]
    first = [row.id for row in sample_utterances(rows, 10, seed=0)]
    assert (
        first
        == [row.id for row in sample_utterances(rows, 10, seed=0)]
        != [row.id for row in sample_utterances(rows, 10, seed=1)]
    )
    assert first == sorted(first, key=lambda name: int(name[1:]))
    assert {row.words.errors for row in sample_utterances(rows, 10, seed=0)} == {0, 1}
    assert sample_utterances(rows[:3], 10, seed=0) == rows[:3]


def test_none_is_shown_twice(tmp_path: Path) -> None:
    text = report(tmp_path)
    assert [text.count(f'<article id="u-u{i}">') for i in (1, 2, 3)] == [1, 1, 1]
    assert 'Shown above: <a href="#u-u1">u1</a>, <a href="#u-u2">u2</a>.' in text


def test_a_page_that_is_full_shows_fewer_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "MAX_MEDIA_CHARS", 2000)
    text = report(
        tmp_path, media_by_id={"u1": UtteranceMedia(flac=b"x" * 3000), "u2": UtteranceMedia(flac=b"y" * 300)}
    )
    assert Page(text).tags.count("audio") == 1
    assert text.count("Audio and image omitted: the page would be too large.") == 1


def spoken() -> list[Utterance]:
    tags = [{"snr": 5.0, "room": "hall"}, {"snr": 10.0, "room": "<hall>"}, {}]
    return [
        Utterance(r.id, "x.wav", r.reference, 2.0, r.speaker, tags=t) for r, t in zip(ROWS, tags, strict=True)
    ]


def test_parts_as_curves_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [summarize("test", ROWS)], ROWS, spoken(), fields=["seconds"], snr_estimated=True)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("svg") == 2
    assert "The SNR is estimated from the audio" in text
    captions = re.findall("<caption>(.*?)</caption>", text)
    assert captions == ["Of words", "Of characters", "By speaker", "By rate", "By room"]
    assert "&lt;hall&gt;" in text


def test_a_curve_stands_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    """The errors of utterance i are i; heights fall as errors rise, since SVG counts downwards."""
    rows = [score_utterance(f"u{i}", "a " * 10 + "b " * i, "b " * i) for i in range(1, 6)]
    said = [Utterance(r.id, "x.wav", r.reference, 2.0) for r in rows]
    path = tmp_path / "report.html"
    write_report(path, [summarize("test", rows)], rows, said)
    drawn = re.search(r'<polyline points="(.*?)"', path.read_text(encoding="utf-8"))
    assert drawn is not None
    points = [tuple(map(float, point.split(","))) for point in drawn[1].split()]
    assert len(points) == 5
    assert points == sorted(points)
    heights = [y for _, y in points]
    assert heights == sorted(heights)  # the longer, the smaller the rate


@pytest.mark.parametrize(
    "outputs", [list("go on"), ["$x$", "_", "", "\\"], ["ሰላም", "漢字", "हिन्दी"], ["a"] * 120]
)
def test_any_output_can_stand_beside_a_picture(outputs: list[str]) -> None:
    drawn = render_png(picture(outputs))
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")


def test_half_a_picture_is_drawn_and_none_is_left_out() -> None:
    whole = picture(["a", "b"])
    assert render_png(UtterancePlot(0.4, features=whole.features)) is not None
    assert render_png(UtterancePlot(0.4, attention=whole.attention, outputs=["a", "b"])) is not None
    assert render_png(UtterancePlot(0.4)) is None
    assert render_png(UtterancePlot(0.4, np.zeros((0, 20)), np.zeros((0, 5)))) is None
    assert render_png(UtterancePlot(0.4, np.zeros((5, 20)))) is not None  # silence: all one value
    assert render_png(UtterancePlot(0.4, wave=np.zeros(3))) is not None
    assert render_png(UtterancePlot(0.4, wave=np.zeros(0))) is None


def test_outputs_must_fit_the_attention() -> None:
    with pytest.raises(DataError, match="3 rows of attention"):
        UtterancePlot(1.0, attention=np.ones((3, 4)), outputs=["a"])
