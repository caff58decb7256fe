"""What an ablation found: a table, and a page with the attention of all variants side by side."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from tqdm import tqdm

from asrattn import manifest
from asrattn.config import Plain
from asrattn.manifest import Utterance
from asrattn.scoring import hypotheses, score, variants
from asrattn.scoring.compare import System
from asrattn.scoring.variants import Entry, Line
from asrattn.training import ablation
from asrattn.training.ablation import ALONE, HEARD, PICTURE, Run
from asrattn.training.crew import crew
from asrattn.training.variants import Ablation, claim

TABLE, PAGE = "variants.tsv", "variants.html"
LOOKS = ("focus", "diagonality", "agreement")

Done = tuple[Run, dict[str, Any]]


def ablate(what: Ablation, jobs: int, threads: int | None) -> list[list[str]]:
    """Train and judge all variants with so many processes beside each other, see `crew`; the table, heading first.

    In `what.out` there are afterwards variants.tsv, variants.html, and a folder for each run. What is done already is
    not done again.

    Raises ConfigError for a variant that cannot be built, DataError where a process failed, StoppedError on Ctrl-C.
    """
    claim(what)
    all_runs = list(ablation.runs(what))
    with tqdm(total=len(all_runs), unit=" runs", disable=None, leave=False) as bar:

        def look() -> None:
            bar.n = sum(len(done) for done in ablation.results(what).values())
            bar.refresh()

        crew(partial(ablation.work, what), jobs, threads, what.out, look)
    return leave(what)


def leave(what: Ablation) -> list[list[str]]:
    """Write the table and the page of all runs that are done."""
    utterances = manifest.read(what.judged)
    found = ablation.results(what)
    entries = [_entry(variant.name, utterances, done, what.seeds) for variant, done in found.items() if done]
    lines: Sequence[Line] = variants.lines(entries)
    table = variants.table(lines)
    text = "".join("\t".join(row) + "\n" for row in table)
    (what.out / TABLE).write_text(text, encoding="utf-8")
    seeds = f"seeds 0 to {what.seeds - 1}" if what.seeds > 1 else "seed 0"
    about = (
        f"{what.recipe.name}, {what.recipe.train.epochs} epochs, {seeds}; {what.judged.name}, "
        f"{len(utterances)} utterances. Each against {entries[0].system.name}; better or worse where the paired tests "
        "say so. By attention alone: greedy, without CTC. Focus, diagonality and agreement with CTC lie between 0 and "
        "1. Pictures: the first seed reads the true text of one utterance."
    )
    variants.write_page(what.out / PAGE, f"Variants of {what.recipe.name}", about, lines)
    return table


def _entry(name: str, utterances: Sequence[Utterance], done: Sequence[Done], seeds: int) -> Entry:
    folders = [run.folder for run, _ in done]
    heard = tuple(_rows(utterances, folder / HEARD) for folder in folders)
    alone = tuple(_rows(utterances, folder / ALONE) for folder in folders if (folder / ALONE).is_file())
    facts = {"by attention alone": variants.rate(System(name, alone)) if alone else "–"}
    facts |= _facts([result for _, result in done], seeds)
    picture = folders[0] / PICTURE
    return Entry(System(name, heard), facts, picture.read_bytes() if picture.is_file() else None)


def _rows(utterances: Sequence[Utterance], path: Path) -> tuple[Any, ...]:
    """What failed counts as deleted."""
    heard = {line.id: line.text for line in hypotheses.read(path)}
    return tuple(score(u.id, u.text, heard.get(u.id, ""), u.speaker) for u in utterances)


def _facts(results: Sequence[Mapping[str, Any]], seeds: int) -> dict[str, str]:
    """Means over the runs; how many there are where there may be several."""
    first = results[0]
    facts = {"runs": str(len(results))} if seeds > 1 else {}
    facts |= {
        "M parameters": f"{first['parameters'] / 1e6:.2f}",
        "CPU min": f"{mean(r['cpu_seconds'] for r in results) / 60:.1f}",
    }
    for name in LOOKS:
        values: list[Plain] = [r["looks"][name] for r in results]
        numbers = [float(v) for v in values if isinstance(v, int | float)]
        facts[name] = f"{round(mean(numbers), 2) + 0.0:.2f}" if numbers else "–"  # no -0.00
    return facts
