"""Written English numbers as they are spoken: money, times, fractions, signs; before punctuation is removed."""

import re
import unicodedata

CURRENCIES = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yen", "sen"),
    "₹": ("rupee", "paisa"),
}
PLURALS = {"yen": "yen", "sen": "sen", "penny": "pence", "paisa": "paise"}
SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
DENOMINATORS = {
    2: "half",
    3: "third",
    4: "quarter",
    5: "fifth",
    6: "sixth",
    8: "eighth",
    10: "tenth",
}
TITLES = {
    "prof": "professor",
    "sgt": "sergeant",
    "capt": "captain",
    "lt": "lieutenant",
    "gen": "general",
    "rev": "reverend",
    "sen": "senator",
    "gov": "governor",
    "rep": "representative",
}
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)

RULES = [CURRENCIES, PLURALS, SCALES, list(DENOMINATORS.items()), TITLES, MONTHS]

_VULGAR = re.compile("[¼-¾⅐-⅞]")
_FRACTION = re.compile(r"(?<![\d/.⁄])(?:(\d+)[ -])?(\d)[/⁄](\d{1,2})(?![\d/⁄])")
_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_WORD_SCALES = "thousand|million|billion|trillion"
_PRICE = re.compile(
    rf"([$€£¥₹])\s?(\d+|(?=\.\d))(?:\.(\d+))?(?: ({_WORD_SCALES})\b|(bn|tn|[kmb])\b)?", re.IGNORECASE
)
_CENTS = re.compile(r"(\d+)\s?¢")
_TIME = re.compile(r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])(\s?[ap]\.?\s?m\b)?", re.IGNORECASE)
_TIME_WITH_POINT = re.compile(r"(?<![\d.])(1?\d)\.([0-5]\d)(?=\s?[ap]\.?\s?m\b)", re.IGNORECASE)
_HALF_OF_DAY = re.compile(r"(?<=\d)\s?([ap])\.?\s?m\b\.?", re.IGNORECASE)
_MONTH = re.compile(rf"\b({'|'.join({m[:3] for m in MONTHS} | {'sept'})})\.?(?= \d)", re.IGNORECASE)
_TITLE = re.compile(rf"\b({'|'.join(TITLES)})\.(?= ?[^\W\d_])", re.IGNORECASE)
_SIGNS = [
    (re.compile(r"\b[Nn]os?\.\s*(?=\d)|#\s?(?=\d)"), " number "),
    (re.compile(r"(?<![\w.])[-−](?=\.?\d)"), " minus "),
    (re.compile(r"\s?°\s?C\b"), " degrees celsius "),
    (re.compile(r"\s?°\s?F\b"), " degrees fahrenheit "),
    (re.compile("°"), " degrees "),
    (re.compile("%"), " percent "),
    (re.compile("&"), " and "),
    (re.compile(r"(?<=\d)\s?\+\s?(?=\d)"), " plus "),
    (re.compile(r"(?<=\w)\s?=\s?(?=\w)"), " equals "),
    (re.compile(r"(?<=\w)@(?=\w)"), " at "),
    (re.compile(r"(?<=\d)'(?=s\b)"), ""),
    (re.compile(r"(?<![^\W\d_])\.(?=\d)"), " point "),
]


def spell_out(text: str) -> str:
    """Numbers and signs in spoken order, digits as they are: "$4.85" is "4 dollars 85 cents"."""
    for sign, name in (("²", " squared "), ("³", " cubed ")):
        text = re.sub(rf"(?<=[\dm]){sign}", name, text)
    text = _VULGAR.sub(lambda found: f" {unicodedata.normalize('NFKC', found[0])}", text)
    text = unicodedata.normalize("NFKC", text.replace("´", "'").replace("’", "'").replace("№", "No. "))
    text = _COMMA.sub("", _FRACTION.sub(_fraction, text))
    text = _CENTS.sub(r"\1 cents ", _PRICE.sub(_price, text))
    text = _TIME.sub(_time, _TIME_WITH_POINT.sub(r"\1:\2", text))
    text = _HALF_OF_DAY.sub(lambda found: f" {found[1].lower()}m ", text)
    text = _TITLE.sub(lambda found: TITLES[found[1].lower()], _MONTH.sub(_month, text))
    for pattern, spoken in _SIGNS:
        text = pattern.sub(spoken, text)
    return text


def plural(noun: str, amount: str) -> str:
    return noun if amount == "1" else PLURALS.get(noun, f"{noun}s")


def _fraction(found: re.Match[str]) -> str:
    whole, above, below = found[1], int(found[2]), int(found[3])
    if not 0 < above < below or below not in DENOMINATORS:
        return found[0]
    noun = DENOMINATORS[below]
    amount = "a" if whole and above == 1 else str(above)
    spoken = f"{amount} {noun if above == 1 else f'{noun}s'}"
    return f"{whole} and {spoken}" if whole else spoken


def _price(found: re.Match[str]) -> str:
    (noun, part), amount, decimals = CURRENCIES[found[1]], found[2] or "0", found[3]
    scale = found[4] or SCALES.get((found[5] or "").lower())
    if scale or len(decimals or "") not in (0, 2):
        point = f".{decimals}" if decimals else ""
        return f" {amount}{point} {scale or ''} {plural(noun, '')} "
    whole = f"{amount} {plural(noun, amount)}" if int(amount) or not decimals else ""
    cents = str(int(decimals)) if decimals and int(decimals) else ""
    return f" {whole} {cents} {plural(part, cents) if cents else ''} "


def _time(found: re.Match[str]) -> str:
    hour, minutes, half = str(int(found[1])), found[2], found[3] or ""
    if minutes == "00":
        return f"{hour}{half}" if half else f"{hour} o'clock"
    return f"{hour} {minutes}{half}"


def _month(found: re.Match[str]) -> str:
    return next(month for month in MONTHS if month.startswith(found[1].lower()[:3]))
