"""Fuzzing of tables, foreign manifests and Kaldi's lists: python -m benchmarks.fuzz_tables --help.

Lists of each kind are damaged at random and prepared. Damage may cost the rows that it touches or the whole list, with
a message of one line. It must not end in a traceback, nor change the text of a row that it does not touch.
"""

import argparse
import contextlib
import io
import json
import logging
import random
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrattn import audio
from asrattn.data import manifest
from data_prep.__main__ import main as data_prep

ROWS = 12
RATE = 8000
WORDS = ("say", "né", "two", "it's", "four", "五")
BYTES = b"\0\t\n\r,;|\"'\\{}[]:#\xe9\xc3\xff\xfe\x80a0 -"
"""What is inserted: what means something to readers of lists."""


class Corpus(NamedTuple):
    """A list to damage, below a folder of recordings, and how it is prepared: by data_prep's arguments."""

    file: str
    content: bytes
    arguments: tuple[str, ...]


class Outcome(NamedTuple):
    """What became of a damaged list. trace: of a failure, else ""; wrong: the rows whose text has changed."""

    refused: bool
    seconds: float
    trace: str
    wrong: tuple[str, ...]


def texts() -> dict[str, str]:
    """The transcript of each recording."""
    draw = random.Random(0)
    return {f"utt{n:03}": " ".join(draw.choices(WORDS, k=4)) for n in range(ROWS)}


def _delimited(delimiter: str, header: bool = True) -> bytes:
    rows = [delimiter.join((f"{id_}.wav", text, "s1")) for id_, text in texts().items()]
    return "\n".join([*([delimiter.join(("path", "text", "speaker"))] if header else []), *rows, ""]).encode()


def _json_lines(rows: Sequence[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _nemo() -> list[dict[str, object]]:
    return [{"audio_filepath": f"{id_}.wav", "duration": 0.1, "text": text} for id_, text in texts().items()]


def corpora() -> dict[str, Corpus]:
    """A corpus of each kind."""
    lists = {
        "csv": ("list.csv", _delimited(","), ("folder", "--table", "list.csv")),
        "semicolons": ("list.csv", _delimited(";"), ("folder", "--table", "list.csv")),
        "tsv": ("list.tsv", _delimited("\t"), ("folder", "--table", "list.tsv")),
        "LJSpeech": ("metadata.csv", _delimited("|", header=False), ("folder", "--table", "metadata.csv")),
        "UTF-16": (
            "list.tsv",
            _delimited("\t").decode().encode("utf-16"),
            ("folder", "--table", "list.tsv"),
        ),
        "Common Voice": ("train.tsv", _common_voice(), ("commonvoice",)),
        "NeMo": ("train.json", _json_lines(_nemo()), ("manifest",)),
        "JSON": ("train.json", json.dumps(_nemo(), indent=1).encode(), ("manifest",)),
        "wav.scp": ("wav.scp", _kaldi("{id}.wav"), ("kaldi",)),
        "pipes": ("wav.scp", _kaldi("sox {id}.wav -t wav - rate 16k |"), ("kaldi",)),
        "text": ("text", _kaldi("{text}"), ("kaldi",)),
        "segments": ("segments", _kaldi("{id} 0.0 0.1 0"), ("kaldi",)),
    }
    return {name: Corpus(*listed) for name, listed in lists.items()}


def _common_voice() -> bytes:
    rows = [f"c1\t{id_}.wav\t{text}\t\t" for id_, text in texts().items()]
    return "\n".join(["client_id\tpath\tsentence\tage\tgender", *rows, ""]).encode()


def _kaldi(value: str) -> bytes:
    lines = (f"{id_} {value.format(id=id_, text=text)}\n" for id_, text in texts().items())
    return "".join(lines).encode()


def write_recordings(folder: Path, corpus: Corpus) -> None:
    """The audio, and the lists of the corpus, undamaged."""
    for place in (folder, folder / "clips"):
        place.mkdir(parents=True, exist_ok=True)
        for id_ in texts():
            audio.write(place / f"{id_}.wav", np.full(RATE // 10, 0.1, np.float32), RATE)
    if corpus.arguments[0] == "kaldi":
        (folder / "wav.scp").write_bytes(_kaldi("{id}.wav"))
        (folder / "text").write_bytes(_kaldi("{text}"))
    (folder / corpus.file).write_bytes(corpus.content)


def damage(content: bytes, draw: random.Random) -> tuple[bytes, set[str]]:
    """Changed bytes in a few lines; and the ids of the rows that were touched, all of them if the first line was."""
    lines = content.split(b"\n")
    touched: set[str] = set()
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(lines))
        own = b"\n".join(lines[max(0, at - 2) : at + 3])  # an utterance of JSON has several lines
        touched |= (
            {id_ for id_ in texts() if id_.encode() in own} if at and b"\0" not in content else {*texts()}
        )
        lines[at] = _damage_line(lines[at], lines, draw)
    return b"\n".join(lines), touched


def _damage_line(line: bytes, lines: Sequence[bytes], draw: random.Random) -> bytes:
    at, to = sorted(draw.randint(0, len(line)) for _ in range(2))
    some = bytes(draw.choices(BYTES, k=draw.choice([1, 1, 2, 9])))
    match draw.choice(["insert", "insert", "delete", "replace", "repeat", "other", "bytes", "long"]):
        case "insert":
            return line[:at] + some + line[at:]
        case "delete":
            return line[:at] + line[to:]
        case "replace":
            return line[:at] + some + line[to:]
        case "repeat":
            return line + b"\n" + line
        case "other":
            return line[:at] + draw.choice(lines)[at:]
        case "long":
            return line[:at] + some * 20_000 + line[at:]
    return line[:at] + draw.randbytes(to - at) + line[to:]


def prepare(folder: Path, dest: Path, corpus: Corpus, touched: set[str]) -> Outcome:
    """Prepare the damaged list in the folder."""
    begin = time.perf_counter()
    command, *more = corpus.arguments
    none = ("--dev-share", "0", "--test-share", "0", "--quick", "--jobs", "1")
    out, err = io.StringIO(), io.StringIO()
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = data_prep([command, str(folder), str(dest), *more, *none])
        wrong = _wrong_rows(dest, touched) if status == 0 else ()
        trace = "" if status == 0 or err.getvalue().count("\n") == 1 else err.getvalue()
    except (Exception, SystemExit):  # noqa: BLE001 (what is looked for)
        return Outcome(False, time.perf_counter() - begin, traceback.format_exc(), ())
    finally:
        logging.disable(logging.NOTSET)
    return Outcome(status != 0, time.perf_counter() - begin, trace, wrong)


def _wrong_rows(dest: Path, touched: set[str]) -> tuple[str, ...]:
    known = texts()
    found = [u for path in dest.glob("*.jsonl") for u in manifest.read(path)]
    return tuple(
        f"{u.id}: {u.text!r}" for u in found if u.id in known.keys() - touched and u.text != known[u.id]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """A line for each kind of list; then the tracebacks."""
    parser = argparse.ArgumentParser(description="data_prep of damaged lists")
    parser.add_argument("--count", type=int, default=10_000, help="damaged lists of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    traces: Counter[str] = Counter()
    for name, corpus in corpora().items():
        draw = random.Random(f"{args.seed} {name}")
        with tempfile.TemporaryDirectory() as place:
            folder, dest = Path(place) / "recordings", Path(place) / "out"
            write_recordings(folder, corpus)
            outcomes = [_one(folder, dest, corpus, draw) for _ in range(args.count)]
        traces.update(o.trace for o in outcomes if o.trace)
        print(
            f"{name:14} tried {len(outcomes)}   refused {sum(o.refused for o in outcomes)}   "
            f"read wrong {sum(bool(o.wrong) for o in outcomes)}   tracebacks {sum(bool(o.trace) for o in outcomes)}   "
            f"slowest {max(o.seconds for o in outcomes):.2f} s",
            flush=True,
        )
        print("".join(f"   {row}\n" for row in [row for o in outcomes for row in o.wrong][:5]), end="")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    for trace, count in traces.most_common(5):
        print(f"{count} times:\n{trace}")


def _one(folder: Path, dest: Path, corpus: Corpus, draw: random.Random) -> Outcome:
    content, touched = damage(corpus.content, draw)
    (folder / corpus.file).write_bytes(content)
    return prepare(folder, dest, corpus, touched)


if __name__ == "__main__":
    main()
