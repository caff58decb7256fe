"""The pages in a real browser: what is clicked works, nothing is fetched, and a phone need not scroll sideways."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrattn import audio
from asrattn.data.manifest import Utterance
from asrattn.metrics import ScoredUtterance, score_utterance, summarize
from asrattn.metrics.significance import System, compare_to_baseline
from asrattn.report import UtteranceMedia, style, write_report
from asrattn.report.comparison import write_comparison
from asrattn.report.plots import UtterancePlot
from asrattn.report.variants import VariantEntry, variant_rows, write_variants_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WORDS = ["go", "on", "to", "the", "next", "extraordinarily-long-word-that-no-phone-can-hold-without-breaking"]

# Shows a page in a frame, clicks through it, and leaves what it found in the document.
DRIVER = """<!doctype html><meta charset="utf-8">
<iframe id="frame" src="PAGE" style="width:WIDTHpx;height:900px"></iframe>
<pre id="found"></pre><script>
const frame = document.getElementById('frame'), out = document.getElementById('found');
frame.onload = async () => {
  const page = frame.contentDocument, view = frame.contentWindow, all = q => [...page.querySelectorAll(q)];
  const shown = each => each.getClientRects().length > 0;
  const found = {errors: []};
  try {
    found.fetched = view.performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'));
    for (const each of all('details:not([open]) > summary')) each.click();
    found.closed = all('details:not([open])').length;
    found.beyond = page.documentElement.scrollWidth - page.documentElement.clientWidth;
    found.lost = all('nav a').filter(a => { a.click(); return !page.querySelector(':target'); }).length;
    found.links = all('nav a').length;
    const skip = page.querySelector('.skip');
    found.first = all('a, button, input, summary, audio')[0] === skip;
    const before = skip.getBoundingClientRect().right;
    skip.focus();
    found.skip = [before, skip.getBoundingClientRect().left];
    found.nameless = all('img:not([alt]), audio:not([aria-label]), svg:not([aria-label])').length;
    found.unreachable = all('button, input, summary').filter(each => each.tabIndex < 0).length;
    const head = all('th button')[0];
    if (head) {
      const column = () => [...head.closest('table').tBodies[0].rows].map(r => r.cells[at].textContent);
      const at = head.parentNode.cellIndex;
      head.click();
      found.down = column();
      head.click();
      found.up = column();
      found.sorted = head.parentNode.ariaSort;
    }
    const articles = all('article'), field = page.querySelector('.filter input');
    found.articles = articles.filter(shown).length;
    if (field) {
      found.wanted = articles.at(-1).querySelector('h3').textContent;
      field.value = found.wanted.toUpperCase();
      field.dispatchEvent(new Event('input'));
      found.filtered = articles.filter(shown).map(each => each.querySelector('h3').textContent);
    }
    const sound = page.querySelector('audio');
    if (sound) {
      await new Promise(done => { sound.onloadedmetadata = sound.onerror = done; sound.load(); });
      found.seconds = sound.duration;
    }
    found.broken = all('img').filter(each => !each.naturalWidth).length;
  } catch (error) { found.errors.push(String(error)); }
  out.textContent = JSON.stringify(found);
};
</script>"""


def rows(seed: int) -> list[ScoredUtterance]:
    random, found = np.random.default_rng(seed), []
    for i in range(12):
        said = list(random.choice(WORDS, 8)) if i else WORDS * 2
        heard = [str(random.choice(WORDS)) if random.random() < 0.3 else word for word in said]
        found.append(
            score_utterance(
                f"u{i}", " ".join(said), " ".join(heard[: None if i % 3 else -1]), f"speaker{i % 4}"
            )
        )
    return found


def report(path: Path) -> None:
    spoken, evidence, random = rows(0), {}, np.random.default_rng(0)
    wave = random.normal(0, 0.1, 8000).astype(np.float32)
    for row in spoken:
        picture = UtterancePlot(
            1.0, random.normal(size=(100, 20)), random.dirichlet(np.ones(25), 8), ["word"] * 8, wave=wave
        )
        evidence[row.id] = UtteranceMedia(picture, bytes(audio.encode(Path("a.flac"), wave, 8000)))
    utterances = [
        Utterance(r.id, "x.wav", r.reference, 1.0 + i, r.speaker, tags={"snr": 3.0 * i})
        for i, r in enumerate(spoken)
    ]
    card = {"Model": {"file": "/a/long/path/" * 12, "command": "asrattn train --set a=b " * 9}}
    results = [summarize("test", spoken, 0.01), summarize("another-set-with-a-long-name", spoken)]
    write_report(path, results, spoken, utterances, cards=card, media_by_id=evidence, n_worst=3, n_random=2)


def systems() -> list[System]:
    first, second = rows(0), rows(0)
    others = [
        score_utterance(r.id, r.reference, o.reference, r.speaker)
        for r, o in zip(first, rows(1), strict=True)
    ]
    return [
        System("a-baseline-with-a-long-name", (tuple(first),)),
        System("b", ((*second[:6], *others[6:]),)),
    ]


def comparison(path: Path) -> None:
    both = systems()
    write_comparison(path, both, compare_to_baseline(both[0], both[1:]), "test.jsonl, 12 utterances.")


def variants(path: Path) -> None:
    names = ("runs", "M parameters", "CPU min", "focus", "diagonality", "agreement")
    write_variants_page(
        path,
        "Variants",
        "About.",
        variant_rows([VariantEntry(s, dict.fromkeys(names, "12.34")) for s in systems()]),
    )


def browse(page: Path, width: int) -> dict[str, Any]:
    """What the driver finds."""
    assert BROWSER is not None
    driver = page.with_name("driver.html")
    driver.write_text(DRIVER.replace("PAGE", page.as_uri()).replace("WIDTH", str(width)), encoding="utf-8")
    options = [
        "--headless",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    options += [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width + 60},1000"]
    done = subprocess.run(
        [BROWSER, *options, "--virtual-time-budget=20000", "--dump-dom", driver.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    left = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert left is not None, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(unescape(left[1]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome here")
@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("write", [report, comparison, variants])
def test_a_page_in_a_browser(tmp_path: Path, write: Any, width: int) -> None:
    page = tmp_path / "page.html"
    write(page)
    found = browse(page, width)
    assert found["errors"] == found["fetched"] == []
    assert found["beyond"] == 0, "the page is wider than the screen"
    assert (found["closed"], found["lost"], found["nameless"], found["unreachable"], found["broken"]) == (
        0,
    ) * 5
    assert found["first"]
    assert found["skip"][0] < 0 <= found["skip"][1]  # seen only by those who tab to it
    if write is variants:
        return
    assert found["links"] >= 3
    assert found["sorted"] == "ascending"
    assert found["down"] != found["up"] == sorted(found["up"])
    assert found["articles"] > 3
    assert found["wanted"] in found["filtered"]
    assert len(found["filtered"]) < found["articles"]
    if write is report:
        assert found["seconds"] == pytest.approx(1.0, abs=0.01)


def luminance(colour: str) -> float:
    """Relative, of "#rrggbb" (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read(theme: int) -> None:
    """WCAG's AA: 4.5 to 1."""
    names = re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.CSS)
    colours = dict(names[theme * len(names) // 2 :][: len(names) // 2])
    grounds = {name: ["page", "card"] for name in ("ink", "soft", "accent")}
    grounds |= {name: [f"{name}-bg"] for name in ("sub", "ins", "del")}
    for name, behind in grounds.items():
        for ground in behind:
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
