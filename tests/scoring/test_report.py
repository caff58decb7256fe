import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from asrattn.errors import DataError
from asrattn.scoring import score, summarize
from asrattn.scoring.pictures import Picture, png
from asrattn.scoring.report import write_report

ROWS = [
    score("u1", "now go to the end", "now now go to end", "ann"),
    score("u2", "<script>alert(1)</script> & co", "co", 'b"ob'),
    score("u3", "yes", "yes", "ann"),
]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags in balance, and what was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def picture(outputs: list[str], frames: int = 40) -> Picture:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(10), len(outputs)) if outputs else np.zeros((0, 10))
    return Picture(0.4, rng.normal(size=(frames, 20)), weights, outputs)


def report(folder: Path, **more: object) -> str:
    write_report(folder / "new" / "report.html", [summarize("test", ROWS, rtf=0.012)], ROWS, **more)  # type: ignore[arg-type]
    assert [p.name for p in (folder / "new").iterdir()] == ["report.html"]
    return (folder / "new" / "report.html").read_text(encoding="utf-8")


def test_the_page_holds_what_it_should(tmp_path: Path) -> None:
    text = report(
        tmp_path, title="A title", facts={"Search": "beam 10"}, pictures={"u1": picture(list("go to"))}
    )
    page = Page(text)
    assert page.open == []
    result = summarize("test", ROWS)
    assert f"<b>{100 * result.wer:.1f} %</b>" in text
    assert "<dt>Search</dt><dd>beam 10</dd>" in text
    assert '<span class="delete"><del>the</del><span></span></span>' in text
    assert '<span class="insert"><span></span><ins>now</ins></span>' in text
    assert page.tags.count("article") == 2  # u3 is faultless
    assert page.tags.count("img") == 1
    assert "Word error rate by speaker" in text
    assert "Most frequent confusions" in text


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page = Page(report(tmp_path, pictures={"u1": picture(["a"]), "u2": picture(["b"])}))
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert base64.b64decode(page.sources[0].split(",")[1]).startswith(b"\x89PNG")


def test_a_transcript_stays_text(tmp_path: Path) -> None:
    text = report(tmp_path, title="<b>&", facts={"<i>": "</dl><script>"})
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<title>&lt;b&gt;&amp;</title>" in text


def test_the_number_of_worst_utterances_can_be_chosen(tmp_path: Path) -> None:
    assert Page(report(tmp_path, n_worst=1)).tags.count("article") == 1


def test_a_faultless_set_says_so(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [summarize("test", ROWS[2:])], ROWS[2:])
    text = path.read_text(encoding="utf-8")
    assert "None: every word was heard as it was said." in text
    assert "confusions" not in re.sub(r"(?s)<style>.*</style>", "", text)


@pytest.mark.parametrize(
    "outputs", [list("go on"), ["$x$", "_", "", "\\"], ["ሰላም", "漢字", "हिन्दी"], ["a"] * 120]
)
def test_any_output_can_stand_beside_a_picture(outputs: list[str]) -> None:
    drawn = png(picture(outputs))
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")


def test_half_a_picture_is_drawn_and_none_is_left_out() -> None:
    whole = picture(["a", "b"])
    assert png(Picture(0.4, features=whole.features)) is not None
    assert png(Picture(0.4, attention=whole.attention, outputs=["a", "b"])) is not None
    assert png(Picture(0.4)) is None
    assert png(Picture(0.4, np.zeros((0, 20)), np.zeros((0, 5)))) is None
    assert png(Picture(0.4, np.zeros((5, 20)))) is not None  # silence: all one value


def test_outputs_must_fit_the_attention() -> None:
    with pytest.raises(DataError, match="3 rows of attention"):
        Picture(1.0, attention=np.ones((3, 4)), outputs=["a"])
