from pathlib import Path

import pytest

from asrattn.errors import ManifestError
from asrattn.metrics import hypothesis_file
from asrattn.metrics.hypothesis_file import HypothesisLine


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lines = [
        HypothesisLine("a", "go on", -1.5, confidence=(0.5, 1.0)),
        HypothesisLine("b", ""),
        HypothesisLine("ሐ", "ሰላም", normalizer="basic.1-0"),
    ]
    hypothesis_file.write(tmp_path / "new" / "hyp.jsonl", lines)
    assert hypothesis_file.read(tmp_path / "new" / "hyp.jsonl") == lines
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["hyp.jsonl"]


def test_other_fields_may_stand_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "hyp.jsonl"
    path.write_text('{"id": "a", "text": "go", "seconds": 1.5, "words": [["go", 0.1]]}\n\n')
    assert hypothesis_file.read(path) == [HypothesisLine("a", "go")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "text": "x"}\n{"id": "a"', r"hyp.jsonl:2: is no JSON"),
        ('["a", "x"]', r"hyp.jsonl:1: is no JSON object"),
        ('{"id": "a"}', r"hyp.jsonl:1: lacks the field 'text'"),
        ('{"text": "x"}', r"hyp.jsonl:1: lacks the field 'id'"),
        ('{"id": 3, "text": "x"}', r"hyp.jsonl:1: id is 3, of the wrong type"),
        (
            '{"id": "a", "text": "x", "confidence": 2}',
            r"hyp.jsonl:1: confidence is 2; give a number from 0 to 1",
        ),
        ('{"id": "a", "text": "x", "confidence": [1, 1]}', r"hyp.jsonl:1: 2 confidences for 1 words"),
        ('{"id": "a", "text": "x", "normalizer": 1}', r"hyp.jsonl:1: normalizer is 1, of the wrong type"),
        ('{"id": "a", "text": "x", "score": "high"}', r"hyp.jsonl:1: score is 'high', of the wrong type"),
        (
            '{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}',
            r"hyp.jsonl:3: id 'a' stands already on line 1",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "hyp.jsonl"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        hypothesis_file.read(path)


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        hypothesis_file.read(tmp_path / "absent.jsonl")
    with pytest.raises(ManifestError, match="is a folder"):
        hypothesis_file.read(tmp_path)
    (tmp_path / "wave").write_bytes(b"RIFF\xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8"):
        hypothesis_file.read(tmp_path / "wave")
