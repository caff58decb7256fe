"""Report of an ablation: a table, and a page with the attention plots of all variants side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from asrattn.config import JSONValue
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.experiments import ablation
from asrattn.experiments.ablation import (
    ATTENTION_IMAGE_FILE,
    ATTENTION_ONLY_FILE,
    HYPOTHESES_FILE,
    AblationRun,
)
from asrattn.experiments.variants import Ablation
from asrattn.metrics import hypothesis_file, score_utterance
from asrattn.metrics.significance import System
from asrattn.report import variants
from asrattn.report.variants import VariantEntry, VariantRow

TABLE_FILE, PAGE_FILE = "variants.tsv", "variants.html"
REPORTED_ATTENTION_METRICS = ("focus", "diagonality", "agreement")

FinishedRun = tuple[AblationRun, dict[str, Any]]


def write_report(spec: Ablation) -> list[list[str]]:
    """Write variants.tsv and variants.html of all finished runs into `spec.out`; the table, heading first."""
    utterances = manifest.read(spec.eval_manifest)
    found = ablation.load_results(spec)
    entries = [_entry(variant.name, utterances, done, spec.seeds) for variant, done in found.items() if done]
    lines: Sequence[VariantRow] = variants.variant_rows(entries)
    table = variants.variant_table(lines)
    text = "".join("\t".join(row) + "\n" for row in table)
    (spec.out / TABLE_FILE).write_text(text, encoding="utf-8")
    seeds = f"seeds 0 to {spec.seeds - 1}" if spec.seeds > 1 else "seed 0"
    about = (
        f"{spec.recipe.name}, {spec.recipe.train.epochs} epochs, {seeds}; {spec.eval_manifest.name}, "
        f"{len(utterances)} utterances. Each against {entries[0].system.name}; better or worse if the tests say so"
        f"{_seed_note(lines)}. Attention only: greedy, without CTC. Focus, diagonality and agreement with CTC lie "
        "between 0 and 1. Plots: the first seed, with the reference of one utterance as decoder input."
    )
    variants.write_variants_page(spec.out / PAGE_FILE, f"Variants of {spec.recipe.name}", about, lines)
    return table


def _seed_note(lines: Sequence[VariantRow]) -> str:
    found = (line.significance for line in lines if line.significance)
    return "".join(f"; {note}" for note in dict.fromkeys(note for result in found for note in result.notes))


def _entry(
    name: str, utterances: Sequence[Utterance], done: Sequence[FinishedRun], seeds: int
) -> VariantEntry:
    folders = [run.folder for run, _ in done]
    decoded = tuple(_rows(utterances, folder / HYPOTHESES_FILE) for folder in folders)
    attention_only = tuple(
        _rows(utterances, folder / ATTENTION_ONLY_FILE)
        for folder in folders
        if (folder / ATTENTION_ONLY_FILE).is_file()
    )
    facts = {
        "by attention alone": variants.format_wer(System(name, attention_only)) if attention_only else "–"
    }
    facts |= _facts([result for _, result in done], seeds)
    image = folders[0] / ATTENTION_IMAGE_FILE
    return VariantEntry(System(name, decoded), facts, image.read_bytes() if image.is_file() else None)


def _rows(utterances: Sequence[Utterance], path: Path) -> tuple[Any, ...]:
    """Scored utterances; one that failed counts as deleted."""
    texts = {line.id: line.text for line in hypothesis_file.read(path)}
    return tuple(score_utterance(u.id, u.text, texts.get(u.id, ""), u.speaker) for u in utterances)


def _facts(results: Sequence[Mapping[str, Any]], seeds: int) -> dict[str, str]:
    """Means over the runs; their number if there may be several."""
    first = results[0]
    facts = {"runs": str(len(results))} if seeds > 1 else {}
    facts |= {
        "M parameters": f"{first['parameters'] / 1e6:.2f}",
        "CPU min": f"{mean(r['cpu_seconds'] for r in results) / 60:.1f}",
    }
    for name in REPORTED_ATTENTION_METRICS:
        values: list[JSONValue] = [r["looks"][name] for r in results]
        numbers = [float(v) for v in values if isinstance(v, int | float)]
        facts[name] = f"{round(mean(numbers), 2) + 0.0:.2f}" if numbers else "–"  # no -0.00
    return facts
