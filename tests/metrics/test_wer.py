import random
import unicodedata

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.metrics import ErrorCounts, align, count_char_errors, count_errors, count_word_errors, sum_counts
from asrattn.metrics.wer import split_characters, split_words

tokens = st.lists(st.sampled_from(["a", "b", "c", "dé"]), max_size=8)


def edit_distance(a: list[str], b: list[str]) -> int:
    """Slow and obviously right."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_each_kind_of_error_is_told_apart() -> None:
    assert count_word_errors("a b c d", "a x c") == ErrorCounts(substitutions=1, deletions=1, hits=2)
    assert count_word_errors("a b", "a z b") == ErrorCounts(insertions=1, hits=2)
    assert count_word_errors("Don't stop", "don't stop").substitutions == 1


@given(tokens, tokens)
def test_counts_agree_with_the_edit_distance(a: list[str], b: list[str]) -> None:
    counts = count_errors(a, b)
    assert counts.errors == edit_distance(a, b)
    assert counts.words == len(a)
    assert counts.hits + counts.substitutions + counts.insertions == len(b)


@given(tokens, tokens)
def test_an_alignment_spells_both_sides(a: list[str], b: list[str]) -> None:
    pairs = align(a, b)
    assert [p.reference for p in pairs if p.kind != "insert"] == a
    assert [p.hypothesis for p in pairs if p.kind != "delete"] == b
    assert all((p.reference == p.hypothesis) == (p.kind == "equal") for p in pairs)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_at_all_can_be_counted(a: str, b: str) -> None:
    assert count_word_errors(a, b).words == len(a.split())
    composed = unicodedata.normalize("NFC", a)
    assert count_char_errors(a, b).words == len(" ".join(composed.split()))


@pytest.mark.parametrize(
    ("a", "b"), [("caf\u00e9", "cafe\u0301"), ("\uac01", "\u1100\u1161\u11a8"), ("\u212b", "\u00c5")]
)
def test_composed_and_decomposed_letters_are_equal(a: str, b: str) -> None:
    assert count_word_errors(a, b).errors == count_char_errors(a, b).errors == 0
    assert count_char_errors(b, a).words == len(a)


def test_the_corpus_rate_is_taken_after_the_sum() -> None:
    parts = [count_word_errors("a", "b"), count_word_errors("a b c d e f g h i", "a b c d e f g h i")]
    assert sum_counts(parts) == parts[0] + parts[1]
    assert sum_counts(parts).rate == pytest.approx(0.1)  # the mean of the rates would be 0.5


def test_rates_agree_with_jiwer() -> None:
    said, heard = ["one two three", "four five"], ["one too three three", "five"]
    pairs = list(zip(said, heard, strict=True))
    assert sum_counts(count_word_errors(*pair) for pair in pairs).rate == pytest.approx(
        jiwer.wer(said, heard)
    )
    assert sum_counts(count_char_errors(*pair) for pair in pairs).rate == pytest.approx(
        jiwer.cer(said, heard)
    )


def test_an_empty_reference_holds_insertions_only() -> None:
    assert count_word_errors("", "a b") == ErrorCounts(insertions=2)
    assert count_word_errors(" ", "a b").rate == 2.0
    assert count_word_errors("", "").rate == 0.0
    assert count_word_errors("a b", "") == ErrorCounts(deletions=2)


def test_characters_hold_single_spaces() -> None:
    assert split_characters(" a\t b\n") == ["a", " ", "b"]
    assert split_words(" a\t b\n") == ["a", "b"]
    assert count_char_errors("ab cd", "abcd") == ErrorCounts(deletions=1, hits=4)


SCRIPTS = {  # first and last letter
    "latin": ("a", "z"),
    "cyrillic": ("а", "я"),
    "arabic": ("ا", "ي"),
    "devanagari": ("अ", "ह"),
    "han": ("一", "丏"),
    "ethiopic": ("ሀ", "ሏ"),
}


def jiwer_pairs(script: str, n: int) -> list[tuple[str, str]]:
    """References of 1 to 25 words, and hypotheses with words changed, left out and put in, from a small vocabulary."""
    rng = random.Random(script)
    first, last = map(ord, SCRIPTS[script])
    vocabulary = ["".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 5))) for _ in range(60)]
    pairs = []
    for _ in range(n):
        said = rng.choices(vocabulary, k=rng.randint(1, 25))
        heard = [
            rng.choice(vocabulary) if rng.random() < 0.2 else word for word in said if rng.random() > 0.1
        ]
        for _ in range(rng.randint(0, 3)):
            heard.insert(rng.randint(0, len(heard)), rng.choice(vocabulary))
        pairs.append((" ".join(said), " ".join(heard)))
    return pairs


def check_against_jiwer(pairs: list[tuple[str, str]]) -> None:
    """Counts of each utterance and of the whole, words and characters, exactly."""
    for said, heard in pairs:
        for ours, theirs in (
            (count_word_errors, jiwer.process_words),
            (count_char_errors, jiwer.process_characters),
        ):
            found, oracle = ours(said, heard), theirs(said, heard)
            assert found == ErrorCounts(
                oracle.substitutions, oracle.deletions, oracle.insertions, oracle.hits
            )
    together = jiwer.process_words([said for said, _ in pairs], [heard for _, heard in pairs])
    assert sum_counts(count_word_errors(*pair) for pair in pairs).rate == together.wer


@pytest.mark.parametrize("script", SCRIPTS)
def test_counts_agree_with_jiwer_in_every_script(script: str) -> None:
    check_against_jiwer(jiwer_pairs(script, 100))


@pytest.mark.slow
def test_counts_agree_with_jiwer_on_ten_thousand_pairs() -> None:
    for script in SCRIPTS:
        check_against_jiwer(jiwer_pairs(script, 1667))
