"""Words and their times: grouping, borders on made sounds, and the same over pieces of a long file."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrattn.forced_alignment import TokenSpan
from asrattn.inference.batching import pad_texts
from asrattn.inference.recognizer import Recognizer
from asrattn.inference.transcript import Transcript, Word
from asrattn.inference.word_timing import (
    AlignedToken,
    AlignmentSource,
    FrameTiming,
    WordTokens,
    compute_word_times,
    confidence_features,
    split_to_words,
    token_spans,
)
from asrattn.text import EOS, UNKNOWN, BpeTokenizer, CharTokenizer, clean

RATE = 16000
FRAMES = FrameTiming(width=1360, stride=640, rate=RATE)  # 85 and 40 ms


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(tiny.model_file(tmp_path_factory.mktemp("model")), device="cpu")


def bursts(*heard: tuple[float, float], seconds: float = 3.0) -> np.ndarray:
    """(S,) noise between the times, and next to nothing elsewhere."""
    random = np.random.default_rng(0)
    wave = 1e-3 * random.standard_normal(round(seconds * RATE))
    for start, end in heard:
        wave[round(start * RATE) : round(end * RATE)] += 0.3 * random.standard_normal(
            round(end * RATE) - round(start * RATE)
        )
    return wave.astype(np.float32)


def peaks(*seconds: float) -> list[TokenSpan]:
    """A token at the frame around each time."""
    frames = [round((s * RATE - (FRAMES.width - FRAMES.stride) / 2) / FRAMES.stride - 0.5) for s in seconds]
    return [TokenSpan(5, t, t + 1, -0.1) for t in frames]


class TestGroups:
    @given(st.lists(st.sampled_from("ab ß⁇"), max_size=12).map("".join))
    def test_they_are_the_words_of_the_text(self, text: str) -> None:
        tokenizer = CharTokenizer(" abß")
        tokens = tokenizer.encode_lossy(text)
        found = split_to_words(tokens, tokenizer)
        assert [g.text for g in found] == clean(tokenizer.decode(tokens)).split()
        for group in found:
            assert tokenizer.decode(tokens[group.first : group.last + 1]) == group.text

    def test_of_pieces(self) -> None:
        text = "the quick brown fox jumps over the lazy dog"
        tokenizer = BpeTokenizer.train([text, "a quick dog"], 40)
        tokens = tokenizer.encode(text)
        found = split_to_words(tokens, tokenizer)
        assert [g.text for g in found] == text.split()
        assert all(a.last < b.first for a, b in pairwise(found))
        assert all(clean(tokenizer.decode(tokens[g.first : g.last + 1])) == g.text for g in found)

    def test_without_spaces_each_token_is_a_word(self) -> None:
        tokenizer = CharTokenizer("今天好")
        assert [g.text for g in split_to_words(tokenizer.encode("今天好"), tokenizer)] == ["今", "天", "好"]

    def test_what_is_unknown_is_shown(self) -> None:
        tokenizer = CharTokenizer(" ab")
        (group,) = split_to_words([tokenizer.encode("a")[0], UNKNOWN], tokenizer)
        assert group == (0, 1, "a⁇")


class TestTimes:
    tokenizer = CharTokenizer(" ab")

    def words(self, text: str, found: Sequence[TokenSpan], wave: np.ndarray) -> list[Word]:
        return compute_word_times(
            split_to_words(self.tokenizer.encode(text), self.tokenizer), found, FRAMES, wave
        )

    def test_pauses_part_the_words(self) -> None:
        heard = [(0.4, 0.9), (1.2, 1.6), (2.0, 2.6)]
        found = self.words("a b a", peaks(0.6, 1.0, 1.4, 1.8, 2.3), bursts(*heard))
        assert [w.text for w in found] == ["a", "b", "a"]
        for word, (start, end) in zip(found, heard, strict=True):
            assert (word.start, word.end) == (pytest.approx(start, abs=0.03), pytest.approx(end, abs=0.03))

    def test_without_a_pause_the_quietest_place_does(self) -> None:
        wave = bursts((0.0, 3.0))
        wave[round(1.48 * RATE) : round(1.52 * RATE)] *= 0.2
        first, second = self.words("a b", peaks(1.0, 1.3, 2.0), wave)
        assert first.end == second.start == pytest.approx(1.5, abs=0.02)

    @pytest.mark.parametrize(
        ("text", "at"),
        [("a b", (0.1, 1.0, 2.5)), ("ab ba", (0.1, 1.4, 1.5, 1.3, 2.9)), ("a b", (0.7, 1.3, 1.5))],
        ids=["at the edges", "in the pause", "near"],
    )
    def test_a_token_that_peaks_in_silence_was_said_beside_it(self, text: str, at: tuple[float, ...]) -> None:
        first, second = self.words(text, peaks(*at), bursts((0.8, 1.2), (1.6, 2.1)))
        assert (first.start, first.end) == (pytest.approx(0.8, abs=0.03), pytest.approx(1.2, abs=0.03))
        assert (second.start, second.end) == (pytest.approx(1.6, abs=0.03), pytest.approx(2.1, abs=0.03))

    def test_a_long_word_reaches_from_its_first_to_its_last_token(self) -> None:
        (word,) = self.words("abab", peaks(0.6, 0.9, 1.2, 2.0), bursts((0.4, 2.4)))
        assert (word.start, word.end) == (pytest.approx(0.4, abs=0.03), pytest.approx(2.4, abs=0.03))

    def test_nothing_said_has_no_words(self) -> None:
        assert self.words("", [], bursts((0.4, 0.9))) == []

    @given(
        st.lists(st.integers(0, 70), min_size=5, max_size=5, unique=True),
        st.integers(0, 3),
        st.floats(0.05, 3.0),
    )
    def test_they_are_in_order_and_within_the_sound(self, at: list[int], seed: int, seconds: float) -> None:
        wave = tiny.wave(seconds, seed, RATE)
        found = self.words("a b a", [TokenSpan(5, t, t + 1, -1.0) for t in sorted(at)], wave)
        assert all(0 <= w.start <= w.end <= seconds + 1e-3 for w in found)
        assert all(a.end <= b.start for a, b in pairwise(found))


class TestPunctuation:
    """Tokens without CTC labels have empty spans."""

    def test_words_begin_and_end_where_their_spoken_tokens_do(self) -> None:
        tokenizer = CharTokenizer(' a"b.')
        spoken = peaks(0.5, 0.7, 1.5, 1.7)
        wave = bursts((0.45, 0.75), (1.45, 1.75))
        plain = compute_word_times(
            split_to_words(tokenizer.encode("aa bb"), tokenizer),
            [*spoken[:2], TokenSpan(3, 18, 19, 0.0), *spoken[2:]],
            FRAMES,
            wave,
        )
        a, b, c, d = spoken
        silent = [TokenSpan(5, end, end, 0.0) for end in (0, b.end, 19, 19, d.end)]
        spans = [silent[0], a, b, silent[1], TokenSpan(3, 18, 19, 0.0), silent[2], c, d, silent[4]]
        words = split_to_words(tokenizer.encode('"aa. "bb.'), tokenizer)
        found = compute_word_times(words, spans, FRAMES, wave)
        assert [(w.start, w.end) for w in found] == [(w.start, w.end) for w in plain]

    def test_confidence_by_ctc_is_of_the_spoken_tokens(self) -> None:
        spans = [TokenSpan(5, 3, 4, -0.5), TokenSpan(6, 4, 4, 0.0)]
        tokens = [AlignedToken(span, -0.2) for span in spans]
        found = confidence_features(WordTokens(0, 1, "a."), tokens)
        assert (found.ctc, found.ctc_min) == (-0.5, -0.5)
        assert found.decoder == pytest.approx(-0.2)
        silent = confidence_features(WordTokens(1, 1, "."), tokens)
        assert (silent.ctc, silent.ctc_min) == (0.0, 0.0)


class TestListen:
    def test_attention_looks_where_its_weight_is(self, recognizer: Recognizer) -> None:
        wave, tokens = tiny.wave(1.0), recognizer.tokenizer.encode("the dog")
        (found,) = heard(recognizer, [wave], [tokens], "attention")
        weights = recognizer.compute_attention(wave, tokens).weights
        assert [s.span.token for s in found] == tokens
        assert [s.span.start for s in found] == weights[: len(tokens)].argmax(1).tolist()

    def test_the_decoder_gives_each_token_its_log_probability(self, recognizer: Recognizer) -> None:
        wave, tokens = tiny.wave(1.0), recognizer.tokenizer.encode("fox")
        batch = torch.from_numpy(wave)[None], torch.tensor([len(wave)])
        with torch.inference_mode():
            enc = recognizer.model.encode(*batch)
            logits = recognizer.model.decoder(torch.tensor([[EOS, *tokens]]), enc.output, enc.lens).logits[0]
        for by in ("ctc", "attention"):
            (found,) = heard(recognizer, [wave], [tokens], by)
            for u, token in enumerate(tokens):
                assert found[u].decoder_log_prob == pytest.approx(
                    logits[u].log_softmax(-1)[token].item(), abs=1e-5
                )

    def test_a_text_too_long_for_ctc_is_told_by_attention_and_the_others_are_not(
        self, recognizer: Recognizer
    ) -> None:
        waves = [tiny.wave(1.0), tiny.wave(0.2, 1)]
        texts = [recognizer.tokenizer.encode(text) for text in ("fox", "the quick brown fox")]
        first, second = (places(said) for said in heard(recognizer, waves, texts))
        assert first == places(heard(recognizer, waves[:1], texts[:1])[0])
        assert second == places(heard(recognizer, waves, texts, "attention")[1])


def heard(
    recognizer: Recognizer, waves: list[np.ndarray], texts: list[list[int]], by: AlignmentSource = "ctc"
) -> list[list[AlignedToken]]:
    tokens, _ = pad_texts(texts, recognizer.device)
    return token_spans(recognizer.model, *recognizer.encode(waves), tokens, texts, by)


def places(said: Sequence[AlignedToken]) -> list[tuple[int, ...]]:
    return [token.span[:3] for token in said]


class TestTranscripts:
    def test_words_are_the_text_with_times_within_the_file(
        self, recognizer: Recognizer, tmp_path: Path
    ) -> None:
        path = tiny.sound(tmp_path / "long.wav", 70.0)
        plain, timed = (next(recognizer.transcribe([path], words=words)) for words in (False, True))
        assert isinstance(plain, Transcript)
        assert isinstance(timed, Transcript)
        assert plain.words == ()
        assert timed.text == plain.text == " ".join(w.text for w in timed.words)
        assert all(0 <= w.start <= w.end <= 70.0 for w in timed.words)
        starts = [w.start for w in timed.words]
        assert starts == sorted(starts)
        assert starts[-1] > 30  # the last piece's are later than its own
