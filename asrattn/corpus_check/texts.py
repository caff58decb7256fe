"""Transcript checks: character by character, and against the other transcripts."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    format_names,
    make_finding,
    partition_train,
)
from asrattn.corpus_check.spellings import check_spellings
from asrattn.text import UNKNOWN, Tokenizer, clean
from asrattn.text.tokenizer import describe_characters, quote

EMPTY_TEXT = FindingKind("empty text", Severity.BREAKS, "transcribe it, or drop the utterance")
CONTROL_CHARACTERS = FindingKind(
    "control characters", Severity.BREAKS, "remove them; no tokenizer learns from such texts"
)
INVISIBLE_CHARACTERS = FindingKind(
    "invisible characters", Severity.SUSPICIOUS, "remove them: they are not spoken"
)
MOJIBAKE = FindingKind(
    "wrong encoding", Severity.SUSPICIOUS, "read the texts as UTF-8 and prepare them again"
)
MARKUP = FindingKind("markup", Severity.SUSPICIOUS, "take tags, entities and notes out of the texts")
MIXED_SCRIPTS = FindingKind(
    "mixed scripts", Severity.SUSPICIOUS, "letters that look alike: write the word in one script"
)
FOREIGN_SCRIPT = FindingKind(
    "foreign script", Severity.SUSPICIOUS, "is it spoken like that? else transcribe, or drop it"
)
UNLIKE_OTHERS = FindingKind(
    "unlike the others", Severity.SUSPICIOUS, "write all texts in one way, as the words are spoken"
)
REPEATED_TEXT = FindingKind(
    "repeated text", Severity.SUSPICIOUS, "a placeholder, or a shifted table? listen to some"
)
UNICODE_FORM = FindingKind(
    "Unicode form", Severity.NOTE, "tokenizers compose (NFC) by themselves; other programs may not"
)
RARE_CHARACTERS = FindingKind(
    "rare characters", Severity.NOTE, "too few to learn from: respell them, or leave them out"
)
UNSEEN_CHARACTERS = FindingKind(
    "unseen characters", Severity.SUSPICIOUS, "the model can never write them: respell, or add data"
)

MINORITY_FRACTION = 0.02  # of the texts: what fewer have is unlike the others
MIN_TEXTS = 50  # texts, for the usual kinds of characters
MAX_RARE_UTTERANCES = 2  # utterances with a character from which nothing is learnt
MAX_REPEATED_FRACTION = (
    0.1  # of a split: no text is so frequent; in AN4, where all spell the same name, one has 0.05
)
MIN_REPEATED_RATIO = 5.0  # times as frequent as the others are on average: ten digits are a tenth each
_SHOWN = 20  # characters

# Zero-width joiners belong to the spelling of Persian and many Indian languages.
_JOINERS = "\u200c\u200d"
_LOST_JOINERS = re.compile("(?:^|(?<=[\\sA-Za-z\u00c0-\u04ff]))[\u200c\u200d]")
_MARKUP = re.compile(r"<[^<>]*>|&#?\w+;|\[[^][]*\]|\{[^{}]*\}|https?://|www\.|\\[nrt]|\\u[0-9a-fA-F]{4}")
_EAST = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"}

CharacterClass = Callable[[str], bool]  # of a character
CHARACTER_CLASSES: dict[str, CharacterClass] = {
    "small letters": str.islower,
    "capitals": str.isupper,
    "digits": str.isnumeric,
    "punctuation": lambda c: unicodedata.category(c)[0] == "P" and c not in "'’-",
    "symbols": lambda c: unicodedata.category(c) in ("Sm", "Sc", "So"),
}


def check_texts(cases: Sequence[CheckedUtterance], tokenizer: Tokenizer | None = None) -> Iterator[Finding]:
    """Findings on each text by itself, then on those unlike the others, then on characters.

    tokenizer: of a pre-trained decoder, which has learned its characters already.
    """
    for case in cases:
        yield from _check_text(case)
    written = [case for case in cases if case.utterance.text.strip()]
    yield from _unlike(written)
    yield from _repeated(written)
    yield from check_spellings(written)
    yield from _characters(written, tokenizer)


def _check_text(case: CheckedUtterance) -> Iterator[Finding]:
    text = case.utterance.text
    if not text.strip():
        yield make_finding(EMPTY_TEXT, case, "there is no text")
        return
    groups = {c: unicodedata.category(c) for c in set(text) if not c.isspace()}
    if odd := {c for c, group in groups.items() if group in ("Cc", "Cs")}:
        yield make_finding(CONTROL_CHARACTERS, case, f"{describe_characters(odd)} in {quote(text)}")
    if odd := {c for c, group in groups.items() if _invisible(c, group)} | set(_LOST_JOINERS.findall(text)):
        yield make_finding(INVISIBLE_CHARACTERS, case, f"{describe_characters(odd)} in {quote(text)}")
    if _misread(text):
        yield make_finding(MOJIBAKE, case, quote(text))
    if found := _MARKUP.search(text):
        yield make_finding(MARKUP, case, f"{found[0]!r} in {quote(text)}")
    if word := next((w for w in text.split() if _mixed(w)), ""):
        yield make_finding(MIXED_SCRIPTS, case, f"{' and '.join(sorted(_scripts(word))).lower()} in {word!r}")
    if not unicodedata.is_normalized("NFC", text):
        yield Finding(UNICODE_FORM, case.name, f"not composed: {quote(text)}")


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


def _unlike(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    if len(cases) < MIN_TEXTS:
        return
    characters = {case: set(case.utterance.text) for case in cases}
    for trait, has in CHARACTER_CLASSES.items():
        known = {c: has(c) for c in set().union(*characters.values())}
        own = [case for case, found in characters.items() if any(known[c] for c in found)]
        yield from _minority(UNLIKE_OTHERS, trait, own, len(cases))
    scripts: dict[str, list[CheckedUtterance]] = defaultdict(list)
    for case in cases:
        for script in _scripts(case.utterance.text):
            scripts[script].append(case)
    for script, own in scripts.items():
        yield from _minority(FOREIGN_SCRIPT, script.lower(), own, len(cases))


def _minority(kind: FindingKind, what: str, own: Sequence[CheckedUtterance], count: int) -> Iterator[Finding]:
    if len(own) < MINORITY_FRACTION * count:
        share = f"{what}, as {len(own)} of {count} texts"
        yield from (make_finding(kind, case, f"{share}: {quote(case.utterance.text)}") for case in own)


def _repeated(cases: Sequence[CheckedUtterance]) -> Iterator[Finding]:
    splits: dict[str, dict[str, list[CheckedUtterance]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        splits[case.split][clean(case.utterance.text)].append(case)
    for split, texts in splits.items():
        count = sum(map(len, texts.values()))
        for text, own in texts.items():
            others = (count - len(own)) / max(1, len(texts) - 1)
            frequent = len(own) > max(MAX_REPEATED_FRACTION * count, MIN_REPEATED_RATIO * others)
            if count >= MIN_TEXTS and frequent:
                yield Finding(
                    REPEATED_TEXT, split, f"{quote(text)} is the text of {len(own)} of {count} utterances"
                )


def _characters(cases: Sequence[CheckedUtterance], tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Those that training hardly sees, and those that it never sees; none that the tokenizer knows."""
    train, others = partition_train(cases)
    every = set().union(*(clean(case.utterance.text) for case in cases))
    known = {c for c in every if tokenizer and UNKNOWN not in tokenizer.encode_lossy(c)}
    used: Counter[str] = Counter()
    holders: dict[str, str] = {}
    for case in train:
        found = set(clean(case.utterance.text))
        used.update(found)
        holders.update(dict.fromkeys(found, case.name))
    if rare := sorted(c for c, n in used.items() if n <= MAX_RARE_UTTERANCES and c not in known):
        named = [f"{describe_characters(c)}: {used[c]}, {holders[c]}" for c in rare]
        yield Finding(
            RARE_CHARACTERS,
            "train",
            f"in at most {MAX_RARE_UTTERANCES} utterances: {format_names(named, _SHOWN)}",
        )
    unseen: dict[str, dict[str, CheckedUtterance]] = defaultdict(dict)
    for case in others if train else []:
        for c in set(clean(case.utterance.text)) - used.keys() - known:
            unseen[case.split].setdefault(c, case)
    for split, firsts in unseen.items():
        named = [f"{describe_characters(c)} in {case.name}" for c, case in sorted(firsts.items())]
        yield Finding(UNSEEN_CHARACTERS, split, f"nowhere in train: {format_names(named, _SHOWN)}")
