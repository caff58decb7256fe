"""Hotwords against a plain reading of the finished text."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.errors import LMError
from asrattn.lm import automaton
from asrattn.lm.hotword_list import Hotwords
from asrattn.lm.hotwords import HotwordScorer
from asrattn.lm.scorers import build_scorer
from asrattn.text import BLANK, EOS, RESERVED, UNKNOWN, BpeTokenizer, CharTokenizer, Tokenizer

SPACED = CharTokenizer.train(["ab c"])
JOINED = CharTokenizer.train(["abc"])
PIECES = BpeTokenizer.train(["ab abc ca b", "abca bca ab c", "a b c ab ca abc"], 14)


def earned(phrases: dict[str, float], tokenizer: Tokenizer, tokens: Sequence[int]) -> float:
    """From the left the longest phrase, from word border to word border, then on behind it."""
    texts = {UNKNOWN: "⁇"} | dict(enumerate(tokenizer.tokens, RESERVED))
    spaced = any(" " in text for text in texts.values())
    listed = {tuple(tokenizer.encode(phrase)): weight for phrase, weight in phrases.items()}

    def opens(place: int, phrase: tuple[int, ...]) -> bool:
        before = " " if place == 0 else texts[tokens[place - 1]]
        return not spaced or before.endswith(" ") or texts[phrase[0]].startswith(" ")

    def closes(place: int) -> bool:
        return not spaced or place == len(tokens) or texts[tokens[place]].startswith(" ")

    total, place = 0.0, 0
    while place < len(tokens):
        found = [
            phrase
            for phrase in listed
            if tuple(tokens[place : place + len(phrase)]) == phrase
            and opens(place, phrase)
            and closes(place + len(phrase))
        ]
        if found:
            longest = max(found, key=len)
            total += listed[longest] * len(longest)
            place += len(longest)
        else:
            place += 1
    return total


def walk(scorer: HotwordScorer, tokens: Sequence[int]) -> tuple[float, float]:
    """What a whole text has earned, and the largest of all increments that were offered."""
    state, total, most = scorer.start(1), 0.0, 0.0
    for last, token in zip([EOS, *tokens], [*tokens, EOS], strict=True):
        row, state = scorer.score(state, torch.tensor([last]))
        total += float(row[0, token])
        most = max(most, float(row.max()))
        assert row[0, BLANK] == -torch.inf
    return total, most


words = st.text("abc", min_size=1, max_size=4)
spoken = st.lists(words, min_size=1, max_size=3).map(" ".join)


@pytest.mark.parametrize("limit", [0, automaton.MAX_DENSE_ENTRIES])
@pytest.mark.parametrize("tokenizer", [SPACED, JOINED, PIECES], ids=["spaced", "joined", "pieces"])
@given(
    phrases=st.dictionaries(spoken, st.sampled_from([1.0, 0.5, 3.0]), min_size=1, max_size=6),
    draw=st.randoms(use_true_random=False),
    length=st.integers(0, 14),
)
def test_a_text_has_earned_what_its_whole_phrases_are_worth(limit, tokenizer, phrases, draw, length):
    if tokenizer is JOINED:
        phrases = {phrase.replace(" ", ""): weight for phrase, weight in phrases.items()}
    parts = [tokenizer.encode(draw.choice([*phrases, "a", "b"])) for _ in range(3)]
    space = tokenizer.encode("a b")[1:2] if tokenizer is SPACED else []
    near = [t for part in parts for t in [*part[: draw.randint(1, len(part))], *space]]
    tokens = near[:length] if draw.random() < 0.6 else draw.choices(range(UNKNOWN, tokenizer.size), k=length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(automaton, "MAX_DENSE_ENTRIES", limit)
        scorer = HotwordScorer(Hotwords(tuple(phrases.items())), tokenizer)
    assert (scorer.automaton_scorer.table is None) == (limit == 0)
    total, most = walk(scorer, tokens)
    assert total == pytest.approx(earned(phrases, tokenizer, tokens), abs=1e-4)
    assert most <= scorer.ceiling + 1e-5


def test_the_longest_is_taken_from_the_left_and_a_word_is_a_whole_word():
    scorer = HotwordScorer(Hotwords((("a", 1.0), ("a b", 1.0), ("b c", 1.0), ("ab ab a", 1.0))), SPACED)
    worth = {
        "a": 1,
        "aa": 0,
        "a b": 3,
        "a bb": 1,
        "a b c": 3,
        "c b c": 3,
        "b b c": 3,
        "ab ab": 0,
        "ab ab a b": 7,
    }
    for text, total in worth.items():
        assert walk(scorer, SPACED.encode(text))[0] == pytest.approx(total, abs=1e-5), text


def test_a_file_of_phrases(tmp_path: Path):
    path = tmp_path / "hot.txt"
    path.write_text("ab  c\n\nb\t2.5\n")
    assert Hotwords.read(path).phrases == (("ab c", 1.0), ("b", 2.5))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a\nb\na", "hot.txt:3: 'a' has been there"),
        ("a\tx", "hot.txt:1: the weight 'x'"),
        ("a\t-1", "no number above 0"),
        ("a\tinf", "no number above 0"),
        ("\t2", "a weight and no phrase"),
        (" \n", "holds no phrase"),
    ],
)
def test_files_that_are_not_so(tmp_path: Path, content: str, told: str):
    (tmp_path / "hot.txt").write_text(content)
    with pytest.raises(LMError, match=told):
        Hotwords.read(tmp_path / "hot.txt")


def test_what_cannot_be_written_is_told(caplog: pytest.LogCaptureFixture):
    scorer = build_scorer(Hotwords((("a", 1.0), ("ä", 1.0))), SPACED)
    assert "1 hotwords cannot be written by this model, and are left out: 'ä'" in caplog.text
    assert walk(scorer, SPACED.encode("a"))[0] == 1
    with pytest.raises(LMError, match="another case"):
        build_scorer(Hotwords((("A", 1.0),)), SPACED)
