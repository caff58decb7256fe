"""Two writings of one word: several apostrophes or hyphens, compatible forms, joiners, optional marks, stray marks."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    format_names,
    make_finding,
)
from asrattn.text import characters
from asrattn.text.tokenizer import describe_characters, quote

TWO_SPELLINGS = FindingKind(
    "two spellings",
    Severity.SUSPICIOUS,
    "write words with the same characters everywhere: a tokenizer sees different words",
)
SPELLING_VARIANTS = FindingKind(
    "spelling variants", Severity.NOTE, "the same word, or two? write the same one in one way"
)
STRAY_MARK = FindingKind(
    "stray mark",
    Severity.SUSPICIOUS,
    "a mark without its letter; after i it is the dot of İ: prepare again with --lower --language tr",
)

# Characters that are typed for one another within words.
_TYPED_ALIKE = {
    "apostrophes": characters.APOSTROPHES,
    "hyphens": characters.HYPHENS,
    "middle dots": characters.MIDDLE_DOTS,
    "gershayim": characters.QUOTES_FOR_GERSHAYIM,
    "yeh": "يی",
    "kaf": "كک",
    "s with comma or cedilla": "șş",
    "t with comma or cedilla": "țţ",
}
_ALIKE = {c: group[0] for group in _TYPED_ALIKE.values() for c in group}
_OKINA = "ʻ"  # of Hawaiian and Uzbek, beside which apostrophes may be right
# Written or left out, as one likes: ё, vowel marks of Arabic and Hebrew, stress of Cyrillic, hyphens, ligatures.
_OPTIONAL = {
    "ё": "е",
    "œ": "oe",
    "æ": "ae",
    "ß": "ss",
    "أ": "ا",
    "إ": "ا",
    "آ": "ا",
    "ٱ": "ا",
    "ى": "ي",
    "ة": "ه",
    "-": "",
}
_OPTIONAL_MARKS = re.compile(
    "[\u064b-\u0652\u0670\u0591-\u05bd\u05bf-\u05c2\u05c4\u05c5\u05c7]|(?<=[а-яё])\u0301"
)
_VIETNAMESE_TONE = re.compile("([ou])([\u0300\u0301\u0303\u0309\u0323])([aey])")  # hòa and hoà
_MAX_EXAMPLES = 3
_JOINERS = "\u200c\u200d"


class _Usage(NamedTuple):
    """In how many texts a word is written so, and the first of them."""

    texts: int
    first: CheckedUtterance


def check_spellings(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    """Stray marks of each text; then words that the texts write in two ways, all texts of a kind in one finding."""
    for case in cases:
        if has_stray_mark(case.utterance.text):
            yield make_finding(STRAY_MARK, case, quote(case.utterance.text))
    words = _used_words(cases)
    yield from _typed_alike(words)
    yield from _same_key(words, look_alike_key, _unify_typed_alike, TWO_SPELLINGS)
    yield from _same_key(words, variant_key, look_alike_key, SPELLING_VARIANTS)


def has_stray_mark(text: str) -> bool:
    """A mark that follows no letter or digit, or the dot that default lower case leaves on the i of İ."""
    before = ""
    for character, after in zip(text, [*text[1:], ""], strict=False):
        if unicodedata.category(character)[0] == "M":
            if not before or (unicodedata.category(before)[0] not in "LMN" and before not in _JOINERS):
                return True
            is_dot = character == characters.COMBINING_DOT_ABOVE and before == "i"
            if is_dot and (not after or unicodedata.category(after)[0] != "M"):
                return True
        before = character
    return False


def look_alike_key(word: str) -> str:
    """Equal for words that only differ in characters that look alike or are not seen."""
    shown = unicodedata.normalize("NFKC", word.replace("´", "'"))
    kept = (c for c in shown if unicodedata.category(c) != "Cf" and c != characters.ARABIC_TATWEEL)
    text = "".join(_ALIKE.get(c, str(unicodedata.decimal(c, c))) for c in kept)
    text = text.replace(_OKINA, characters.APOSTROPHES[0])
    return characters.drop_dot_of_i(characters.compose(text))


def variant_key(word: str) -> str:
    """Equal for words that differ in what may be left out, such as hyphens and vowel marks, too."""
    parted = _VIETNAMESE_TONE.sub(r"\1\3\2", unicodedata.normalize("NFD", look_alike_key(word)))
    text = _OPTIONAL_MARKS.sub("", characters.compose(parted))
    return "".join(_OPTIONAL.get(c, c) for c in text)


def _unify_typed_alike(word: str) -> str:
    """The word with one of the characters that are typed for one another: these have a finding of their own."""
    return "".join(_ALIKE.get(c, c) for c in word)


def _used_words(cases: Iterable[CheckedUtterance]) -> dict[str, _Usage]:
    """Words in lower case, composed, without the punctuation around them."""
    found: dict[str, _Usage] = {}
    for case in cases:
        text = characters.compose(case.utterance.text).replace("İ", "i")
        lowered = "".join(c.lower() for c in text)
        for word in dict.fromkeys(_trimmed(word) for word in lowered.split()):
            if word:
                known = found.get(word, _Usage(0, case))
                found[word] = _Usage(known.texts + 1, known.first)
    return found


def _trimmed(word: str) -> str:
    first, last = 0, len(word)
    while first < last and not word[first].isalnum() and unicodedata.category(word[first])[0] in "PS":
        first += 1
    while last > first and unicodedata.category(word[last - 1])[0] in "PS":
        last -= 1
    return word[first:last]


def _typed_alike(words: dict[str, _Usage]) -> Iterator[Finding]:
    for name, group in _TYPED_ALIKE.items():
        texts: Counter[str] = Counter()
        examples: dict[str, list[str]] = defaultdict(list)
        for word, usage in words.items():
            for character in set(word) & set(group):
                texts[character] += usage.texts
                examples[character].append(word)
        if len(texts) > 1:
            *_, rarest = texts.most_common()
            told = [
                f"{describe_characters(c)} {n} times ({format_names(examples[c], _MAX_EXAMPLES)})"
                for c, n in texts.most_common()
            ]
            yield Finding(
                TWO_SPELLINGS, words[examples[rarest[0]][0]].first.name, f"{name}: {', '.join(told)}"
            )


def _same_key(
    words: dict[str, _Usage], key: Callable[[str], str], finer: Callable[[str], str], kind: FindingKind
) -> Iterator[Finding]:
    """Words of one key and several finer ones, those that differ in the same characters together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in words:
        groups[key(word)].append(word)
    differing: dict[str, list[list[str]]] = defaultdict(list)
    for group in groups.values():
        if len({finer(word) for word in group}) > 1:
            first, *others = (set(word) for word in group)
            odd = "".join(sorted(first.union(*others) - first.intersection(*others)))
            differing[odd].append(sorted(group, key=lambda word: -words[word].texts))
    for odd, found in differing.items():
        told = [" and ".join(f"{word!r} ({words[word].texts} times)" for word in group) for group in found]
        where = words[found[0][-1]].first.name
        in_what = f"{describe_characters(odd)}: " if odd else ""
        yield Finding(kind, where, f"{in_what}{format_names(told, _MAX_EXAMPLES)}")
