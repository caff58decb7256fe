"""Spoken English numbers in digits, however they are read: a year and an amount of the same digits are equal."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_SMALL = (
    "zero,one,two,three,four,five,six,seven,eight,nine,ten,"
    "eleven,twelve,thirteen,fourteen,fifteen,sixteen,seventeen,eighteen,nineteen"
)
_ROUND = "twenty,thirty,forty,fifty,sixty,seventy,eighty,ninety"
_NTH = "first,second,third,fourth,fifth,sixth,seventh,eighth,ninth,tenth,eleventh,twelfth"
_BELOW_TWENTY = {word: n for n, word in enumerate(_SMALL.split(","))}
_ONES = {word: n for word, n in _BELOW_TWENTY.items() if n < 10}
_TENS = {word: 10 * n for n, word in enumerate(_ROUND.split(","), 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = (
    {word: n for n, word in enumerate(_NTH.split(","), 1)}
    | {f"{word}th": n for word, n in _BELOW_TWENTY.items() if n > 12}
    | {f"{word.removesuffix('y')}ieth": n for word, n in _TENS.items()}
)
FRACTIONS = {
    f"and {amount}{name}": digits
    for name, digits in (("half", "5"), ("quarter", "25"))
    for amount in ("a ", "one ", "1 ")
} | {f"and {amount} quarters": "75" for amount in ("three", "3")}
RULES = [_BELOW_TWENTY, _TENS, _SCALES, _ORDINALS, FRACTIONS]

_BEYOND = 10**30
_DIGITS = re.compile(r"[0-9]+")
_ROUND_ORDINALS = {f"{word}th" for word in ("hundred", *_SCALES)}
_NUMBER_WORDS = {*_BELOW_TWENTY, *_TENS, *_SCALES, "hundred", "and", "a"}
_FIRST_WORDS = _NUMBER_WORDS | _ORDINALS.keys() | _ROUND_ORDINALS | {"point"}
_LONGEST = 24  # words of a number
_LAST_CENTURY = 20  # in years spoken in two parts: twenty nineteen


class _Number(NamedTuple):
    """A number that begins at a word: its digits, and the number of its words."""

    text: str
    length: int


def words_to_digits(words: Sequence[str]) -> list[str]:
    """Lower-case words, with the words of each number replaced by its digits."""
    found, at = [], 0
    while at < len(words):
        number = _any_number(words[at:]) if words[at] in _FIRST_WORDS or words[at][0].isdigit() else None
        found.append(number.text if number else words[at])
        at += number.length if number else 1
    return found


def _any_number(words: Sequence[str]) -> _Number | None:
    return _round_ordinal(words) or _decimal(words) or _number(words) or _small_decimal(words)


def _round_ordinal(words: Sequence[str]) -> _Number | None:
    """A number that ends in "hundredth", "thousandth", …: "five hundredth"."""
    for end, word in enumerate(words[:_LONGEST], 1):
        if word in _ROUND_ORDINALS:
            cardinal = [*words[: end - 1], word.removesuffix("th")]
            number = _number(cardinal if end > 1 else ["one", *cardinal])
            whole = number is not None and number.length == max(end, 2) and _DIGITS.fullmatch(number.text)
            return _Number(f"{number.text}th", end) if number and whole else None
        if word not in _NUMBER_WORDS and not _DIGITS.fullmatch(word):
            return None
    return None


def _decimal(words: Sequence[str]) -> _Number | None:
    """A number with a fraction, in tenths and so on, times the scales that follow it: "two and a half million".

    A zero before the point is left out, as it is in "point five".
    """
    whole = _number(words)
    if whole is None and words and _DIGITS.fullmatch(words[0]):
        whole = _Number(words[0], 1)
    if whole is None or not _DIGITS.fullmatch(whole.text):
        return None
    digits, end = _fraction(words, whole.length)
    if not digits:
        return None
    _, last, scale = _scaled(words, end, 1)
    shift = len(str(scale)) - 1
    moved = digits.ljust(shift, "0")
    text = str(int(whole.text + moved[:shift])) if shift else whole.text
    rest = moved[shift:]
    if not rest:
        return _Number(text, last)
    return _Number(f"point {rest}" if text == "0" else f"{text} point {rest}", last)


def _small_decimal(words: Sequence[str]) -> _Number | None:
    """A number that begins with the point and zeros: "point zero one"; "at this point one" is none."""
    digits, end = _fraction(words, 0)
    return _Number(f"point {digits}", end) if digits.startswith("0") else None


def _fraction(words: Sequence[str], at: int) -> tuple[str, int]:
    """The digits behind the point, and where they end: "point one four", "and a half"; "" for none."""
    for phrase, digits in FRACTIONS.items():
        spoken = phrase.split()
        if list(words[at : at + len(spoken)]) == spoken:
            return digits, at + len(spoken)
    if not _follows(words, at, ("point",)):
        return "", at
    digits, end = "", at + 1
    while end < len(words) and (single := _single_digit(words[end])) is not None:
        digits, end = digits + single, end + 1
    if digits:
        return digits, end
    if end < len(words) and _DIGITS.fullmatch(words[end]):
        return words[end], end + 1
    number, last = _below_hundred(words, end)
    return (str(number), last) if last > end else ("", at)


def _single_digit(word: str) -> str | None:
    if word in _ONES:
        return str(_ONES[word])
    return word if len(word) == 1 and _DIGITS.fullmatch(word) else "0" if word in ("oh", "o") else None


def _number(words: Sequence[str]) -> _Number | None:
    """The longest number at the beginning of the words."""
    if words[0] == "a" and _follows(words, 1, ("hundred", *_SCALES)):
        words = ["one", *words[1:]]
    value, at, limit = 0, 0, _BEYOND
    while limit > 1:
        start = _past_and(words, at) if at else at
        group, end = _group(words, start)
        amount, end, scale = _scaled(words, end, group) if end > start else (_BEYOND, end, 1)
        if amount >= limit:
            break
        value, at, limit = value + amount, end, scale
    if at == 1 and _DIGITS.fullmatch(words[0]):
        return None
    return _ordinal(words, value, at) or (_Number(str(value), at) if at else None)


def _scaled(words: Sequence[str], at: int, group: int) -> tuple[int, int, int]:
    """A group times the thousands and millions that follow it: the value, where it ends, and the scale (1: none)."""
    scale = 1
    while at < len(words) and words[at] in _SCALES:
        scale *= _SCALES[words[at]]
        at += 1
    return group * scale, at, scale


def _group(words: Sequence[str], at: int) -> tuple[int, int]:
    """A number below ten thousand, and where it ends: "three hundred and five", "nineteen ninety nine", digits."""
    first, end = _pair(words, at)
    if end == at or not _follows(words, end, ("hundred",)):
        return first, end
    start = _past_and(words, end + 1)
    rest, last = _below_hundred(words, start)
    return (100 * first + rest, last) if last > start else (100 * first, end + 1)


def _pair(words: Sequence[str], at: int) -> tuple[int, int]:
    """Digits, a number below a hundred, or two that make a year: "nineteen ninety nine", "nineteen oh five"."""
    if at < len(words) and _DIGITS.fullmatch(words[at]) and (words[at] == "0" or words[at][0] != "0"):
        return int(words[at]), at + 1
    first, end = _below_hundred(words, at)
    if first < 10:
        return first, end
    second, last = _below_hundred(words, end)
    is_time = first <= 12 and second < 60  # ten thirty; ten sixty six is a year
    if (
        second >= 10
        and first <= _LAST_CENTURY
        and not is_time
        and not _follows(words, last, ("hundred", *_SCALES))
    ):
        return 100 * first + second, last
    if (
        _follows(words, end, ("oh", "o"))
        and _follows(words, end + 1, tuple(_ONES))
        and 12 < first <= _LAST_CENTURY
    ):
        return 100 * first + _ONES[words[end + 1]], end + 2
    return first, end


def _past_and(words: Sequence[str], at: int) -> int:
    return at + 1 if _follows(words, at, ("and",)) else at


def _follows(words: Sequence[str], at: int, what: Sequence[str]) -> bool:
    return at < len(words) and words[at] in what


def _below_hundred(words: Sequence[str], at: int) -> tuple[int, int]:
    if at >= len(words):
        return 0, at
    word = words[at]
    if word in _TENS:
        if _follows(words, at + 1, tuple(_ONES)) and words[at + 1] != "zero":
            return _TENS[word] + _ONES[words[at + 1]], at + 2
        return _TENS[word], at + 1
    value = _BELOW_TWENTY.get(word)
    return (0, at) if value is None else (value, at + 1)


def _ordinal(words: Sequence[str], value: int, at: int) -> _Number | None:
    """An ordinal, alone or at the end of a round number: "third", "twenty third", "one hundred and third"."""
    start = _past_and(words, at) if at and value % 100 == 0 else at
    small = _ORDINALS.get(words[start]) if start < len(words) else None
    if small is None or (at and (not value or value % (10 if small < 10 else 100))):
        return None
    return _Number(f"{value + small}{_suffix(value + small)}", start + 1)


def _suffix(value: int) -> str:
    if value % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
