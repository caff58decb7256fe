"""English text normalisation: contractions, spelling variants, fillers; numbers are in `spoken_numbers`."""

import re

from asrattn.metrics import spoken_numbers

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
    "per cent": "percent",
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

# British to American, whole words and then stems before their endings
AMERICAN_SPELLINGS = {
    "grey": "gray",
    "programme": "program",
    "programmes": "programs",
    "cheque": "check",
    "cheques": "checks",
    "tyre": "tire",
    "tyres": "tires",
    "kerb": "curb",
    "plough": "plow",
    "draught": "draft",
    "aluminium": "aluminum",
    "catalogue": "catalog",
    "dialogue": "dialog",
    "moustache": "mustache",
    "pyjamas": "pajamas",
    "jewellery": "jewelry",
    "ageing": "aging",
    "judgement": "judgment",
    "acknowledgement": "acknowledgment",
    "enrol": "enroll",
    "fulfil": "fulfill",
    "skilful": "skillful",
    "wilful": "willful",
    "instalment": "installment",
    "artefact": "artifact",
    "artefacts": "artifacts",
    "aeroplane": "airplane",
    "aeroplanes": "airplanes",
    "cosy": "cozy",
    "defence": "defense",
    "offence": "offense",
    "pretence": "pretense",
    "licence": "license",
    "practise": "practice",
    "practised": "practiced",
    "practising": "practicing",
    "manoeuvre": "maneuver",
    "encyclopaedia": "encyclopedia",
    "foetus": "fetus",
    "whilst": "while",
    "amongst": "among",
    "towards": "toward",
    "afterwards": "afterward",
    "learnt": "learned",
    "burnt": "burned",
    "dreamt": "dreamed",
    "leapt": "leaped",
    "mould": "mold",
    "sceptic": "skeptic",
    "sceptical": "skeptical",
}
OUR_STEMS = (
    "arm|behavi|cand|clam|col|demean|endeav|fav|ferv|flav|harb|hon|hum|lab|neighb|od|parl|ranc|rum|"
    "savi|sav|splend|tum|val|vap|vig"
)
RE_STEMS = "cent|theat|lit|fib|calib|somb|spect|lust|meag|met|kilomet|centimet|millimet"
ISE_STEMS = (
    "agon|apolog|author|capital|categor|character|civil|critic|custom|digit|econom|emphas|equal|"
    "familiar|final|general|harmon|idol|immun|industrial|initial|international|legal|liberal|local|"
    "material|maxim|memor|minim|mobil|modern|national|neutral|normal|optim|organ|patron|penal|"
    "personal|popular|priorit|public|rational|real|recogn|reorgan|revolution|sanit|scrutin|social|"
    "special|stabil|standard|steril|subsid|summar|symbol|sympath|synchron|terror|util|vandal|visual"
)
LL_STEMS = (
    "cancel|channel|counsel|dial|equal|fuel|jewel|label|level|marvel|model|quarrel|signal|total|travel|tunnel"
)

RULES = [
    FILLERS,
    CONTRACTIONS,
    ENDINGS,
    WORDS_BEFORE_IS,
    AMERICAN_SPELLINGS,
    OUR_STEMS,
    RE_STEMS,
    ISE_STEMS,
    LL_STEMS,
    spoken_numbers.RULES,
]

_OUR = re.compile(f"({OUR_STEMS})our(s|ed|ing|ite|ites|able|ably|ful|er|ers|hood|hoods|al|ly)?")
_RE = re.compile(f"({RE_STEMS})re(s)?")
_ISE = re.compile(f"({ISE_STEMS})is(e|es|ed|er|ers|ing|ation|ations|able)")
_YSE = re.compile("(anal|paral|catal)ys(e|es|ed|er|ers|ing)")
_LL = re.compile(f"({LL_STEMS})l(ed|ing|ers?|ors?|ous)")


def spell_out_symbols(text: str) -> str:
    """Spoken symbols as words; to be called before punctuation is removed."""
    return spoken_numbers.spell_out_symbols(text.replace("&", " and "))


def normalize_words(text: str) -> str:
    """Normalise the words of a lower-case text without punctuation except apostrophes: one spelling for each word."""
    words = [part for word in text.split() for part in _contraction(word).split()]
    joined = " ".join(word for word in words if word not in FILLERS)
    for long, short in CONTRACTIONS.items():
        if " " in long:
            joined = re.sub(rf"\b{long}\b", short, joined)
    return " ".join(spoken_numbers.words_to_digits([_spelling(word) for word in joined.split()]))


def _contraction(word: str) -> str:
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    if word.endswith("'s") and word[:-2] in WORDS_BEFORE_IS:
        return f"{word[:-2]} is"
    for ending, long in ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return word.removesuffix(ending) + long
    return word


def _spelling(word: str) -> str:
    if word in AMERICAN_SPELLINGS:
        return AMERICAN_SPELLINGS[word]
    for pattern, american in (
        (_OUR, r"\1or\2"),
        (_RE, r"\1er\2"),
        (_ISE, r"\1iz\2"),
        (_YSE, r"\1yz\2"),
        (_LL, r"\1\2"),
    ):
        found = pattern.fullmatch(word)
        if found:
            return found.expand(american)
    return word
