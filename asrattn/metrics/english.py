"""English text normalisation: contractions, fillers, spelling variants, numbers.

Written numbers are spelled out (`written_numbers`), then all numbers are put in digits (`spoken_numbers`).
"""

import re
from collections.abc import Sequence

from asrattn.metrics import american_spelling, digit_strings, number_phrases, spoken_numbers, written_numbers

FILLERS = ("uh", "um", "uhm", "umm", "er", "erm", "hmm", "hm", "mm", "mhm")

CONTRACTIONS = {
    "won't": "will not",
    "can't": "can not",
    "cannot": "can not",
    "shan't": "shall not",
    "ain't": "is not",
    "let's": "let us",
    "y'all": "you all",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "got to",
    "gimme": "give me",
    "lemme": "let me",
    "kinda": "kind of",
    "dunno": "do not know",
    "ok": "okay",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "vs": "versus",
    "alright": "all right",
}
# As they are often typed; not "cant", "wont", "its", "were", "well", which are words.
WITHOUT_APOSTROPHE = {
    word.replace("'", ""): word
    for word in [
        "don't",
        "doesn't",
        "didn't",
        "isn't",
        "wasn't",
        "aren't",
        "weren't",
        "couldn't",
        "wouldn't",
        "shouldn't",
        "hasn't",
        "haven't",
        "hadn't",
        "i'm",
        "i've",
        "you're",
        "you've",
        "they're",
        "they've",
        "we've",
        "that's",
        "what's",
        "there's",
    ]
}
WORDS_BEFORE_LETS = (
    "",
    "and",
    "so",
    "but",
    "then",
    "now",
    "okay",
    "ok",
    "well",
    "oh",
    "yeah",
    "yes",
    "no",
    "please",
)
WORDS_AFTER_HAS = ("been", "got", "gotten", "gone", "had", "become")
PHRASES = {
    "per cent": "percent",
    "e mail": "email",
    "e mails": "emails",
    "web site": "website",
    "web sites": "websites",
    "good bye": "goodbye",
    "o k": "okay",
    "rock n roll": "rock and roll",
    "half a (?=(?:hundred|thousand|million|billion|trillion)\\b)": "0 point 5 ",
}
ENDINGS = {"n't": " not", "'re": " are", "'ll": " will", "'ve": " have", "'m": " am", "'d": " would"}
WORDS_BEFORE_IS = (
    "it",
    "he",
    "she",
    "that",
    "what",
    "who",
    "where",
    "there",
    "here",
    "how",
    "when",
    "why",
    "everything",
    "something",
)

RULES = [
    FILLERS,
    CONTRACTIONS,
    WITHOUT_APOSTROPHE,
    WORDS_BEFORE_LETS,
    ENDINGS,
    WORDS_BEFORE_IS,
    PHRASES,
    american_spelling.RULES,
    digit_strings.RULES,
    number_phrases.RULES,
    spoken_numbers.RULES,
    written_numbers.RULES,
]


def spell_out_symbols(text: str) -> str:
    """Written numbers and signs as they are spoken; to be called before punctuation is removed."""
    return written_numbers.spell_out(text)


def normalize_words(text: str) -> str:
    """Normalise the words of a lower-case text without punctuation except apostrophes: one spelling for each word."""
    words = _expand_contractions(number_phrases.spell_out_units(text).split())
    joined = " ".join(word for word in words if word not in FILLERS)
    for phrase, form in PHRASES.items():
        joined = re.sub(rf"\b{phrase}\b", form, joined)
    spelled = [american_spelling.to_american(word) for word in joined.split()]
    numbered = spoken_numbers.words_to_digits(digit_strings.join_digits(spelled))
    return number_phrases.join_phrases(" ".join(numbered))


def _expand_contractions(words: Sequence[str]) -> list[str]:
    found = []
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word == "lets" and before in WORDS_BEFORE_LETS:
            word = "let's"
        if word.endswith("'s") and after in WORDS_AFTER_HAS:
            word = f"{word[:-2]} has"
        found += _contraction(WITHOUT_APOSTROPHE.get(word, word)).split()
    return found


def _contraction(word: str) -> str:
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    if word.endswith("'s") and word[:-2] in WORDS_BEFORE_IS:
        return f"{word[:-2]} is"
    for ending, long in ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return _contraction(word.removesuffix(ending)) + long
    return word
