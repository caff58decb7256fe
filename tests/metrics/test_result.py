import json
import re

import pytest

from asrattn.errors import DataError
from asrattn.metrics import (
    NORMALIZERS,
    ErrorCounts,
    SetResult,
    confusions,
    score_utterance,
    summarize,
    worst_utterances,
)
from asrattn.metrics.wer import split_characters

ROWS = [
    score_utterance("u1", "go to the end", "go to end", "ann"),
    score_utterance("u2", "stop", "stopped now", "bob"),
    score_utterance("u3", "yes", "yes", "ann"),
    score_utterance("u4", "to the point", "to a point", "bob"),
    score_utterance("u5", "the", "a", "bob"),
]


def test_the_line_is_written_the_same_way_everywhere() -> None:
    result = SetResult(
        name="test",
        utterances=130,
        wrong_utterances=39,
        word_counts=ErrorCounts(substitutions=40, deletions=8, insertions=5, hits=725),
        char_counts=ErrorCounts(substitutions=31, hits=969),
        wer_interval=(0.051, 0.088),
        cer_interval=(0.023, 0.04),
        ser_interval=(0.22, 0.385),
        error_type_intervals=((0.035, 0.072), (0.004, 0.019), (0.0, 0.0126)),
        unit="speakers",
        rtf=0.0123,
    )
    assert result.line() == (
        "test   130 utterances   773 words   WER 6.9 % [5.1, 8.8]   CER 3.1 % [2.3, 4.0]   SER 30.0 % [22.0, 38.5]"
        "   S 5.2 % [3.5, 7.2]   D 1.0 % [0.4, 1.9]   I 0.6 % [0.0, 1.3]   text none.1-792891ef   RTF 0.012"
    )


def test_a_set_is_summed_up() -> None:
    result = summarize("dev", ROWS)
    assert (result.utterances, result.words, result.unit) == (5, 10, "utterances")
    assert result.wer == pytest.approx(0.5)
    assert result.wer_interval[0] < result.wer < result.wer_interval[1]
    assert re.fullmatch(
        r"dev   5 utterances   10 words   WER 50\.0 % \[.+, .+\]   CER .+ % \[.+, .+\]   SER 80\.0 % \[.+, .+\]"
        r"   S 30\.0 % \[.+, .+\]   D 10\.0 % \[.+, .+\]   I 10\.0 % \[.+, .+\]   text none\.1-\w{8}",
        result.line(),
    )


def test_the_plain_values_say_what_the_line_says() -> None:
    plain = json.loads(json.dumps(summarize("dev", ROWS, rtf=0.5).to_plain()))
    assert plain["words"] == {"substitutions": 3, "deletions": 1, "insertions": 1, "hits": 6, "reference": 10}
    assert (plain["wer"]["rate"], plain["ser"]["rate"], plain["insertion_rate"]["rate"]) == (0.5, 0.8, 0.1)
    assert plain["ser"]["interval"] == list(summarize("dev", ROWS).ser_interval)
    assert (plain["resampled"], plain["rtf"]) == ("utterances", 0.5)


def test_each_rate_has_the_interval_of_its_own_counts() -> None:
    rows = [score_utterance(f"u{i}", "a b", ("a b", "a", "a b c", "x y")[i % 4]) for i in range(60)]
    result = summarize("dev", rows)
    for rate, ends in zip((1 / 4, 1 / 8, 1 / 8), result.error_type_intervals, strict=True):
        assert ends[0] < rate < ends[1]
    assert result.ser_interval[0] < 0.75 < result.ser_interval[1]


def test_a_set_without_a_word_is_told_rather_than_divided() -> None:
    line = summarize("noise", [score_utterance("n1", "", "uh huh"), score_utterance("n2", "", "")]).line()
    assert "WER undefined (2 insertions, empty reference)" in line


def test_an_empty_set_is_an_error() -> None:
    with pytest.raises(DataError, match="dev: no utterance"):
        summarize("dev", [])


def test_the_worst_come_first_and_the_faultless_never() -> None:
    assert [row.id for row in worst_utterances(ROWS, 10)] == ["u2", "u5", "u4", "u1"]
    assert [row.id for row in worst_utterances(ROWS, 1)] == ["u2"]


def test_confusions_are_counted_over_the_set() -> None:
    found = confusions(ROWS, 10)
    assert found[0] == ("the", "a", 2)
    assert ("the", "", 1) in found
    assert sum(times for _, _, times in found) == summarize("dev", ROWS).word_counts.errors
    assert confusions(ROWS, 1) == [("the", "a", 2)]


def test_confusions_of_characters() -> None:
    rows = [score_utterance("u1", "go  to", "got o"), score_utterance("u2", "ab", "xb")]
    found = confusions(rows, 10, split_characters)
    assert ("a", "x", 1) in found
    assert sum(times for _, _, times in found) == summarize("dev", rows).char_counts.errors


def test_both_texts_are_normalised() -> None:
    assert (
        score_utterance("u", "Don’t STOP!", "don't stop", normalizer=NORMALIZERS["plain"]).words.errors == 0
    )
    assert score_utterance("u", "Don’t STOP!", "don't stop").words.errors == 2
