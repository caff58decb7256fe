"""Fuzzing: mutated files of each format, read as users' files are. No crash, no hang, nothing wrong in silence.

python -m benchmarks.fuzz --kind audio --count 10000 [--format wav] [--seed 0]

A process of its own reads the files: one that ends it, or never returns, is counted with the number that makes it
again, and the next is read. A kind is a module with FORMATS, `make` and `attempt`.
"""

import argparse
import importlib
import multiprocessing
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol, cast

KINDS = {"audio": "benchmarks.fuzz_audio"}
HANG_SECONDS = 60.0

Outcome = Literal["read", "refused", "wrong", "traceback", "crash", "hang"]


class Kind(Protocol):
    """What is fuzzed. `make` gives the same file for the same number; `attempt` reads it, and says what is wrong with
    the result: "" for nothing, None if it was refused with an error of one line."""

    FORMATS: Sequence[str]

    def make(self, name: str, number: int) -> bytes: ...

    def attempt(self, name: str, number: int, data: bytes) -> str | None: ...


@dataclass
class Tally:
    """Outcomes of one format; CPU-seconds of the slowest; MiB at most; the first few that were not well."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: float = 0.0
    bad: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome, detail: str, seconds: float, peak: float) -> None:
        self.outcomes[outcome] += 1
        self.slowest, self.peak = max(self.slowest, seconds), max(self.peak, peak)
        if outcome not in ("read", "refused"):
            self.bad.append(f"{outcome} at number {number}: {detail}")


def load_kind(name: str) -> Kind:
    kind: Any = importlib.import_module(KINDS[name])
    return cast("Kind", kind)


def run_one(kind: Kind, name: str, number: int) -> tuple[Outcome, str, float]:
    """Make a file and read it: what came of it, and the CPU-seconds that reading took."""
    data = kind.make(name, number)
    begin = time.process_time()
    try:
        fault = kind.attempt(name, number, data)
    except Exception:  # noqa: BLE001 (every traceback is a finding)
        return "traceback", traceback.format_exc(limit=-3), time.process_time() - begin
    seconds = time.process_time() - begin
    return ("refused" if fault is None else "wrong" if fault else "read"), fault or "", seconds


def _work(kind_name: str, name: str, numbers: range, out: Connection) -> None:
    kind = load_kind(kind_name)
    for number in numbers:
        result = run_one(kind, name, number)
        out.send((number, *result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    out.send(None)


def fuzz(kind: str, name: str, numbers: range) -> Tally:
    """Read the files of these numbers, in a process that is started again where one ends it."""
    tally = Tally()
    while numbers:
        for number in _run_worker(kind, name, numbers, tally):
            numbers = range(number + 1, numbers.stop)
    return tally


def _run_worker(kind: str, name: str, numbers: range, tally: Tally) -> Iterator[int]:
    """The numbers that are done; the last one may have ended the process."""
    context = multiprocessing.get_context("spawn")
    source, sink = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(kind, name, numbers, sink), daemon=True)
    worker.start()
    sink.close()
    expected = numbers.start
    try:
        while True:
            if not source.poll(HANG_SECONDS):
                tally.add(expected, "hang", f"more than {HANG_SECONDS:g} s", HANG_SECONDS, 0.0)
                break
            told = source.recv()
            if told is None:
                return
            tally.add(*told)
            expected = told[0] + 1
            yield told[0]
    except EOFError:
        worker.join()
        tally.add(expected, "crash", f"status {worker.exitcode}", 0.0, 0.0)
    finally:
        worker.kill()
        worker.join()
    yield expected


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=sorted(KINDS), default="audio")
    parser.add_argument("--format", action="append", default=[], help="default: all")
    parser.add_argument("--count", type=int, default=10_000, help="files of each format (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the first number (default: 0)")
    args = parser.parse_args(argv)
    columns: tuple[Outcome, ...] = ("read", "refused", "wrong", "traceback", "crash", "hang")
    print("| format | tried |", " | ".join(columns), "| slowest, CPU-s | memory, MiB |")
    print("|---" * (len(columns) + 4) + "|")
    failed = False
    for name in args.format or load_kind(args.kind).FORMATS:
        tally = fuzz(args.kind, name, range(args.seed, args.seed + args.count))
        cells = [str(tally.outcomes[each]) for each in columns]
        print(
            f"| {name} | {args.count} | {' | '.join(cells)} | {tally.slowest:.2f} | {tally.peak:.0f} |",
            flush=True,
        )
        for each in tally.bad[:5]:
            print(f"{name}: {each}", file=sys.stderr, flush=True)
        failed |= bool(tally.bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
