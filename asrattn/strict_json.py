"""JSON that others wrote, parsed strictly: finite numbers, little nesting, texts that can be written again."""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 100
MAX_DIGITS = 30  # of a whole number


def parse(text: str, finite: bool = True) -> Any:
    """The value of a text. finite: refuse NaN and Infinity, which Python writes though JSON does not know them.

    Raises ValueError with the reason in a few words: no JSON; nested deeper than MAX_DEPTH; a number that is not finite
    or has too many digits; half of a surrogate pair. The halves U+DC80 … U+DCFF are left: they are how file names that
    are not UTF-8 are written (PEP 383).
    """
    try:
        plain = (_FINITE if finite else _ANY).decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from None
    except RecursionError:
        raise ValueError("too large") from None
    if "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH:  # else nothing can be wrong
        _check(plain)
    return plain


def _check(plain: Any) -> None:
    level, depth = [plain], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        for value in level:
            for part in (value, *value) if isinstance(value, dict) else (value,):
                if isinstance(part, str) and not _is_text(part):
                    raise ValueError("half of a surrogate pair in a text")
        groups = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level, depth = [value for group in groups for value in group], depth + 1


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


_FINITE = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_refuse)
_ANY = json.JSONDecoder(parse_int=_whole)
