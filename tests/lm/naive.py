"""The formulas of the papers, over dictionaries and one n-gram at a time."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from asrattn.lm import NGram

Gram = tuple[str, ...]


def occurrences(sentences: Sequence[Sequence[str]], order: int) -> dict[int, Counter[Gram]]:
    """How often each n-gram of each length occurs in <s> … </s>."""
    found: dict[int, Counter[Gram]] = {n: Counter() for n in range(1, order + 1)}
    for sentence in sentences:
        row = ("<s>", *sentence, "</s>")
        for n in found:
            found[n].update(row[i : i + n] for i in range(len(row) - n + 1))
    return found


def vocabulary(sentences: Sequence[Sequence[str]]) -> list[str]:
    """What can be foretold."""
    return sorted({word for sentence in sentences for word in sentence} | {"<unk>", "</s>"})


class Interpolated:
    """Kneser-Ney (modified) or Witten-Bell; limits: n-grams that occur no more often are left out."""

    def __init__(
        self, sentences: Sequence[Sequence[str]], order: int, kind: str, limits: Sequence[int] = (0,) * 9
    ):
        self.raw = occurrences(sentences, order)
        self.words = vocabulary(sentences)
        self.order, self.kind, self.limits = order, kind, limits
        self.counts = {n: self._adjusted(n) for n in self.raw}
        self.discounts = {n: self._discounts(n) for n in self.raw}

    def _adjusted(self, n: int) -> dict[Gram, int]:
        raw = {gram: c for gram, c in self.raw[n].items() if gram != ("<s>",)}
        if self.kind != "kneser-ney" or n == self.order:
            return raw
        before = defaultdict(set)
        for gram in self.raw[n + 1]:
            before[gram[1:]].add(gram[0])
        return {gram: len(before[gram]) if gram[0] != "<s>" else c for gram, c in raw.items()}

    def _discounts(self, n: int) -> tuple[float, float, float]:
        of = Counter(self.counts[n].values())
        n1, n2, n3, n4 = (of[c] for c in (1, 2, 3, 4))
        if not (n1 and n2 and n3):
            return 0.5, 1.0, 1.5
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return found if all(0 < d <= c for c, d in enumerate(found, 1)) else (0.5, 1.0, 1.5)

    def prob(self, word: str, history: Gram) -> float:
        """history may be of any length."""
        history = history[max(0, len(history) - self.order + 1) :]
        n = len(history) + 1
        lower = self.prob(word, history[1:]) if history else 1 / len(self.words)
        counts = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == history}
        if not counts:
            return lower
        total = sum(counts.values()) + (len(counts) if self.kind == "witten-bell" else 0)
        shares = {w: self._less(c, n) / total for w, c in counts.items() if self._stays((*history, w))}
        return shares.get(word, 0.0) + (1 - sum(shares.values())) * lower

    def _less(self, c: int, n: int) -> float:
        return c - self.discounts[n][min(c, 3) - 1] if self.kind == "kneser-ney" else c

    def _stays(self, gram: Gram) -> bool:
        return len(gram) == 1 or self.raw[len(gram)][gram] > self.limits[len(gram) - 1]


def prob(model: NGram, word: str, history: Gram) -> float:
    """p(word | history) of a model, by the definition of back-off, an n-gram at a time."""
    import math

    grams = table(model)

    def log_prob(history: Gram) -> float:
        if (*history, word) in grams:
            return grams[(*history, word)][0]
        return (grams[history][1] if history in grams else 0.0) + log_prob(history[1:])

    return math.exp(log_prob(history[max(0, len(history) - model.order + 1) :]))


def table(model: NGram) -> dict[Gram, tuple[float, float]]:
    """Every n-gram: log-probability and back-off."""
    grams: list[Gram] = [()]
    for parent, word in zip(model.parent[1:].tolist(), model.word[1:].tolist(), strict=True):
        grams.append((*grams[parent], model.words[word]))
    values = zip(model.log_prob.tolist(), model.backoff.tolist(), strict=True)
    return dict(zip(grams, values, strict=True))


def histories(model: NGram) -> list[Gram]:
    """All n-grams that something may follow, and some that nobody has seen."""
    found = [gram for gram in table(model) if len(gram) < model.order and gram[-1:] != ("</s>",)]
    return [*found, ("<unk>",), ("<unk>", "<unk>"), ("<s>", "<unk>")]
