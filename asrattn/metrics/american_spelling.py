"""British spellings as American ones: whole words, and stems before their endings."""

import re

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
    "sulphur": "sulfur",
    "smoulder": "smolder",
    "smouldering": "smoldering",
    "gaol": "jail",
    "yoghurt": "yogurt",
    "doughnut": "donut",
    "doughnuts": "donuts",
    "omelette": "omelet",
    "focussed": "focused",
    "enquiry": "inquiry",
    "enquiries": "inquiries",
    "enquire": "inquire",
    "likeable": "likable",
    "sizeable": "sizable",
    "analogue": "analog",
    "catalogues": "catalogs",
    "dialogues": "dialogs",
    "marvellous": "marvelous",
    "woollen": "woolen",
    "enrolment": "enrollment",
    "fulfilment": "fulfillment",
    "anaesthetic": "anesthetic",
    "anaemia": "anemia",
    "leukaemia": "leukemia",
    "haemoglobin": "hemoglobin",
    "paediatric": "pediatric",
    "orthopaedic": "orthopedic",
    "oestrogen": "estrogen",
    "diarrhoea": "diarrhea",
    "mediaeval": "medieval",
    "spoilt": "spoiled",
    "cosier": "cozier",
    "greyer": "grayer",
    "greyish": "grayish",
    "sabre": "saber",
    "sabres": "sabers",
    "manoeuvres": "maneuvers",
    "ploughed": "plowed",
    "draughty": "drafty",
    "moulds": "molds",
    "licences": "licenses",
    "defences": "defenses",
    "offences": "offenses",
    "judgements": "judgments",
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

RULES = [AMERICAN_SPELLINGS, OUR_STEMS, RE_STEMS, ISE_STEMS, LL_STEMS]

_OUR = re.compile(f"({OUR_STEMS})our(s|ed|ing|ite|ites|able|ably|ful|er|ers|hood|hoods|al|ly)?")
_RE = re.compile(f"({RE_STEMS})re(s)?")
_ISE = re.compile(f"({ISE_STEMS})is(e|es|ed|er|ers|ing|ation|ations|able)")
_YSE = re.compile("(anal|paral|catal)ys(e|es|ed|er|ers|ing)")
_LL = re.compile(f"({LL_STEMS})l(ed|ing|ers?|ors?|ous)")


def to_american(word: str) -> str:
    """The American spelling of a lower-case word."""
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
