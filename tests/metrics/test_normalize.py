from dataclasses import replace
from itertools import pairwise

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
        ("english", "$2.50, £1, € 3 million", "2 point 50 dollars 1 pound 3000000 euros"),
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
