"""What was heard, held against the sound and CTC."""

import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from asrattn.decoding.hypothesis import Hypothesis
from asrattn.errors import CheckpointError
from asrattn.inference import hallucination
from asrattn.inference.hallucination import ConfidenceThresholds, filter_hypothesis, remove_repetitions
from asrattn.text import Spelling

A, B, C = 3, 4, 5
LIMITS = ConfidenceThresholds(1.0, 2.0)


def ctc(*labels: int, sure: float = 0.99) -> torch.Tensor:
    """(T, V) log-probabilities that hear these labels, frame by frame."""
    table = torch.full((len(labels), 6), (1 - sure) / 5)
    table[range(len(labels)), list(labels)] = sure
    return table.log()


def heard(*tokens: int, decoder: float = -0.1) -> Hypothesis:
    return Hypothesis(tokens, -1.0, {"attention": decoder * (len(tokens) + 1), "ctc": -1.0})


SPEECH = tiny.wave(1.0)


class TestJudge:
    def test_what_all_agree_on_stands(self) -> None:
        verdict = filter_hypothesis(heard(A, B), ctc(0, A, 0, B, 0), SPEECH, tiny.RATE, LIMITS)
        assert verdict == ((A, B), ())

    @pytest.mark.parametrize(
        "wave",
        [
            np.zeros(tiny.RATE, np.float32),
            1e-5 * np.ones(tiny.RATE, np.float32),
            0.05 * np.random.default_rng(0).standard_normal(tiny.RATE).astype(np.float32),
        ],
        ids=["silence", "next to silence", "steady noise"],
    )
    def test_nothing_is_said_in_silence(self, wave: np.ndarray) -> None:
        assert filter_hypothesis(heard(A, B), ctc(0, A, 0, B, 0), wave, tiny.RATE, LIMITS) == (
            (),
            ("silence",),
        )
        assert filter_hypothesis(heard(), ctc(0, A, 0, B, 0), wave, tiny.RATE, LIMITS) == ((), ())

    def test_nothing_is_said_where_ctc_would_rather_hear_nothing(self) -> None:
        verdict = filter_hypothesis(heard(A), ctc(0, 0, 0, 0), SPEECH, tiny.RATE, LIMITS)
        assert verdict == ((), ("silence",))
        assert filter_hypothesis(heard(A), None, SPEECH, tiny.RATE, LIMITS) == ((A,), ()), (
            "CTC is not always trained"
        )

    def test_a_loop_is_cut_where_ctc_does_not_hear_it(self) -> None:
        looped = (A, *(B, C) * 5, A)
        once = ctc(0, A, 0, B, 0, C, 0, A, 0, 0, 0, 0, 0, 0)
        assert filter_hypothesis(heard(*looped), once, SPEECH, tiny.RATE, LIMITS) == (
            (A, B, C, A),
            ("repeated",),
        )
        often = ctc(*(x for token in looped for x in (token, 0)))
        assert filter_hypothesis(heard(*looped), often, SPEECH, tiny.RATE, LIMITS) == (looped, ())

    def test_without_ctc_a_long_loop_is_reported_and_stays(self) -> None:
        four, ten = heard(A, B, B, B, B), heard(A, *(5 * [B, C]))
        assert filter_hypothesis(four, None, SPEECH, tiny.RATE, LIMITS) == (four.tokens, ())
        assert filter_hypothesis(ten, None, SPEECH, tiny.RATE, LIMITS) == (ten.tokens, ("repeated",))

    def test_speech_without_text_is_told(self) -> None:
        frames = ctc(A, 0, B, 0, C, 0, A, 0, B)
        assert filter_hypothesis(heard(A), frames, SPEECH, tiny.RATE, LIMITS).flags == ("skipped",)

    def test_an_unsure_decoder_is_told(self) -> None:
        frames = ctc(A, 0, B)
        assert filter_hypothesis(heard(A, B, decoder=-1.5), frames, SPEECH, tiny.RATE, LIMITS).flags == (
            "doubtful",
        )


@given(
    st.lists(st.sampled_from([A, B, C]), max_size=6),
    st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=5),
    st.integers(1, 7),
)
# A shorter loop at the seam is cut first, and takes a part of the first phrase.
@example([A, A], [A, A, B, A], 4)
def test_loops_are_what_is_there_four_times(before: list[int], phrase: list[int], times: int) -> None:
    found = remove_repetitions((*before, *phrase * times))
    assert remove_repetitions(found) == found
    assert len(found) < len(before) + times * len(phrase) or times < 4
    for size in range(1, len(found) // 4 + 1):
        for start in range(len(found) - 4 * size + 1):
            parts = {found[start + k * size : start + (k + 1) * size] for k in range(4)}
            assert len(parts) > 1, "a loop is left"


def test_what_is_no_loop_is_left_alone() -> None:
    assert remove_repetitions((A, A, A)) == (A, A, A)
    assert remove_repetitions(()) == ()
    assert remove_repetitions((A, B, A, B, A, B, C)) == (A, B, A, B, A, B, C)


def test_ctc_says_what_torch_says_and_never_what_does_not_fit() -> None:
    frames = ctc(A, 0, B)
    assert hallucination.ctc_log_prob(frames, (A, B)) == pytest.approx(
        math.log(sum(math.exp(float(frames[0, x] + frames[1, y] + frames[2, z])) for x, y, z in PATHS)),
        abs=1e-5,
    )
    assert hallucination.ctc_log_prob(frames, (A, A, B)) == -math.inf
    assert hallucination.ctc_log_prob(frames, ()) == pytest.approx(float(frames[:, 0].sum()))


PATHS = [(A, B, 0), (A, 0, B), (0, A, B), (A, A, B), (A, B, B)]


class TestLimits:
    def test_they_are_learned_from_what_is_usual(self) -> None:
        found = [ConfidenceThresholds(d, 2 * d) for d in np.linspace(0.1, 0.4, 101)]
        limits = ConfidenceThresholds.from_scores(found)
        assert limits.decoder == pytest.approx(1.5 * 0.397)
        assert limits.ctc == pytest.approx(1.5 * 0.794)

    def test_there_and_back(self) -> None:
        assert ConfidenceThresholds.from_plain(LIMITS.to_plain()) == LIMITS
        for plain in (None, {}, {"decoder": "1", "ctc": 1.0}):
            with pytest.raises(CheckpointError, match="run asrattn tune-decoding again"):
                ConfidenceThresholds.from_plain(plain)  # type: ignore[arg-type]


def test_byte_labels_are_those_of_the_spelled_text() -> None:
    """C is punctuation, D is written A B: CTC hears what they spell."""
    D = 6
    spelling = Spelling(((), (), (), (A,), (B,), (), (A, B)))
    frames = ctc(0, A, 0, B, 0)
    assert filter_hypothesis(heard(D, C), frames, SPEECH, tiny.RATE, LIMITS, spelling) == ((D, C), ())
    assert filter_hypothesis(heard(D, D), frames, SPEECH, tiny.RATE, LIMITS, spelling) != ((D, D), ())
    assert hallucination.text_log_prob(frames, (D, C), spelling) == hallucination.ctc_log_prob(frames, (A, B))
    looped = (C, *[D] * 4)
    assert filter_hypothesis(heard(*looped), frames, SPEECH, tiny.RATE, LIMITS, spelling) == (
        (C, D),
        ("repeated",),
    )
