from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.metrics import NORMALIZERS


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("none", "Don't – STOP!", "Don't – STOP!"),
        ("lower", "Don't – STOP!", "don't – stop!"),
        ("lower", "e\u0301", "é"),
        ("plain", "Don't – STOP!", "don't stop"),
        ("plain", "“It’s ‘twenty-one’, dogs'.”", "it's twenty one dogs"),
        ("plain", "ሰላም፣ ዓለም።", "ሰላም ዓለም"),
        ("plain", "हिन्दी।", "हिन्दी"),
        ("plain", "'", ""),
        ("basic", "Don’t – STOP! ﬁve", "don't stop five"),
        ("basic", "我们今天去北京。ABC", "我 们 今 天 去 北 京 abc"),
        ("basic", "ｶﾞﾗｽの窓", "ガ ラ ス の 窓"),
        ("basic", "한국어 문장입니다.", "한국어 문장입니다"),
        ("basic", "مرحبا، بالعالم؟", "مرحبا بالعالم"),
        ("basic", "हिन्दी में।", "हिन्दी में"),
        ("basic", "co\u00adop", "coop"),
        ("lower", "IŞIK İSTANBUL", "işik istanbul"),
        ("turkish", "IŞIK İSTANBUL", "ışık istanbul"),
        ("plain", "don't don’t donʼt don´t don`t", "don't don't don't don't don't"),
        ("basic", "don't don’t donʼt don´t don`t", "don't don't don't don't don't"),
        ("basic", 'צה״ל צה"ל צ׳יפס', "צה״ל צה״ל צ׳יפס"),
        ("basic", "col·lecció coŀlecció COL•LECCIÓ", "col·lecció col·lecció col·lecció"),
        ("basic", "他说：“你好”", "他 说 你 好"),
        ("basic", "2½ 10² ½", "2 1 2 10 2 1 2"),
        ("basic", "١٢٣ ۴५", "123 45"),
        ("basic", "كتـــاب می\u200cخواهم", "كتاب میخواهم"),
        ("basic", "¨ a \u0301b", "a b"),
        ("english", "It's 2 o'clock, isn't it?", "it is 2 o'clock is not it"),
        (
            "english",
            "I can't; cannot, won't; they'd say we've gone",
            "i can not can not will not they would say we have gone",
        ),
        ("english", "Uh, Mr. O'Brien's colour-coded centre", "mister o'brien's color coded center"),
        (
            "english",
            "They realised the travellers were organising",
            "they realized the travelers were organizing",
        ),
        ("english", "four hours, our tour; here; total", "4 hours our tour here total"),
        ("english", "50% & 50 per cent", "50 percent and 50 percent"),
        ("english", "$2.50, £1, € 3 million", "2 dollars 50 cents 1 pound 3000000 euros"),
    ],
)
def test_each_does_what_its_name_says(name: str, text: str, expected: str) -> None:
    assert NORMALIZERS[name](text) == expected


@given(st.text(max_size=40))
def test_plain_text_stays_plain(text: str) -> None:
    once = NORMALIZERS["plain"](text)
    assert once == " ".join(once.split())
    assert not set(once) & set('!?.,;"()')
    assert all(len(a) and len(b) for word in once.split() for a, b in pairwise(word.split(":")))


SAME = [
    ("1999", "nineteen ninety-nine", "one thousand nine hundred and ninety-nine", "1,999"),
    ("1905", "nineteen oh five", "nineteen hundred and five"),
    ("205006", "two hundred and five thousand and six", "205,006"),
    ("1200304", "one million two hundred thousand three hundred four"),
    ("2000000 people", "2 million people", "two million people"),
    ("the 23rd", "the twenty-third", "the 23rd"),
    ("102nd", "one hundred and second"),
    ("3 point 5", "3.5", "three point five"),
    ("1 2 3", "one two three", "1 2 3"),
    ("100 dollars", "$100", "a hundred dollars", "one hundred dollars"),
]


@pytest.mark.parametrize("forms", SAME)
def test_a_number_is_the_same_however_it_is_written(forms: tuple[str, ...]) -> None:
    assert {NORMALIZERS["english"](form) for form in forms} == {forms[0]}


def test_numbers_that_stand_beside_each_other_stay_apart() -> None:
    english = NORMALIZERS["english"]
    assert english("five and six or seven thirty") == "5 and 6 or 7 30"
    assert english("007 hundreds and one") == "007 hundreds and 1"
    assert english("one hundred and then a thousand") == "100 and then 1000"


SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def spoken(n: int) -> str:
    """The number in words, by the rule of the school."""
    if n < 20:
        return SMALL.split()[n]
    if n < 100:
        return TENS.split()[n // 10 - 2] + (f"-{spoken(n % 10)}" if n % 10 else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            rest = n % size
            return f"{spoken(n // size)} {name}" + (
                f"{' and' if rest < 100 else ''} {spoken(rest)}" if rest else ""
            )
    raise AssertionError(n)


@given(st.integers(0, 10**12 - 1))
def test_any_number_in_words_becomes_its_digits(n: int) -> None:
    assert NORMALIZERS["english"](spoken(n)) == str(n)


PAIRS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("english_pairs.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("said", "written"), PAIRS)
def test_spoken_and_written_english_are_equal(said: str, written: str) -> None:
    assert NORMALIZERS["english"](said) == NORMALIZERS["english"](written)


def test_the_table_of_pairs_is_long() -> None:
    assert len(PAIRS) >= 200


MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def spoken_ordinal(n: int) -> str:
    *front, last = spoken(n).replace("-", " ").split()
    last = ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return " ".join([*front, last])


def suffix(n: int) -> str:
    return "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


def digits_spoken(digits: str) -> str:
    return " ".join(spoken(int(d)) for d in digits)


class Quantity(NamedTuple):
    """What is meant, as a key; how it is said and how it is written."""

    meant: tuple[object, ...]
    said: str
    written: str


def decimal(whole: int, digits: str) -> Quantity:
    return Quantity(
        ("decimal", whole, digits), f"{spoken(whole)} point {digits_spoken(digits)}", f"{whole}.{digits}"
    )


def money(whole: int, cents: int) -> Quantity:
    return Quantity(
        ("money", whole, cents),
        f"{spoken(whole)} dollars and {spoken(cents)} cents",
        f"${whole}.{cents:02}",
    )


QUANTITIES = st.one_of(
    st.integers(0, 10**7).map(lambda n: Quantity(("number", n), spoken(n), f"{n:,}")),
    st.integers(0, 3000).map(lambda n: Quantity(("number", n), spoken(n), f"{n}")),
    st.integers(1, 3000).map(lambda n: Quantity(("ordinal", n), spoken_ordinal(n), f"{n}{suffix(n)}")),
    st.integers(1, 3000).map(lambda n: Quantity(("minus", n), f"minus {spoken(n)}", f"-{n}")),
    st.integers(0, 999).map(lambda n: Quantity(("percent", n), f"{spoken(n)} percent", f"{n}%")),
    st.integers(2, 99).map(lambda n: Quantity(("decimal", n, "5"), f"{spoken(n)} and a half", f"{n}½")),
    st.builds(decimal, st.integers(0, 300), st.text("0123456789", min_size=1, max_size=4)),
    st.builds(money, st.integers(2, 3000), st.integers(2, 99)),
    st.builds(
        lambda h, m: Quantity(("time", h, m), f"{spoken(h)} {spoken(m)}", f"{h}:{m}"),
        st.integers(1, 12),
        st.integers(10, 59),
    ),
    st.builds(
        lambda m, d: Quantity(("date", m, d), f"the {spoken_ordinal(d)} of {m}", f"{m} {d}"),
        st.sampled_from(MONTHS),
        st.integers(1, 31),
    ),
    st.builds(
        lambda c, d: Quantity(
            ("decade", c, d), f"{spoken(c)} {TENS.split()[d - 2].removesuffix('y')}ies", f"{c}{d}0s"
        ),
        st.integers(13, 19),
        st.integers(2, 9),
    ),
)


@given(QUANTITIES, QUANTITIES)
def test_quantities_are_equal_where_they_mean_the_same_and_only_there(a: Quantity, b: Quantity) -> None:
    english = NORMALIZERS["english"]
    assert english(a.said) == english(a.written)
    assert (english(a.said) == english(b.written)) == (a.meant == b.meant)
    assert (english(a.said) == english(b.said)) == (a.meant == b.meant)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("123", "1 2 3"),
        ("50-50", "5050"),
        ("10:30", "1030"),
        ("1, 2, 3", "6"),
        ("-5", "5"),
        ("2½", "2 1"),
        ("10²", "102"),
        ("U.S.", "us"),
        ("he lets me go", "he let us me go"),
        ("its", "it's"),
        ("$4.85", "$48.50"),
        ("$4 million", "$4,000"),
        ("3/4", "4/3"),
        ("June 3", "June 30"),
        ("1990s", "1990"),
        ("3rd", "3"),
        ("7:05", "7:50"),
        ("0.5", "5"),
        ("0.05", "0.5"),
        ("12th", "2nd"),
        ("we're", "were"),
        ("she'll", "shell"),
        ("20 °C", "20 °F"),
        ("1001", "one hundred one"),
        ("two hundred one", "two hundred and one one"),
    ],
)
def test_different_things_stay_different(a: str, b: str) -> None:
    assert NORMALIZERS["english"](a) != NORMALIZERS["english"](b)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
@given(text=st.text(max_size=30))
def test_what_went_through_stays_as_it_is(name: str, text: str) -> None:
    if name != "english":  # there "20 20" said as two numbers would be one the second time
        once = NORMALIZERS[name](text)
        assert NORMALIZERS[name](once) == once


def test_a_fingerprint_is_the_same_everywhere_and_changes_with_the_rules() -> None:
    """A test that fails here asks: did the rules change? Then the version does, too."""
    assert NORMALIZERS["none"].fingerprint == "none.1-792891ef"
    own = NORMALIZERS["english"]
    assert own.fingerprint.startswith("english.2-")
    others = [replace(own, version=3), replace(own, rules=["other"]), replace(own, name="other")]
    assert len({n.fingerprint for n in [own, *others, *NORMALIZERS.values()]}) == 3 + len(NORMALIZERS)
