"""Characters of words: case by language, punctuation within words, scripts without spaces, invisible characters.

The classes follow Unicode's word boundaries (UAX #29) and SpecialCasing.txt.
"""

import unicodedata

# How apostrophes are typed; the first one stands for all of them. U+02BB, a letter of Hawaiian and Uzbek, is not one.
APOSTROPHES = "'’ʼ＇‘‛´`′ʹ"
HYPHENS = "-‐‑֊־﹣－"
MIDDLE_DOTS = (
    "·\u0387\u2219\u22c5\u2027\u2022"  # of Catalan, between letters; the first one stands for all of them
)
GERESH, GERSHAYIM = "׳", "״"
QUOTES_FOR_GERSHAYIM = f'"“”„{GERSHAYIM}'
ARMENIAN_TONES = "՛՜՞"  # exclamation, emphasis and question marks, written within a word
COMBINING_DOT_ABOVE = "\u0307"
ARABIC_TATWEEL = "ـ"  # stretches a line; it is not spoken
DOTTED_I_LANGUAGES = (
    "tr",
    "az",
    "crh",
    "gag",
    "tt",
    "ba",
)  # in the Latin script I is the capital of ı, İ of i
# Scripts without spaces, whose characters count as words: Han, kana, bopomofo, Thai, Lao, Khmer, Myanmar.
SPACELESS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x312F),
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def is_spaceless(character: str) -> bool:
    """Whether the character belongs to a script without spaces between words."""
    point = ord(character)
    return point >= SPACELESS[0][0] and any(first <= point <= last for first, last in SPACELESS)


def is_letter(character: str) -> bool:
    """A letter, or a mark on one."""
    return unicodedata.category(character)[0] in "LM"


def lower(text: str, language: str = "") -> str:
    """In lower case by the rules of a language (a code such as "tr"); the default for others and none.

    The default loses the dot of İ: without a language i and U+0307 would be two characters, one of them a stray mark.
    """
    if has_dotted_i(language):
        text = compose(text).replace("İ", "i").replace("I", "ı")
    return drop_dot_of_i(text.lower())


def upper(text: str, language: str = "") -> str:
    """In upper case, as `lower`. Greek capitals have no accents if the language is "el"."""
    if has_dotted_i(language):
        text = text.replace("i", "İ")
    if base_language(language) == "el":
        kept = (
            c for c in unicodedata.normalize("NFD", text) if c not in "\u0301\u0342\u0313\u0314\u0345\u0300"
        )
        text = "".join(kept)
    return compose(text.upper())


def fold_case(text: str, language: str = "") -> str:
    """Case folded (Unicode's CaseFolding.txt, with its rules for Turkish and Azerbaijani), composed letters (NFC)."""
    if has_dotted_i(language):
        text = compose(text).replace("İ", "i").replace("I", "ı")
    return drop_dot_of_i(compose(compose(text).casefold()))


def compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def has_dotted_i(language: str) -> bool:
    return base_language(language) in DOTTED_I_LANGUAGES


def base_language(language: str) -> str:
    """Of a tag such as tr-TR or tr_TR: tr."""
    return language.replace("_", "-").partition("-")[0].lower()


def drop_dot_of_i(text: str) -> str:
    """Without the combining dot that default case mapping leaves on the i of İ."""
    return text.replace(f"i{COMBINING_DOT_ABOVE}", "i") if COMBINING_DOT_ABOVE in text else text


def strip_punctuation(text: str, categories: str, hyphens: bool) -> str:
    """Punctuation as spaces, except what belongs within a word; of the text only these characters change.

    categories   first letters of Unicode's categories: P for punctuation, PS for symbols too
    hyphens      whether hyphens between letters or digits stay

    Within words stay an apostrophe, in one form; the geresh and gershayim of Hebrew, in one form; the middle dot of
    Catalan and the colon of Finnish and Swedish. The tone marks of Armenian go without a space.
    """
    return "".join(
        _kept(text, i, hyphens) if _is_punctuation(character, categories) else character
        for i, character in enumerate(text)
    )


def _is_punctuation(character: str, categories: str) -> bool:
    return character in APOSTROPHES + MIDDLE_DOTS or unicodedata.category(character)[0] in categories


def _kept(text: str, i: int, hyphens: bool) -> str:
    """What stays of the punctuation at i."""
    character, before, after = text[i], _base_before(text, i), text[i + 1 : i + 2]
    if character in ARMENIAN_TONES:
        return ""
    if is_hebrew(before):
        if character == GERESH or (character in APOSTROPHES and is_hebrew(after)):
            return GERESH
        if character in QUOTES_FOR_GERSHAYIM and is_hebrew(after):
            return GERSHAYIM
    if not (_is_word(before) and _is_word(after)) or is_spaceless(before) or is_spaceless(after):
        return " "
    if character in APOSTROPHES:
        return APOSTROPHES[0]
    if character in HYPHENS and hyphens:
        return character
    if has_case(before) and has_case(after) and (character == ":" or character in MIDDLE_DOTS):
        return ":" if character == ":" else MIDDLE_DOTS[0]
    return " "


def _base_before(text: str, i: int) -> str:
    """The last character before i that is no mark and no joiner."""
    while i and unicodedata.category(text[i - 1]) in ("Mn", "Me", "Cf"):
        i -= 1
    return text[i - 1 : i]


def _is_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or unicodedata.category(character) == "Mc")


def is_hebrew(character: str) -> bool:
    return "א" <= character <= "ײ"


def has_case(character: str) -> bool:
    return character.lower() != character.upper()
