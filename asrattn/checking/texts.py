"""Are the texts well? Character by character, and against what the other texts look like."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from asrattn.checking.finding import Case, Finding, Kind, Severity, of, parted, some
from asrattn.text import clean
from asrattn.text.tokens import name, quote

EMPTY = Kind("empty text", Severity.BREAKS, "write what is said, or leave the utterance out")
CONTROL = Kind("control characters", Severity.BREAKS, "remove them; no tokenizer learns from such texts")
INVISIBLE = Kind("invisible characters", Severity.SUSPICIOUS, "remove them: nobody says them")
MOJIBAKE = Kind("wrong encoding", Severity.SUSPICIOUS, "read the texts as UTF-8 and prepare them again")
MARKUP = Kind("markup", Severity.SUSPICIOUS, "take tags, entities and notes out of the texts")
MIXED = Kind("mixed scripts", Severity.SUSPICIOUS, "letters that look alike: write the word in one script")
FOREIGN = Kind("foreign script", Severity.SUSPICIOUS, "is it said like that? else transcribe, or leave out")
UNLIKE = Kind("unlike the others", Severity.SUSPICIOUS, "write all texts in one way, as words are said")
REPEATED = Kind("repeated text", Severity.SUSPICIOUS, "a placeholder, or a shifted table? listen to some")
FORM = Kind("Unicode form", Severity.NOTE, "tokenizers compose (NFC) by themselves; other programs may not")
RARE = Kind("rare characters", Severity.NOTE, "too few to learn from: respell them, or leave them out")
UNSEEN = Kind(
    "unseen characters", Severity.SUSPICIOUS, "the model can never write them: respell, or add data"
)

MINORITY = 0.02  # of the texts: what fewer have is unlike the others
ENOUGH = 50  # texts, to say what is usual
FEW = 2  # utterances with a character from which nothing is learnt
COMMON = 0.1  # of a split: no text is so frequent; in AN4, where all spell the same name, one has 0.05
_SHOWN = 20  # characters

# Zero-width joiners belong to the spelling of Persian and many Indian languages.
_JOINERS = "\u200c\u200d"
_MARKUP = re.compile(r"<[^<>]*>|&#?\w+;|\[[^][]*\]|\{[^{}]*\}|https?://|www\.|\\[nrt]|\\u[0-9a-fA-F]{4}")
_EAST = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"}

Trait = Callable[[str], bool]  # of a character
TRAITS: dict[str, Trait] = {
    "small letters": str.islower,
    "capitals": str.isupper,
    "digits": str.isnumeric,
    "punctuation": lambda c: unicodedata.category(c)[0] == "P" and c not in "'’-",
    "symbols": lambda c: unicodedata.category(c) in ("Sm", "Sc", "So"),
}


def examine(cases: Sequence[Case]) -> Iterator[Finding]:
    """Findings on each text by itself, then on those unlike the others, then on characters."""
    for case in cases:
        yield from _one(case)
    written = [case for case in cases if case.utterance.text.strip()]
    yield from _unlike(written)
    yield from _repeated(written)
    yield from _characters(written)


def _one(case: Case) -> Iterator[Finding]:
    text = case.utterance.text
    if not text.strip():
        yield of(EMPTY, case, "there is no text")
        return
    groups = {c: unicodedata.category(c) for c in set(text) if not c.isspace()}
    if odd := {c for c, group in groups.items() if group in ("Cc", "Cs")}:
        yield of(CONTROL, case, f"{name(odd)} in {quote(text)}")
    if odd := {c for c, group in groups.items() if _invisible(c, group)}:
        yield of(INVISIBLE, case, f"{name(odd)} in {quote(text)}")
    if _misread(text):
        yield of(MOJIBAKE, case, quote(text))
    if found := _MARKUP.search(text):
        yield of(MARKUP, case, f"{found[0]!r} in {quote(text)}")
    if word := next((w for w in text.split() if _mixed(w)), ""):
        yield of(MIXED, case, f"{' and '.join(sorted(_scripts(word))).lower()} in {word!r}")
    if not unicodedata.is_normalized("NFC", text):
        yield Finding(FORM, case.name, f"not composed: {quote(text)}")


def _invisible(character: str, group: str) -> bool:
    return (group in ("Cf", "Co", "Cn") and character not in _JOINERS) or character == "\ufffd"


def _misread(text: str) -> bool:
    """UTF-8 that was read as Windows' western table: é has become Ã©."""
    for table in () if text.isascii() else ("cp1252", "latin-1"):
        try:
            return text.encode(table).decode("utf-8") != text
        except UnicodeError:
            continue
    return False


@cache
def _script(character: str) -> str:
    """The script of a letter, the east-asian ones being one; "" for what belongs to none."""
    if unicodedata.category(character) not in ("Ll", "Lu", "Lt", "Lo"):
        return ""
    script = unicodedata.name(character, "").partition(" ")[0]
    return "east-asian" if script in _EAST else script


def _scripts(text: str) -> set[str]:
    return {_script(c) for c in set(text)} - {""}


def _mixed(word: str) -> bool:
    """Scripts of which none is written without spaces."""
    scripts = set() if word.isascii() else _scripts(word)
    return len(scripts) > 1 and "east-asian" not in scripts


def _unlike(cases: Sequence[Case]) -> Iterator[Finding]:
    if len(cases) < ENOUGH:
        return
    characters = {case: set(case.utterance.text) for case in cases}
    for trait, has in TRAITS.items():
        known = {c: has(c) for c in set().union(*characters.values())}
        own = [case for case, found in characters.items() if any(known[c] for c in found)]
        yield from _minority(UNLIKE, trait, own, len(cases))
    scripts: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        for script in _scripts(case.utterance.text):
            scripts[script].append(case)
    for script, own in scripts.items():
        yield from _minority(FOREIGN, script.lower(), own, len(cases))


def _minority(kind: Kind, what: str, own: Sequence[Case], count: int) -> Iterator[Finding]:
    if len(own) < MINORITY * count:
        share = f"{what}, as {len(own)} of {count} texts"
        yield from (of(kind, case, f"{share}: {quote(case.utterance.text)}") for case in own)


def _repeated(cases: Sequence[Case]) -> Iterator[Finding]:
    splits: dict[str, dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        splits[case.split][clean(case.utterance.text)].append(case)
    for split, texts in splits.items():
        count = sum(map(len, texts.values()))
        for text, own in texts.items():
            if count >= ENOUGH and len(own) > COMMON * count:
                yield Finding(
                    REPEATED, split, f"{quote(text)} is the text of {len(own)} of {count} utterances"
                )


def _characters(cases: Sequence[Case]) -> Iterator[Finding]:
    """Those that training hardly sees, and those that it never sees."""
    train, others = parted(cases)
    used: Counter[str] = Counter()
    holders: dict[str, str] = {}
    for case in train:
        found = set(clean(case.utterance.text))
        used.update(found)
        holders.update(dict.fromkeys(found, case.name))
    if rare := sorted(c for c, n in used.items() if n <= FEW):
        named = [f"{name(c)}: {used[c]}, {holders[c]}" for c in rare]
        yield Finding(RARE, "train", f"in at most {FEW} utterances: {some(named, _SHOWN)}")
    unseen: dict[str, dict[str, Case]] = defaultdict(dict)
    for case in others if train else []:
        for c in set(clean(case.utterance.text)) - used.keys():
            unseen[case.split].setdefault(c, case)
    for split, firsts in unseen.items():
        named = [f"{name(c)} in {case.name}" for c, case in sorted(firsts.items())]
        yield Finding(UNSEEN, split, f"nowhere in train: {some(named, _SHOWN)}")
