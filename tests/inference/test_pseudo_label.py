"""Pseudo-labels: which transcripts become training texts, and what is said of the others."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.data.manifest import Utterance
from asrattn.inference.pseudo_label import RejectedUtterance, select_labels, write_dropped
from asrattn.inference.transcript import Failure, Outcome, Transcript, Word

AUDIO = Path("a.wav")
REASONS = {"failed", "empty", "confidence", "silence", "repeated", "skipped", "doubtful"}


def utterance(name: str = "a", **fields: object) -> Utterance:
    return Utterance(name, str(AUDIO), "", 1.0, **fields)  # type: ignore[arg-type]


def transcript(
    text: str, confidence: float = 0.9, flags: tuple[str, ...] = (), name: str = "a"
) -> Transcript:
    words = tuple(Word(word, 0.0, 1.0, confidence) for word in text.split())
    return Transcript(name, AUDIO, text, -1.0, 1.0, words, flags)


def test_a_kept_utterance_has_the_text_and_keeps_the_rest() -> None:
    given_utterance = utterance(speaker="ann", start=2.5, tags={"snr": 12.0})
    ((kept,), dropped) = select_labels([given_utterance], [transcript("the fox", 0.8)], 0.7)
    assert (kept.id, kept.text, kept.audio, kept.speaker) == ("a", "the fox", str(AUDIO), "ann")
    assert (kept.start, kept.seconds) == (2.5, 1.0)
    assert kept.tags == {"snr": 12.0, "confidence": 0.8}
    assert dropped == []


@pytest.mark.parametrize(
    ("outcome", "reason", "detail"),
    [
        (Failure("a", AUDIO, "a.wav: does not exist"), "failed", "a.wav: does not exist"),
        (transcript(""), "empty", ""),
        (transcript("", flags=("silence",)), "silence", ""),
        (transcript("the fox", flags=("skipped", "doubtful")), "skipped", "the fox"),
        (transcript("the fox", 0.699), "confidence", "0.699: the fox"),
        (
            replace(transcript("the fox"), seconds=30.5),
            "too long",
            "30.5 s; training takes 30 s at most, split it",
        ),
        (transcript("A-T-S-S-S-S."), "repeated", "A-T-S-S-S-S."),
        (transcript("oh the fox The fox the fox the fox"), "repeated", "oh the fox The fox the fox the fox"),
    ],
)
def test_what_is_no_label_is_dropped_with_a_reason(outcome: Outcome, reason: str, detail: str) -> None:
    labels = select_labels([utterance()], [outcome], 0.7)
    assert labels.kept == []
    assert labels.dropped == [RejectedUtterance("a", reason, detail)]
    assert labels.counts() == {reason: 1}


def test_the_mean_over_words_decides_and_the_bound_is_kept() -> None:
    words = (Word("the", 0.0, 0.5, 0.5), Word("fox", 0.5, 1.0, 1.0))
    found = Transcript("a", AUDIO, "the fox", -1.0, 1.0, words)
    assert len(select_labels([utterance()], [found], 0.75).kept) == 1
    assert len(select_labels([utterance()], [found], 0.76).kept) == 0


def test_three_repetitions_are_speech() -> None:
    assert len(select_labels([utterance()], [transcript("no no no")], 0.0).kept) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b c", "d d d d"]),
            st.floats(0, 1),
            st.sampled_from([(), ("silence",), ("doubtful",)]),
        )
    ),
    st.floats(0, 1),
)
def test_every_utterance_is_kept_or_dropped_once(
    drawn: list[tuple[str, float, tuple[str, ...]]], least: float
) -> None:
    utterances = [utterance(str(n)) for n in range(len(drawn))]
    outcomes = [transcript(*each, name=str(n)) for n, each in enumerate(drawn)]
    labels = select_labels(utterances, outcomes, least)
    assert sorted([*(u.id for u in labels.kept), *(d.id for d in labels.dropped)]) == sorted(
        u.id for u in utterances
    )
    assert labels.seconds == len(labels.kept)
    assert all(u.text for u in labels.kept)
    assert sum(labels.counts().values()) == len(labels.dropped)
    assert set(labels.counts()) <= REASONS


def test_the_list_of_dropped_ones_has_a_line_each(tmp_path: Path) -> None:
    dropped = [RejectedUtterance("a", "failed", "two\nlines\tand a tab"), RejectedUtterance("b", "empty", "")]
    write_dropped(tmp_path / "x.dropped.tsv", dropped)
    assert (tmp_path / "x.dropped.tsv").read_text("utf-8").split("\n") == [
        "id\treason\tdetail",
        "a\tfailed\ttwo lines and a tab",
        "b\tempty\t",
        "",
    ]
