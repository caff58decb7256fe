"""Findings on texts: what is suspicious, and what real writing must not be blamed for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.corpus_check import texts
from asrattn.corpus_check.finding import CheckedUtterance
from asrattn.data.manifest import Utterance
from asrattn.text import CharTokenizer


def cases(*written: str, split: str = "train") -> list[CheckedUtterance]:
    return [
        CheckedUtterance(split, i, Utterance(f"u{i}", "a.wav", text, 1.0))
        for i, text in enumerate(written, 1)
    ]


def kinds(*written: str, **more: str) -> set[str]:
    return {found.kind.name for found in texts.check_texts(cases(*written, **more))}


@pytest.mark.parametrize(
    "text",
    [
        "don't stop – it's half-past two",
        "þurr augu eru afar algengt vandamál",
        "¿dónde está el baño?",
        "Ça va à l’œuvre",
        "Ä Ö Ü ß",
        "я не знаю",
        "今天天气怎么样",
        "我用iPhone",
        "ひらがなとカタカナと漢字",
        "می\u200cخواهم",  # a joiner that belongs there
        "हिन्दी",
        "Tiếng Việt",
        "λέξεις",
        "a\tb\u00a0c",  # white space is made single by all tokenizers
    ],
)
def test_real_writing_is_not_blamed(text: str) -> None:
    assert kinds(*[text] * 3) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty text"),
        (" \n", "empty text"),
        ("a\x00b", "control characters"),
        ("\ud800", "control characters"),
        ("\ufeffbegin", "invisible characters"),
        ("re\u00adport", "invisible characters"),
        ("what \ufffd", "invisible characters"),
        ("cafÃ©", "wrong encoding"),
        ("donâ€™t", "wrong encoding"),
        ("<unk> yes", "markup"),
        ("salt &amp; pepper", "markup"),
        ("[laughter] yes", "markup"),
        ("see www.example.org", "markup"),
        ("p\u0430ypal", "mixed scripts"),
        ("cafe\u0301", "Unicode form"),
    ],
)
def test_what_is_suspicious(text: str, kind: str) -> None:
    assert kind in kinds(*[text] * 3)


def test_control_characters_are_those_no_tokenizer_learns_from() -> None:
    from asrattn.errors import TextError
    from asrattn.text import CharTokenizer

    for text in ("a\x00b", "a\ud800b"):
        with pytest.raises(TextError):
            CharTokenizer.train([text])


def test_few_written_in_another_way_are_unlike_the_others() -> None:
    found = [
        f
        for f in texts.check_texts(cases(*["GO ON"] * 99, "Go On", *["STOP THERE"] * 100))
        if f.lines_to_drop
    ]
    assert [(f.kind.name, f.where) for f in found] == [("unlike the others", "train:u100")]
    assert "small letters, as 1 of 200 texts" in found[0].detail


def test_many_written_in_another_way_are_not() -> None:
    assert "unlike the others" not in kinds(*["GO ON"] * 90, *["go on 21."] * 10)


def test_of_few_texts_nothing_is_usual() -> None:
    assert "unlike the others" not in kinds(*["GO ON"] * 48, "go on")


def test_rare_characters_are_counted_in_utterances() -> None:
    (found,) = texts.check_texts(cases("zzz", "ab", "ab", "ab"))
    assert "'z' (U+007A): 1, train:u1" in found.detail
    assert "'a'" not in found.detail


def test_characters_that_train_never_has() -> None:
    found = list(texts.check_texts([*cases(*["ab"] * 3), *cases("abc", split="dev")]))
    assert [(f.kind.name, f.where) for f in found] == [("unseen characters", "dev")]
    assert "'c' (U+0063) in dev:u1" in found[0].detail


def test_characters_that_a_pretrained_tokenizer_knows_are_neither_rare_nor_unseen() -> None:
    known = [*cases("az", *["ab"] * 3), *cases("az", split="dev")]
    assert not list(texts.check_texts(known, CharTokenizer("abz")))
    names = [f.kind.name for f in texts.check_texts(known, CharTokenizer("ab"))]
    assert names == ["rare characters"]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=60))
def test_any_text_is_examined(written: list[str]) -> None:
    found = list(texts.check_texts(cases(*written)))
    empty = sum(not text.strip() for text in written)
    assert sum(f.kind is texts.EMPTY_TEXT for f in found) == empty
    for each in found:
        str(each.detail).encode(errors="backslashreplace")


def test_a_few_commands_are_no_repeated_text() -> None:
    """Each is as frequent as the others; a placeholder is more frequent."""
    digits = ["zero", "one", "two", "three", "four"] * 20
    assert "repeated text" not in kinds(*digits)
    assert "repeated text" not in kinds(*["yes", "no"] * 40)
    assert "repeated text" in kinds(*["to be done"] * 40, *(f"number {n}" for n in range(60)))
