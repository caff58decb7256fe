"""Two writings of one word are told, and different words are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.corpus_check import texts
from asrattn.corpus_check.finding import CheckedUtterance, Finding
from asrattn.corpus_check.spellings import check_spellings, has_stray_mark, look_alike_key, variant_key
from asrattn.data.manifest import Utterance


def check(*written: str) -> list[Finding]:
    cases = [
        CheckedUtterance("train", i, Utterance(f"u{i}", "a.wav", text, 1.0)) for i, text in enumerate(written)
    ]
    return list(check_spellings(cases))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("don't", "don’t"),
        ("it´s", "it's"),
        ("п'ять", "пʼять"),
        ("hawai'i", "hawaiʻi"),
        ('צה"ל', "צה״ל"),
        ("thirty-one", "thirty‑one"),
        ("בית-ספר", "בית־ספר"),
        ("col·lecció", "col•lecció"),
        ("collegi coŀlecció", "collegi col·lecció"),
        ("می\u200cخواهم", "میخواهم"),
        ("کتاب", "كتاب"),
        ("كتاب", "كتـــاب"),
        ("și", "şi"),
        ("i\u0307stanbul", "istanbul"),
        ("ﬁve", "five"),
        ("ｶﾞﾗｽ", "ガラス"),
        ("re\u00adport", "report"),
        ("١٢", "12"),
    ],
)
def test_words_in_two_spellings_are_told(a: str, b: str) -> None:
    found = [finding for finding in check(f"say {a}", f"say {b}", a) if finding.kind.name == "two spellings"]
    assert len(found) == 1
    assert found[0].where.startswith("train:u")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("ещё", "еще"),
        ("за\u0301мок", "замок"),
        ("كَتَبَ", "كتب"),
        ("שָׁלוֹם", "שלום"),
        ("أحمد", "احمد"),
        ("e-mail", "email"),
        ("œuvre", "oeuvre"),
        ("hòa", "hoà"),
        ("straße", "strasse"),
    ],
)
def test_spelling_variants_are_noted(a: str, b: str) -> None:
    assert [finding.kind.name for finding in check(a, b)] == ["spelling variants"]


@pytest.mark.parametrize(
    "written",
    [
        ("Don't stop", "don't STOP"),
        ("İstanbul", "istanbul"),
        ("caf\u00e9", "cafe\u0301"),  # tokenizers compose
        ("ou là", "où la"),
        ("resume", "résumé"),
        ("ılık", "ilik"),
        ("cap, cap.", "“cap” cap!"),
        ("мир", "мiр"),  # mixed scripts have a finding of their own
        ("हिन्दी", "में"),
        ("สวัสดี", "ครับ"),
    ],
)
def test_what_is_one_writing_or_two_words_is_not_blamed(written: tuple[str, ...]) -> None:
    assert check(*written) == []


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("i\u0307stanbul", True),
        ("a \u0301b", True),
        ("\u064eكتب", True),
        ("e\u0301te\u0301", False),
        ("हिन्दी ශ්‍රී สวัสดี", False),
        ("i\u0307\u0301", False),  # Lithuanian, in dictionaries
        ("İstanbul", False),
    ],
)
def test_marks_without_a_letter_are_stray(text: str, stray: bool) -> None:
    assert has_stray_mark(text) == stray
    assert ("stray mark" in {finding.kind.name for finding in check(text)}) == stray


def test_a_finding_counts_texts_and_shows_words() -> None:
    (found,) = check(*["don't"] * 5, *["don’t", "it’s", "we’ll", "they’re"])
    assert found.where == "train:u5"
    assert found.detail == (
        "apostrophes: \"'\" (U+0027) 5 times (don't), '’' (U+2019) 4 times (don’t, it’s, we’ll and 1 more)"
    )


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_text_is_checked_and_keys_are_stable(written: list[str]) -> None:
    check(*written)
    for text in written:
        assert variant_key(look_alike_key(text)) == variant_key(text)


def test_a_joiner_in_latin_writing_is_invisible() -> None:
    cases = [CheckedUtterance("train", 1, Utterance("u", "a.wav", "co\u200cop", 1.0))]
    assert "invisible characters" in {finding.kind.name for finding in texts.check_texts(cases)}
