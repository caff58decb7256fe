"""The page of systems side by side, and the alignment of several texts."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from markup import Page

from asrattn.metrics import ScoredUtterance, count_word_errors, error_changes, score_utterance
from asrattn.metrics.significance import System, compare_to_baseline
from asrattn.report.comparison import write_comparison
from asrattn.report.document import render_alignment

SAID = ["go to the end", "now <stop> it", "yes", "no no"]
A = ["go end", "now <stop> it", "yes", "no no"]
B = ["go to the end", "stop it", "yes", "no no no"]


def run(texts: list[str]) -> tuple[ScoredUtterance, ...]:
    pairs = zip(SAID, texts, strict=True)
    return tuple(score_utterance(f"u{i}", said, heard, f"s{i}") for i, (said, heard) in enumerate(pairs))


def system(name: str, *runs: list[str]) -> System:
    return System(name, tuple(map(run, runs)))


def write(folder: Path, *systems: System) -> str:
    baseline, *others = systems
    write_comparison(
        folder / "compare.html", systems, compare_to_baseline(baseline, others), "test.jsonl, 4 utterances."
    )
    return (folder / "compare.html").read_text(encoding="utf-8")


def test_utterances_that_changed_most_come_first() -> None:
    found = error_changes.utterance_changes(system("a", A), system("b", B))
    assert [(c.rows[0].id, c.before, c.after) for c in found] == [("u0", 2, 0), ("u1", 0, 2), ("u3", 0, 1)]
    runs = error_changes.utterance_changes(system("a", A, SAID), system("b", B))
    assert [(c.rows[0].id, c.before, c.after) for c in runs] == [("u1", 0, 2), ("u0", 1, 0), ("u3", 0, 1)]


def test_the_page_holds_both_and_what_changed(tmp_path: Path) -> None:
    text = write(tmp_path, system("a", A), system("<b>", B))
    page = Page(text)
    assert page.open == []
    assert page.sources == [s for s in page.sources if s.startswith("#")]
    assert "<b>" not in re.findall("<h2.*?>(.*?)</h2>", text)
    better, worse = text.split("Better in &lt;b&gt;</h2>")[1].split("Worse in &lt;b&gt;</h2>")
    assert re.findall("<h3>(.*?)</h3>", better) == ["u0"]
    assert re.findall("<h3>(.*?)</h3>", worse) == ["u1", "u3"]
    assert "<b>fixed</b> errors 2 → 0 in" in better
    assert "<b>newly broken</b> errors 0 → 2 in" in worse
    assert "1 utterance fixed, 2 newly broken" in text
    column = '<span><span>to</span><del>to</del><span class="equal">to</span></span>'
    assert column in better
    assert "&lt;stop&gt;" in worse


def test_systems_that_are_the_same(tmp_path: Path) -> None:
    text = write(tmp_path, system("a", A), system("b", A))
    assert "no difference shown" in text
    assert "<article" not in text
    assert "Better in" not in text


def test_several_runs_and_systems(tmp_path: Path) -> None:
    text = write(tmp_path, system("a", A, B), system("b", B), system("c", SAID))
    assert "<title>b, c against a</title>" in text
    assert "Texts are those of the first runs." in text
    assert text.count('class="wide"') == 2
    assert "What changed in c" in text


texts = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join)


@given(texts, texts, texts)
def test_every_word_of_every_text_stands_once_in_its_row(said: str, first: str, second: str) -> None:
    html = render_alignment(said, [("x", first), ("y", second)])
    columns = re.findall(r"<span>(<span>[abc]?</span>.*?)</span>(?=<span>|</div>)", html)
    cells = [re.findall(r'<(span|ins|del)(?: class="(\w+)")?>([abc]?)</', column) for column in columns]
    assert all(len(column) == 3 for column in cells)
    rows = list(zip(*cells, strict=True)) if cells else [[], [], []]
    assert " ".join(word for _, _, word in rows[0] if word) == said
    for row, text in zip(rows[1:], (first, second), strict=True):
        assert " ".join(word for tag, _, word in row if word and tag != "del") == text
        errors = sum(tag in ("del", "ins") or kind == "substitute" for tag, kind, _ in row)
        assert errors == count_word_errors(said, text).errors
