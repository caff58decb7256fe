"""Beam search compared with ESPnet and SpeechBrain: python -m benchmarks.peers.decoding --help.

Features, encoder and joint search together, for the architectures of the training steps and an alphabet of characters.
The weights are drawn, and no decoder ends by itself: every side takes one step for each character that speech of the
length has.
"""

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from benchmarks.peers.processes import Measurements, PeerRun, measure, median_of

SIDES = {
    "T": (("asrattn", "ours", ""), ("ESPnet", "espnet", ""), ("SpeechBrain", "speechbrain", "")),
    "R": (("asrattn", "ours", ""), ("ESPnet, VGG", "espnet", ""), ("SpeechBrain", "speechbrain", "conv")),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each side and number of utterances: CPU-seconds for a second of audio, and theirs by ours."""
    parser = argparse.ArgumentParser(
        description="beam searches side by side", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--espnet", metavar="PYTHON", help="of its environment; left out if not given")
    parser.add_argument("--speechbrain", metavar="PYTHON", help="of its environment; left out if not given")
    parser.add_argument("--architectures", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8], help="utterances at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an utterance")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    pythons = {"ours": sys.executable, "espnet": args.espnet, "speechbrain": args.speechbrain}
    runs = [
        PeerRun(name, module, letter, front, search=batch)
        for letter in args.architectures
        for batch in args.batch
        for name, module, front in SIDES[letter]
        if pythons[module]
    ]
    found: Measurements = {run: [] for run in runs}
    for run in tqdm(runs * args.rounds, disable=None, unit="run"):
        found[run].append(measure(run.command(pythons[run.module], args.threads, args.seconds)))
    print("| | side | batch | tokens | CPU-s a second of audio | by ours | peak GB |")
    print("|---|---|---|---|---|---|---|")
    for run, measured in found.items():
        ours = found[next(r for r in runs if r.module == "ours" and same_setup(r, run))]
        cost = median_of(measured, "cost")
        tokens = {count for m in measured if m for count in m["tokens"]}
        cells = [run.name, run.search, "-".join(map(str, sorted(tokens))), f"{cost:.4f}"]
        cells += [f"{cost / median_of(ours, 'cost'):.1f}", f"{median_of(measured, 'peak'):.2f}"]
        print(f"| {run.architecture} | {' | '.join(map(str, cells))} |")


def same_setup(a: PeerRun, b: PeerRun) -> bool:
    return (a.architecture, a.search) == (b.architecture, b.search)


if __name__ == "__main__":
    main()
