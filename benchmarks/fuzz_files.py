"""Fuzzing of everything but sound that asrattn reads: model files, checkpoints, manifests, ARPA files, shards.

    python -m benchmarks.fuzz_files --count 10000 [--kind KIND …] [--seed N]

Each file is a good one with a few mutations: bits, bytes, numbers, pieces cut out, repeated or moved, JSON values of
other types and sizes. It is either refused with an AsrattnError of one line, or read right. Each kind is read in a
process of its own, which says what it took. A row: tried, refused, read, read wrong, tracebacks, hangs (over
MAX_SECONDS), the slowest in seconds, the peak of memory in MB.
"""

import argparse
import io
import json
import multiprocessing
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from asrattn.errors import AsrattnError

MAX_SECONDS = 60  # wall time; a busy machine is slow
ODD_NUMBERS = (-1, 0, 1, 2**31, 2**63, 10**9, 10**30, 1e308, -0.5)
ODD_VALUES: tuple[Any, ...] = (
    *ODD_NUMBERS,
    None,
    True,
    "",
    "x",
    "\0",
    "\ud800",
    "ä" * 50,
    [],
    {},
    [[]],
    {"a": 1},
    "9" * 400,
)

Read = Callable[[Path], bool]  # whether what was read is right


class Kind(NamedTuple):
    """A kind of file: the content of good ones, and how one is read and held against what is right."""

    name: str
    seeds: list[bytes]
    mutate: Callable[[bytes, random.Random], bytes]
    read: Read


class Hang(Exception):  # noqa: N818
    """Reading took longer than MAX_SECONDS."""


def mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    """One to four changes of bytes."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        length = min(chance.choice((1, 2, 8, 64, 1024)), max(0, len(changed) - at))
        match chance.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at : at + length] = chance.randbytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + 8] = struct.pack("<q", chance.choice((-1, 0, 2**31, 2**62, len(content))))
            case 5:
                del changed[at:]
            case _:
                changed[at:at] = str(chance.choice(ODD_NUMBERS)).encode()
    return bytes(changed)


def mutate_json(plain: Any, chance: random.Random) -> Any:
    """A value somewhere within replaced, repeated or taken out."""
    if isinstance(plain, dict | list) and plain and chance.random() < 0.85:
        name = chance.choice(list(plain) if isinstance(plain, dict) else range(len(plain)))
        copied: Any = dict(plain) if isinstance(plain, dict) else list(plain)
        if chance.random() < 0.1:
            del copied[name]
        elif isinstance(copied, dict) and chance.random() < 0.1:
            copied[chance.choice(("extra", "", "\0", name + "s"))] = chance.choice(ODD_VALUES)
        else:
            copied[name] = mutate_json(copied[name], chance)
        return copied
    if isinstance(plain, str) and plain and chance.random() < 0.5:
        return mutate_bytes(plain.encode(errors="replace"), chance).decode(errors="replace")
    if chance.random() < 0.03:
        for _ in range(chance.choice((50, 99, 101, 900))):
            plain = [plain]
        return plain
    return chance.choice(ODD_VALUES)


def run_kind(kind: Kind, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Read `count` mutated files. Returns the row of the table, with the first tracebacks."""
    signal.signal(signal.SIGALRM, _on_alarm)
    found, slowest, shown = Counter[str](), 0.0, []
    for number in range(count):
        chance = random.Random(f"{kind.name} {seed} {number}")
        content = kind.mutate(chance.choice(kind.seeds), chance)
        path = folder / f"{kind.name}.file"
        path.write_bytes(content)
        started = time.perf_counter()
        outcome, detail = _read_one(kind, path)
        slowest = max(slowest, time.perf_counter() - started)
        found[outcome] += 1
        if outcome in ("wrong", "traceback", "hang"):
            shown.append(f"{kind.name} {number}: {outcome} {detail}")
            (folder / f"{kind.name}-{number}").write_bytes(content)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"kind": kind.name, "tried": count, **found, "slowest": slowest, "peak": peak, "shown": shown[:20]}


def _read_one(kind: Kind, path: Path) -> tuple[str, str]:
    signal.alarm(MAX_SECONDS)
    try:
        return ("read", "") if kind.read(path) else ("wrong", "")
    except AsrattnError as error:
        return (
            ("refused", "") if len(str(error).splitlines()) == 1 else ("traceback", f"lines: {error!s:.200}")
        )
    except Hang:
        return "hang", ""
    except BaseException as error:  # a fuzzer counts them all; panics of Rust are no Exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return "traceback", "".join(traceback.format_exception(error)[-3:])
    finally:
        signal.alarm(0)


def _on_alarm(*_: object) -> None:
    raise Hang


# The kinds


def model_files(checked: bool) -> Kind:
    """checked: with a checksum, as asrattn writes them: whatever is read is what was written. Without: as 0.2.0 wrote
    them; what is read is held against nothing but that it can be used."""
    import torch

    from asrattn import checkpoint
    from asrattn.inference.recognizer import Recognizer
    from benchmarks import fuzz_seeds

    seeds = fuzz_seeds.model_files()
    wanted = [fuzz_seeds.state(seed) for seed in seeds]
    if not checked:
        seeds = [fuzz_seeds.without_checksum(seed) for seed in seeds]

    def mutate(content: bytes, chance: random.Random) -> bytes:
        if checked or chance.random() < 0.3:
            return mutate_bytes(content, chance)
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
        plain = mutate_json(json.loads(header["__metadata__"]["asrattn"]), chance)
        header["__metadata__"]["asrattn"] = json.dumps(plain)
        written = json.dumps(header).encode()
        return struct.pack("<Q", len(written)) + written + content[8 + size :]

    def read(path: Path) -> bool:
        saved = checkpoint.load(path)
        if checked:
            return any(fuzz_seeds.is_same(saved.model.state_dict(), each) for each in wanted)
        recognizer = Recognizer(saved, torch.device("cpu"))
        recognizer.decoding = saved.decoding
        saved.tokenizer.decode(range(saved.tokenizer.size))
        return all(w.isfinite().all() for w in saved.model.state_dict().values() if w.is_floating_point())

    return Kind("models" if checked else "models-unchecked", seeds, mutate, read)


def checkpoints() -> Kind:
    from asrattn.training import checkpointing
    from benchmarks import fuzz_seeds

    seeds = fuzz_seeds.checkpoints()
    wanted = [fuzz_seeds.content(seed) for seed in seeds]

    def read(path: Path) -> bool:
        found = checkpointing.load(path)
        return any(fuzz_seeds.is_same(found, each) for each in wanted)

    return Kind("checkpoints", seeds, mutate_bytes, read)


def manifests() -> Kind:
    from asrattn.data import manifest
    from asrattn.data.lazy_manifest import LazyManifest

    good = [
        {"id": f"a{i}", "audio": f"a/{i}.wav", "text": "the föx", "seconds": 1.5 + i, "speaker": "s"}
        for i in range(5)
    ]
    good[1] |= {"start": 2.0, "tags": {"snr": 12.5, "set": "clean"}}
    seeds = ["".join(json.dumps(line, ensure_ascii=False) + "\n" for line in good).encode()]

    def mutate(content: bytes, chance: random.Random) -> bytes:
        if chance.random() < 0.4:
            return mutate_bytes(content, chance)
        lines = content.decode().splitlines()
        at = chance.randrange(len(lines))
        lines[at] = json.dumps(mutate_json(json.loads(lines[at]), chance))
        return "\n".join(lines).encode()

    def read(path: Path) -> bool:
        """As json reads the lines; lazily as at once; and it can be written and read again."""
        found = manifest.read(path)
        plain = [json.loads(line) for line in path.read_text("utf-8-sig").split("\n") if line.strip()]
        right = all(
            (u.id, u.text, u.seconds) == (p["id"], p["text"], p["seconds"])
            for u, p in zip(found, plain, strict=True)
        )
        lazily = LazyManifest(path)
        copy = path.with_name("copy.jsonl")
        manifest.write(copy, found)
        return (
            right and list(lazily) == found and [u.id for u in manifest.read(copy)] == [u.id for u in found]
        )

    return Kind("manifests", seeds, mutate, read)


def arpa_files() -> Kind:
    import gzip

    import numpy as np

    from asrattn import lm
    from asrattn.lm import arpa

    texts = ["a b c", "b a", "c c a b", "a"]
    model = lm.estimate(lm.count_ngrams([text.split() for text in texts], 3), "witten-bell", (), "word")
    with tempfile.TemporaryDirectory() as folder:
        arpa.write(Path(folder) / "a.arpa", model)
        plain = (Path(folder) / "a.arpa").read_bytes()

    def read(path: Path) -> bool:
        """The n-grams are those of the lines, and every sentence has a probability."""
        if path.read_bytes()[:2] == b"\x1f\x8b":
            found = arpa.read(path)
            return found.sizes == model.sizes and np.allclose(found.log_prob, model.log_prob)
        found = arpa.read(path)
        streams = [list(np.random.default_rng(0).integers(0, len(found.words), 20))]
        values = found.score(np.array(streams[0]), np.arange(20))
        lines = path.read_bytes().split(b"\\1-grams:")[1].split(b"\\end\\")[0].split(b"\n")
        rows = sum(bool(line.strip()) and not line.startswith(b"\\") for line in lines)
        return bool(np.isfinite(values).all()) and rows <= sum(found.sizes) <= rows + 3

    return Kind("arpa", [plain, gzip.compress(plain, mtime=0)], mutate_bytes, read)


def shard_archives() -> Kind:
    import numpy as np

    from asrattn.data import manifest
    from asrattn.data.manifest import Utterance
    from asrattn.data.shards import ShardReader, Shards
    from asrattn.errors import AudioError

    sounds = {f"{i}.flac": bytes([i]) * (300 * i + 10) for i in range(6)}
    seeds = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            for name, data in sounds.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                if form == tarfile.PAX_FORMAT:
                    member.pax_headers = {"comment": "ä", "mtime": "1.5"}
                tar.addfile(member, io.BytesIO(data))
        seeds.append(out.getvalue())

    def read(path: Path) -> bool:
        """No file is given to another's utterance, and none is cut short."""
        folder = path.parent / "shards"
        folder.mkdir(exist_ok=True)
        path.replace(folder / "shard-00000.tar")
        archive = folder / "shard-00000.tar"
        manifest.write(
            folder / "shard-00000.jsonl", [Utterance(n, f"{archive}/{n}", "x", 1.0) for n in sounds]
        )
        opened = Shards.open(folder)
        reader, right, missing = ShardReader(opened, np.ones(len(sounds), bool)), True, 0
        for number, data in enumerate(sounds.values()):
            try:
                found = reader.read(number)[1]
                strangers = sum(
                    a != data[0] for a in found
                )  # a few bytes may have changed: the sound's own matter
                right &= strangers <= 2048 + 16
            except AudioError:
                missing += 1
        if missing == len(sounds):
            raise AudioError("no file can be read")
        return right

    return Kind("shards", seeds, mutate_bytes, read)


KINDS: dict[str, Callable[[], Kind]] = {
    "models": lambda: model_files(checked=True),
    "models-unchecked": lambda: model_files(checked=False),
    "checkpoints": checkpoints,
    "manifests": manifests,
    "arpa": arpa_files,
    "shards": shard_archives,
}


def _worker(name: str, count: int, seed: int, folder: Path, row: Any) -> None:
    row.send(run_kind(KINDS[name](), count, seed, folder))


def fuzz(names: list[str], count: int, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each kind, each from a fresh process; one that dies has a row that says so."""
    context = multiprocessing.get_context("spawn")
    for name in names:
        (below := folder / name).mkdir(parents=True, exist_ok=True)
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_worker, args=(name, count, seed, below, theirs))
        process.start()
        theirs.close()
        try:
            yield ours.recv()
        except EOFError:
            process.join()
            yield {"kind": name, "died": process.exitcode, "shown": []}
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", type=Path, help="folder for the files that were not refused and not read right"
    )
    args = parser.parse_args()
    columns = ("kind", "tried", "refused", "read", "wrong", "traceback", "hang", "slowest", "peak")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    with tempfile.TemporaryDirectory() as passing:
        for row in fuzz(args.kind or list(KINDS), args.count, args.seed, args.keep or Path(passing)):
            cells = (row.get(column, row.get("died", 0)) for column in columns)
            print(
                "| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells) + " |",
                flush=True,
            )
            print(*row["shown"], sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
