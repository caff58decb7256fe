from pathlib import Path

import pytest

from asrattn.errors import DataError
from asrattn.metrics import NORMALIZERS, score_utterance
from asrattn.metrics.keywords import keyword_recall, read

ROWS = [
    score_utterance("u1", "turn on the light turn on", "turn on the lights"),
    score_utterance("u2", "stop", "stop the light"),
    score_utterance("u3", "the light", "light"),
]


def test_phrases_are_counted_in_references_and_hypotheses() -> None:
    together, each = keyword_recall(["turn on", "the light", "dim"], ROWS)
    assert [(r.phrase, r.occurrences, r.hits, r.false_alarms) for r in each] == [
        ("the light", 2, 0, 1),
        ("turn on", 2, 1, 0),
    ]
    assert (together.occurrences, together.hits, together.false_alarms, together.recall) == (4, 1, 1, 0.25)
    assert together.to_plain() == {
        "phrase": "all",
        "said": 4,
        "heard": 1,
        "false": 1,
        "interval": together.interval,
    }
    assert together.interval[0] <= 0.25 <= together.interval[1] <= 1


def test_a_part_of_a_word_is_not_the_word() -> None:
    _, each = keyword_recall(["light"], ROWS)
    assert [(r.occurrences, r.hits, r.false_alarms) for r in each] == [(2, 1, 1)]


def test_a_phrase_without_occurrences_has_no_recall() -> None:
    together, each = keyword_recall(["dim"], ROWS)
    assert each == []
    assert "recall undefined (never in the references)" in together.line("all")


def test_phrases_go_through_the_normaliser(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("# rooms\nThe Light!\n\nthe light\ntwenty-one\n")
    assert read(path, NORMALIZERS["english"]) == ["the light", "21"]
    path.write_text("# none\n")
    with pytest.raises(DataError, match="holds no phrase"):
        read(path, NORMALIZERS["none"])
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "absent.txt", NORMALIZERS["none"])
