import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.scoring import NORMALIZERS


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
    ],
)
def test_each_does_what_its_name_says(name: str, text: str, expected: str) -> None:
    assert NORMALIZERS[name](text) == expected


@given(st.text(max_size=40))
def test_plain_text_stays_plain(text: str) -> None:
    once = NORMALIZERS["plain"](text)
    assert once == " ".join(once.split())
    assert not set(once) & set('!?.,;:"()')
