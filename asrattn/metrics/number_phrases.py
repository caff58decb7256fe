"""Phrases around numbers in digits, each in one form: dates, money, decades, times, fractions, units."""

import re
from collections.abc import Callable

from asrattn.metrics.written_numbers import MONTHS

UNITS = {
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "kg": "kilogram",
    "mg": "milligram",
    "ml": "milliliter",
    "ft": "foot",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "gb": "gigabyte",
    "mb": "megabyte",
    "mph": "mile per hour",
    "kmh": "kilometer per hour",
    "hr": "hour",
    "hrs": "hour",
    "min": "minute",
    "mins": "minute",
}
_DECADES = {
    "twenties": "20s",
    "thirties": "30s",
    "forties": "40s",
    "fifties": "50s",
    "sixties": "60s",
    "seventies": "70s",
    "eighties": "80s",
    "nineties": "90s",
}
_MONTH = "|".join(MONTHS)
_CLEAR_MONTH = "|".join(month for month in MONTHS if month not in ("march", "may"))
_CURRENCY = "dollars?|euros?|pounds?|yen|rupees?"
_DAY = r"(?:[12]?\d|3[01])"

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _day_before_month(found: re.Match[str]) -> str:
    return found[0] if found[1] else f"{found[3]} {found[2]}"


def _bare_scale(found: re.Match[str]) -> str:
    return {
        "thousand": "1000",
        "million": f"1{'0' * 6}",
        "billion": f"1{'0' * 9}",
        "trillion": f"1{'0' * 12}",
    }[found[1]]


_RULES: list[_Rule] = [
    (rf"\b(?:the )?({_DAY})(?:st|nd|rd|th) of ({_MONTH})\b", r"\2 \1"),
    (rf"\b(?:the )?({_DAY})(?:st|nd|rd|th) ({_CLEAR_MONTH})\b", r"\2 \1"),
    (rf"\b(?:({_MONTH}) )?\b({_DAY}) ({_CLEAR_MONTH})\b", _day_before_month),
    (rf"\b({_MONTH}) (?:the )?({_DAY})(?:st|nd|rd|th)\b", r"\1 \2"),
    (r"\b(1\d|20) ([2-9]0s)\b", r"\1\2"),
    (r"\b(1\d|20) hundreds\b", r"\g<1>00s"),
    (r"\b2 thousands\b", "2000s"),
    (rf"(?<!\d )\b(thousand|million|billion|trillion)(?= (?:{_CURRENCY})\b)", _bare_scale),
    (rf"\b(\d+ (?:{_CURRENCY})) and (\d\d? (?:cents?|pence))\b", r"\1 \2"),
    (r"(?<=\d) ([ap]) m\b", r" \1m"),
    (r"\bnegative (?=\d|point \d)", "minus "),
    (r"(?<!\d )\b1 (half|quarter|3rd|5th|6th|8th|10th)\b", r"a \1"),
]
RULES = [UNITS, _DECADES, [pattern for pattern, _ in _RULES]]

_COMPILED = [(re.compile(pattern), form) for pattern, form in _RULES]
_UNIT = re.compile(rf"(?<=\d) ({'|'.join(UNITS)})\b")
_ONE_UNIT = re.compile(rf"(?<![\d.])(?<!point )\b1 ({'|'.join(UNITS)})\b")
_LETTERS_BESIDE_DIGITS = re.compile(r"(?<=\d)(?!(?:st|nd|rd|th|s)\b)(?=[a-z])|(?<=[a-z])(?=\d)")


def spell_out_units(text: str) -> str:
    """Of a lower-case text: digits apart from letters, except in 2nd and 1990s; units after digits as words."""
    text = _LETTERS_BESIDE_DIGITS.sub(" ", text)
    text = _ONE_UNIT.sub(lambda found: f"1 {UNITS[found[1]]}", text)
    return _UNIT.sub(lambda found: f" {_plural(UNITS[found[1]])}", text)


def join_phrases(text: str) -> str:
    """Of a text with numbers in digits: one form of each phrase."""
    text = " ".join(_DECADES.get(word, word) for word in text.split())
    for pattern, form in _COMPILED:
        text = pattern.sub(form, text)
    return text


def _plural(unit: str) -> str:
    noun, _, rest = unit.partition(" ")
    many = {"foot": "feet", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz"}.get(
        noun, f"{noun}s"
    )
    return f"{many} {rest}".strip()
