"""Case by language and punctuation within words, as Unicode's standard has them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.text import characters


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("IŞIK İSTANBUL", "", "işik istanbul"),
        ("IŞIK İSTANBUL", "tr", "ışık istanbul"),
        ("I\u0307STANBUL", "tr-TR", "istanbul"),
        ("QIZIL İL", "az", "qızıl il"),
        ("ΟΔΥΣΣΕΥΣ", "", "οδυσσευς"),
        ("STRAẞE", "de", "straße"),
    ],
)
def test_lower_case(text: str, language: str, expected: str) -> None:
    assert characters.lower(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("ışık istanbul", "tr", "IŞIK İSTANBUL"),
        ("ışık istanbul", "", "IŞIK ISTANBUL"),
        ("Άνθρωπος", "el", "ΑΝΘΡΩΠΟΣ"),
        ("straße", "", "STRASSE"),
    ],
)
def test_upper_case(text: str, language: str, expected: str) -> None:
    assert characters.upper(text, language) == expected


@given(st.text(max_size=20), st.sampled_from(["", "tr", "el"]))
def test_folded_case_is_folded_and_composed(text: str, language: str) -> None:
    once = characters.fold_case(text, language)
    assert characters.fold_case(once, language) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "i\u0307" not in once


def strip(text: str) -> str:
    return " ".join(characters.strip_punctuation(text, "P", hyphens=True).split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't don’t donʼt don´t don`t don＇t", "don't " * 6),
        ("‘don’t’ dogs’ 'n'", "don't dogs n"),
        ('צה״ל צה"ל צה”ל', "צה״ל " * 3),
        ("צ׳יפס צ'יפס צ’יפס פרופ׳", "צ׳יפס " * 3 + "פרופ׳"),
        ('אמר "שלום" לו', "אמר שלום לו"),
        ("צַהַ״ל", "צַהַ״ל"),
        ("col·lecció col•lecció COL∙LECCIÓ", "col·lecció col·lecció COL·LECCIÓ"),
        ("阿尔伯特·爱因斯坦, 他说’好’吧", "阿尔伯特 爱因斯坦 他说 好 吧"),
        ("EU:n: k:a; note: 10:30", "EU:n k:a note 10 30"),
        ("他说：你好", "他说 你好"),
        ("Ինչպե՞ս եք։", "Ինչպես եք"),
        ("בית־ספר thirty‑one — end-", "בית־ספר thirty‑one end"),
        ("हिन्दी-भाषा। नहीं'तो", "हिन्दी-भाषा नहीं'तो"),
        ("ስም፡ዓለም።", "ስም ዓለም"),
    ],
)
def test_punctuation_within_words_stays(text: str, expected: str) -> None:
    assert strip(text) == expected.strip()


@given(st.text(max_size=30))
def test_letters_and_digits_stay_and_stripping_again_changes_nothing(text: str) -> None:
    once = strip(text)
    kept = [c for c in text if c.isalnum() and c not in characters.APOSTROPHES]
    assert [c for c in once if c.isalnum() and c not in characters.APOSTROPHES] == kept
    assert strip(once) == once


def test_scripts_without_spaces() -> None:
    assert all(map(characters.is_spaceless, "你ごガสລខမ"))
    assert not any(map(characters.is_spaceless, "a한ж1हا"))
