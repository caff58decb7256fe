"""Digits that are spoken one by one: telephone numbers, "double o seven", times such as "three oh five"."""

from collections.abc import Sequence

_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
DIGITS = {name: str(n) for n, name in enumerate(_NAMES)} | {str(n): str(n) for n in range(10)}
ZEROS = ("oh", "o")  # between other digits
REPEATS = {"double": 2, "triple": 3}
MIN_DIGITS = 4  # fewer may be counted: "one two three"
_HOURS = {"ten": "10", "eleven": "11", "twelve": "12"} | {str(n): str(n) for n in (10, 11, 12)}
_BELONG_BEFORE = {
    *[
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
    ],
    "point",
}
_BELONG_AFTER = {"hundred", "thousand", "million", "billion", "trillion", "point", "and"}

RULES = [DIGITS, ZEROS, REPEATS, MIN_DIGITS, _HOURS]


def join_digits(words: Sequence[str]) -> list[str]:
    """Words with runs of at least MIN_DIGITS digits as one number, "double o seven" as 007, "ten oh five" as 10 05."""
    found: list[str] = []
    at = 0
    while at < len(words):
        digits, end = _run(words, at)
        before = found[-1] if found else ""
        if len(digits) >= (3 if words[at] in REPEATS else MIN_DIGITS) and not _touches(words, at, end):
            found.append(digits)
        elif end == at + 3 and words[at + 1] in ZEROS and not _touches(words, at, end):
            found += [digits[0], digits[1:]]
        elif before in _HOURS and words[at] in ZEROS and at + 1 < len(words) and words[at + 1] in DIGITS:
            found.append(f"0{DIGITS[words[at + 1]]}")
            end = at + 2
        else:
            end = max(end, at + 1) if before == "point" else at + 1
            found += words[at:end]
        at = end
    return found


def _run(words: Sequence[str], at: int) -> tuple[str, int]:
    """The digits of the run that begins there, and where it ends; an "oh" at its end does not belong to it."""
    digits, end, pending = "", at, ""
    while at < len(words):
        times = REPEATS.get(words[at], 1) if at + 1 < len(words) else 1
        word = words[at + 1] if times > 1 else words[at]
        if word in DIGITS or (times > 1 and word in ZEROS):
            digits, pending = digits + pending + times * DIGITS.get(word, "0"), ""
            at = end = at + (2 if times > 1 else 1)
        elif word in ZEROS and digits:
            pending += "0"
            at += 1
        else:
            break
    return digits, end


def _touches(words: Sequence[str], at: int, end: int) -> bool:
    """Whether a number word before or after the run takes one of its digits: "twenty one two", "four million"."""
    return (at > 0 and words[at - 1] in _BELONG_BEFORE) or (end < len(words) and words[end] in _BELONG_AFTER)
