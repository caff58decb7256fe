"""ARPA files, compatible with KenLM and SRILM in both directions.

Text, gzipped where the name ends in .gz; log10 throughout. A line before the data, `# asrattn units=char`, says what a
word of the model is; other programs pass over it.
"""

import contextlib
import gzip
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from asrattn import files
from asrattn.errors import LMError
from asrattn.lm.files import MAX_LINE_BYTES, open_maybe_gzip, read_lines
from asrattn.lm.ngram import ARPA_LOG_ZERO, SPECIAL_WORDS, UNKNOWN, Floats, Ints, NGram, find, find_suffixes
from asrattn.lm.units import UNITS

_LN10 = float(np.log(10))
_UNITS = "# asrattn units="
_ABSENT = -100 * _LN10  # of <unk> in a model that has none, as in KenLM
_MISSING = "name an ARPA file; asrattn lm train makes one"
_AGAIN = "copy the file again, or make it again"
MAX_SHOWN = 80  # characters of a word in a message
_MAX_DIGITS = 12  # of a number of n-grams
_BINARIES = {b"mmap lm http://kheafield.com/code": "KenLM", b"SRILM_BINARY_NGRAM": "SRILM", b"blmt": "IRSTLM"}
_FOREIGN = "is no ARPA file, it has no line \\data\\; make one with asrattn lm train"


def write(path: Path, model: NGram) -> None:
    """Write a model whole or not at all. Raises LMError where the disk refuses."""
    try:
        with files.atomic_write(path) as draft, draft.open("wb") as raw, contextlib.ExitStack() as stack:
            out: IO[bytes] | gzip.GzipFile = raw
            if path.suffix == ".gz":  # without name and time: the same model makes the same bytes
                out = stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
            text = io.TextIOWrapper(out, encoding="utf-8", newline="\n")
            text.writelines(_lines(model))
            text.flush()
            text.detach()
    except OSError as error:
        raise LMError(f"{path}: cannot be written ({error.strerror})") from error


def _lines(model: NGram) -> Iterator[str]:
    if model.units:
        yield f"{_UNITS}{model.units}\n\n"
    yield "\\data\\\n"
    yield from (f"ngram {length}={size}\n" for length, size in enumerate(model.sizes, 1))
    log10, backoff = model.log_prob / _LN10, model.backoff / _LN10
    for length in range(1, model.order + 1):
        yield f"\n\\{length}-grams:\n"
        part = model.level(length)
        rows = zip(log10[part].tolist(), _texts(model, length), backoff[part].tolist(), strict=True)
        for p, text, b in rows:
            yield f"{p:.8g}\t{text}\t{b:.8g}\n" if b else f"{p:.8g}\t{text}\n"
    yield "\n\\end\\\n"


def _texts(model: NGram, length: int) -> Iterator[str]:
    """The n-grams of a length, their words apart by spaces."""
    if length == 0:
        yield ""
        return
    part = model.level(length)
    shorter = model.level(length - 1)
    followers = np.bincount(model.parent[part] - shorter.start, minlength=shorter.stop - shorter.start)
    last = iter(model.word[part].tolist())
    words, join = model.words, " " if length > 1 else ""
    for history, n in zip(_texts(model, length - 1), followers.tolist(), strict=True):
        for _ in range(n):
            yield f"{history}{join}{words[next(last)]}"


def read(path: Path, units: str = "") -> NGram:
    """The model of a file. units: what its words are, if the file does not name them.

    Raises LMError for a file that cannot be read or is no ARPA file, naming the line.
    """
    with open_maybe_gzip(path, LMError, _MISSING) as lines:
        return _Reader(path, lines).model(units)


def check(path: Path) -> None:
    """Raises LMError, as `read` does, for a file that cannot be opened or has no header; no more of it is read."""
    with open_maybe_gzip(path, LMError, _MISSING) as lines:
        _Reader(path, lines)._header()


class _Reader:
    """A file's lines and how far they are read."""

    def __init__(self, path: Path, lines: "IO[bytes] | gzip.GzipFile") -> None:
        self.path, self.file, self.number = path, lines, 0
        self.lines = read_lines(path, lines, LMError)
        self.words = {sign.encode(): i for i, sign in enumerate(SPECIAL_WORDS)}
        self.ahead: bytes | None = None  # a line that was read too early

    def model(self, units: str) -> NGram:
        header_units, sizes = self._header()
        starts = [0, 1]
        keys, log_probs, backoffs = [np.array([-1])], [np.zeros(1)], [np.zeros(1)]
        for length, size in enumerate(sizes, 1):
            line = self._next()
            if line != b"\\%d-grams:" % length:
                if size:
                    raise self._error(f"is not the header \\{length}-grams:; {_AGAIN}")
                self.ahead = line  # a section without n-grams need not be there
            if not any(sizes[length - 1 :]) and length > 1:
                continue  # the order is that of the longest n-gram
            section = self._single(size) if length == 1 else self._longer(length, size, np.concatenate(keys))
            for column, values in zip((keys, log_probs, backoffs), section, strict=True):
                column.append(values)
            starts.append(starts[-1] + len(section[0]))
        if self._next() != b"\\end\\":
            raise self._error(
                f"should be \\end\\; the header says that there are {sizes[-1]} n-grams before it"
            )
        if len(self.file.read(MAX_LINE_BYTES)) == MAX_LINE_BYTES:  # to its end, where gzip has a checksum
            raise LMError(f"{self.path}: goes on for long after \\end\\; {_AGAIN}")
        try:
            words = tuple(word.decode() for word in self.words)
        except UnicodeDecodeError:
            raise LMError(f"{self.path}: holds words that are not UTF-8; convert the file") from None
        key = np.concatenate(keys)
        return NGram(
            words,
            units or header_units,
            key,
            tuple(starts),
            find_suffixes(key, starts, len(words)),
            np.concatenate(log_probs),
            np.concatenate(backoffs),
        )

    def _header(self) -> tuple[str, list[int]]:
        """What the words are, and how many n-grams there are of each length."""
        units = ""
        while (line := self._next(_FOREIGN)) != b"\\data\\":
            for start, program in _BINARIES.items():
                if line.startswith(start):
                    raise LMError(
                        f"{self.path}: is a {program} binary; give the ARPA file that it was made of"
                    )
            if line.startswith(_UNITS.encode()):
                units = line[len(_UNITS) :].decode(errors="replace")
                if units not in UNITS:
                    raise self._error(f"units {units!r} are unknown; known are {', '.join(UNITS)}")
            if self.number > 1000:
                raise LMError(f"{self.path}: {_FOREIGN}")
        sizes: list[int] = []
        while (line := self._next()).startswith(b"ngram "):
            length, _, size = line[len(b"ngram ") :].replace(b" ", b"").partition(b"=")
            if length != b"%d" % (len(sizes) + 1) or not (size.isdigit() and len(size) <= _MAX_DIGITS):
                raise self._error(f"should be ngram {len(sizes) + 1}=COUNT; {_AGAIN}")
            sizes.append(int(size))
        self.ahead = line
        if not sizes:
            raise self._error("should say how many n-grams there are, ngram 1=COUNT")
        return units, sizes

    def _next(self, ended: str = f"ends before \\end\\; {_AGAIN}") -> bytes:
        """The next line that is not empty."""
        if self.ahead is not None:
            line, self.ahead = self.ahead, None
            return line
        for line in self.lines:
            self.number += 1
            if line := line.strip():
                return line
        raise LMError(f"{self.path}: {ended}")

    def _rows(self, length: int, size: int) -> Iterator[tuple[float, list[bytes], float]]:
        for done in range(size):
            line = next(self.lines, b"")
            self.number += 1
            fields = line.split()
            if not length < len(fields) <= length + 2:
                if not fields or line.startswith(b"\\"):
                    raise self._error(
                        f"should be one of {size} {length}-grams, of which {done} are here; {_AGAIN}"
                    )
                raise self._error(
                    f"is no {length}-gram: a number, {length} words and at most one more number"
                )
            try:
                p, b = float(fields[0]), float(fields[length + 1]) if len(fields) == length + 2 else 0.0
            except ValueError:
                raise self._error("does not begin or end with a number") from None
            if not (-np.inf < p <= 0 and -np.inf < b < np.inf):
                raise self._error(f"has a log-probability of {p:g} and a back-off of {b:g}; {_AGAIN}")
            yield p, fields[1 : length + 1], b

    def _single(self, size: int) -> tuple[Ints, Floats, Floats]:
        found: dict[int, tuple[float, float]] = {}
        for p, (word,), b in self._rows(1, size):
            word = b"<unk>" if word == b"<UNK>" else word
            number = self.words.setdefault(word, len(self.words))
            if number in found:
                raise self._error(f"{_show(word)} has been there before")
            found[number] = p * _LN10, b * _LN10
        for sign in range(len(SPECIAL_WORDS)):
            found.setdefault(sign, (_ABSENT if sign == UNKNOWN else ARPA_LOG_ZERO, 0.0))
        values = np.array([found[i] for i in range(len(found))])
        return np.arange(len(found)), values[:, 0], values[:, 1]

    def _longer(self, length: int, size: int, keys: Ints) -> tuple[Ints, Floats, Floats]:
        first = self.number + 1
        ids, log10, backoff = array("i"), array("d"), array("d")
        for p, words, b in self._rows(length, size):
            log10.append(p)
            backoff.append(b)
            try:
                ids.extend(map(self.words.__getitem__, words))
            except KeyError as error:
                raise self._error(f"{_show(error.args[0])} is no 1-gram of this file") from None
        rows = np.array(ids, np.int64).reshape(size, length)
        V = len(self.words)
        parents = rows[:, 0] + 1
        for column in rows.T[1:-1]:
            parents = find(keys, parents * V + column)
        if len(orphans := np.flatnonzero(parents == 0)):
            self.number = first + int(orphans[0])
            raise self._error(f"its first {length - 1} words are no {length - 1}-gram of this file")
        wanted = parents * V + rows[:, -1]
        by = wanted.argsort(kind="stable")
        wanted = wanted[by]
        if len(twins := np.flatnonzero(wanted[1:] == wanted[:-1])):
            self.number = first + int(by[twins[0] + 1])
            raise self._error("this n-gram has been there before")
        return wanted, np.array(log10)[by] * _LN10, np.array(backoff)[by] * _LN10

    def _error(self, message: str) -> LMError:
        return LMError(f"{self.path}:{self.number}: {message}")


def _show(word: bytes) -> str:
    """A word for a message of one line."""
    text = word.decode(errors="replace")[:MAX_SHOWN]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
