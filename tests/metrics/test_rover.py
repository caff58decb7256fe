import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.metrics.rover import combine, votes_from_text, word_transition_network

texts = st.lists(st.sampled_from("abc"), max_size=7).map(" ".join)


def together(*heard: str, **more: float) -> str:
    return combine([votes_from_text(text, ()) for text in heard], **more)


def test_the_majority_wins_in_every_place() -> None:
    assert together("go to an end", "go two the end", "no to the end") == "go to the end"


def test_a_word_that_few_hear_is_left_out_and_one_that_many_hear_is_put_in() -> None:
    assert together("go on to the end", "go to the end", "go to the end") == "go to the end"
    assert together("go the end", "go to the end", "go to the end now") == "go to the end"
    assert together("", "yes", "yes") == "yes"


def test_among_equals_the_first_system_wins() -> None:
    assert together("a b", "a c") == "a b"
    assert together("a", "b", "c") == "a"


def test_confidence_counts_where_it_is_asked_for() -> None:
    systems = [
        votes_from_text("a x", (0.9, 0.3)),
        votes_from_text("a y", (0.9, 0.9)),
        votes_from_text("a x", (0.9, 0.2)),
    ]
    assert combine(systems, weight=1.0) == "a x"
    assert combine(systems, weight=0.0) == "a y"  # 0.9 against the mean of 0.3 and 0.2
    assert combine(systems, weight=0.9) == "a x"  # 0.9 * 2/3 + 0.1 * 0.25 against 0.9 * 1/3 + 0.1 * 0.9


def test_the_confidence_of_nothing_decides_on_insertions() -> None:
    systems = [votes_from_text("a b", (0.9, 0.5)), votes_from_text("a", (0.9,))]
    assert combine(systems, weight=0.0, null_confidence=0.6) == "a"
    assert combine(systems, weight=0.0, null_confidence=0.4) == "a b"


@given(st.lists(texts, min_size=1, max_size=4))
def test_every_slot_has_a_vote_of_each_system_and_spells_it(heard: list[str]) -> None:
    slots = word_transition_network([votes_from_text(text, ()) for text in heard])
    assert all(len(slot.votes) == len(heard) for slot in slots)
    for number, text in enumerate(heard):
        assert [slot.votes[number].word for slot in slots if slot.votes[number].word] == text.split()


@given(texts, texts)
def test_two_that_agree_outvote_a_third(text: str, other: str) -> None:
    assert together(text, text, other) == text


def nist_distance(a: list[str], b: list[str]) -> int:
    """The cheapest alignment where a substitution costs 4, an insertion or deletion 3."""
    if not a or not b:
        return 3 * len(a + b)
    differs = 0 if a[0] == b[0] else 4
    return min(
        differs + nist_distance(a[1:], b[1:]), 3 + nist_distance(a[1:], b), 3 + nist_distance(a, b[1:])
    )


short_texts = st.lists(st.sampled_from("abc"), max_size=5).map(" ".join)


@given(short_texts, short_texts)
def test_two_systems_are_aligned_as_cheaply_as_can_be(a: str, b: str) -> None:
    slots = word_transition_network([votes_from_text(a, ()), votes_from_text(b, ())])
    pairs = [(x.word, y.word) for x, y in (slot.votes for slot in slots) if x.word != y.word]
    assert sum(4 if x and y else 3 for x, y in pairs) == nist_distance(a.split(), b.split())


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (("excuse you for what", "excuse for what", "excuse you what"), "excuse you for what"),
        (("a b c", "b c", "a c"), "a b c"),
        (("where are you now", "where you now", "where are now"), "where are you now"),
        (("h f e", "h f a e", "h f h e"), "h f a e"),  # each voted once in the third slot, one for no word
    ],
)
def test_words_are_kept_as_by_nist(heard: tuple[str, ...], expected: str) -> None:
    """As NIST's rover does (sctk 2.4.10, -m avgconf with -a 1 and -c 0)."""
    assert together(*heard) == expected


def test_one_confidence_stands_for_all_words() -> None:
    assert [v.confidence for v in votes_from_text("a b", (0.4,))] == [0.4, 0.4]
    assert [v.confidence for v in votes_from_text("a b", ())] == [1.0, 1.0]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_system_with_itself_is_itself(n: int) -> None:
    assert together(*["go to the end"] * n) == "go to the end"
