"""ARPA files: what is written is read again, what others write is read, and what is broken is told with its line."""

import gzip
import math
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrattn import lm
from asrattn.errors import LMError
from asrattn.lm import arpa

# As SRILM writes it: a note before the data, tabs, no back-off where nothing follows, no <unk>, words in any order.
SRILM = """
made by hand

\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-0.60206\t</s>
-99\t<s>\t-0.30103
-0.30103\ta\t-0.1760913
-0.60206\tb

\\2-grams:
-0.30103 <s> a
-0.1249387\ta\tb
-0.60206\ta </s>

\\end\\
"""


def same(a: lm.NGram, b: lm.NGram) -> None:
    assert (a.words, a.units, a.starts) == (b.words, b.units, b.starts)
    assert (a.keys == b.keys).all()
    assert (a.suffix == b.suffix).all()
    np.testing.assert_allclose(a.log_prob, b.log_prob, rtol=1e-7)
    np.testing.assert_allclose(a.backoff, b.backoff, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ["a.arpa", "a.arpa.gz"])
@settings(max_examples=20)
@given(
    sentences=st.lists(st.lists(st.sampled_from(["a", "b", "é", "日本"]), max_size=5), max_size=6).filter(
        any
    ),
    order=st.integers(1, 4),
    kind=st.sampled_from(sorted(lm.SMOOTHINGS)),
)
def test_a_round_trip(tmp_path_factory, name, sentences, order, kind):
    path = tmp_path_factory.mktemp("arpa") / name
    model = lm.estimate(lm.count_ngrams(sentences, order), kind, units="word")
    arpa.write(path, model)
    same(arpa.read(path), model)
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_what_is_written_is_what_other_programs_expect(tmp_path):
    arpa.write(tmp_path / "a.arpa", lm.estimate(lm.count_ngrams([["a", "b"], ["a"]], 2), units="word"))
    lines = (tmp_path / "a.arpa").read_text().splitlines()
    assert lines[:6] == ["# asrattn units=word", "", "\\data\\", "ngram 1=5", "ngram 2=4", ""]
    assert any(line.startswith("-99\t<s>\t-") for line in lines)
    assert any(line.endswith("\t<unk>") for line in lines)
    longest = lines[lines.index("\\2-grams:") + 1 : -2]
    assert [len(line.split("\t")) for line in longest] == [2] * 4
    assert [line.split("\t")[1] for line in longest] == ["<s> a", "a </s>", "a b", "b </s>"]
    assert lines[-1] == "\\end\\"


def test_zipping_makes_the_same_bytes_each_time(tmp_path):
    model = lm.estimate(lm.count_ngrams(["ab"], 2))
    for name in ("a.gz", "b.gz"):
        arpa.write(tmp_path / name, model)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_what_others_write(tmp_path):
    (tmp_path / "a.arpa").write_text(SRILM)
    model = arpa.read(tmp_path / "a.arpa", units="word")
    assert model.units == "word"
    assert naive.prob(model, "b", ("a",)) == pytest.approx(0.75)
    assert naive.prob(model, "a", ("a",)) == pytest.approx(10**-0.1760913 * 0.5)
    assert naive.prob(model, "b", ("<s>",)) == pytest.approx(0.5 * 0.25)
    assert model.log_prob[model.ids["<unk>"] + 1] == pytest.approx(-100 * math.log(10))
    (tmp_path / "b.gz").write_bytes(gzip.compress(SRILM.encode()))
    same(arpa.read(tmp_path / "b.gz", units="word"), model)


def test_a_model_whose_shorter_n_grams_were_pruned(tmp_path):
    """SRILM keeps a b c without b c: then c after b is found by backing off."""
    grams = SRILM.replace("ngram 2=3", "ngram 2=3\nngram 3=1").replace(
        "\\end\\", "\\3-grams:\n-0.1\t<s> a a\n\n\\end\\"
    )
    (tmp_path / "a.arpa").write_text(grams)
    model = arpa.read(tmp_path / "a.arpa")
    assert naive.prob(model, "a", ("<s>", "a")) == pytest.approx(10**-0.1)
    assert naive.table(model).keys() >= {("<s>", "a", "a")}
    assert model.suffix[-1] == model.ids["a"] + 1
    found = lm.perplexity(model, [["a", "a"]])
    end = naive.prob(model, "</s>", ("<s>", "a", "a"))
    assert found.log_prob == pytest.approx(math.log(0.5 * 10**-0.1 * end))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\\data\\", "\\dta\\", "no line"),
        ("ngram 2=3", "ngram 3=3", ":6: should be ngram 2=COUNT"),
        ("ngram 1=4\nngram 2=3", "", "should say how many"),
        ("\\1-grams:", "\\2-grams:", ":8: is not the header"),
        ("-0.60206\tb", "-0.60206", ":12: is no 1-gram"),
        ("-0.60206\tb", "-x\tb", ":12: does not begin"),
        ("-0.60206\tb", "0.5\tb", ":12: has a log-probability of 0.5"),
        ("-0.60206\tb", "nan\tb", ":12: has a log-probability of nan"),
        ("-0.60206\tb", "-0.60206\ta", ":12: a has been there before"),
        ("-0.60206\tb", "-0.60206\tb\n-1\tc", ":13: is not the header"),
        ("-0.30103 <s> a\n", "", ":17: should be one of 3 2-grams, of which 2 are here"),
        ("a </s>", "a new", ":17: new is no 1-gram"),
        ("-0.60206\ta </s>", "-0.60206\ta b", ":17: this n-gram has been there before"),
        ("-0.60206\ta </s>", "-0.60206\ta b c d e", ":17: is no 2-gram"),
        ("\\end\\", "", "ends before"),
        ("\\end\\", "\\3-grams:", "should be \\end\\"),
        ("made by hand", "# asrattn units=syllable", ":2: units 'syllable' are unknown"),
    ],
)
def test_broken_files(tmp_path, old, new, told):
    path = tmp_path / "a.arpa"
    path.write_text(SRILM.replace(old, new, 1))
    with pytest.raises(LMError) as error:
        arpa.read(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("empty", ["", "\\3-grams:\n\n", "\\3-grams:\n\n\\4-grams:\n", "\\4-grams:\n"])
def test_orders_without_n_grams_need_no_section(tmp_path, empty):
    """As pruning leaves them: the order is that of the longest n-gram."""
    (tmp_path / "whole").write_text(SRILM)
    text = SRILM.replace("ngram 2=3", "ngram 2=3\nngram 3=0\nngram 4=0").replace("\\end\\", empty + "\\end\\")
    (tmp_path / "a.arpa").write_text(text)
    whole, found = arpa.read(tmp_path / "whole"), arpa.read(tmp_path / "a.arpa")
    assert (found.order, found.sizes) == (2, whole.sizes)
    assert found.keys.tolist() == whole.keys.tolist()


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (
            b"mmap lm http://kheafield.com/code format version 5\n\0\0\xff",
            "is a KenLM binary; give the ARPA file",
        ),
        (b"SRILM_BINARY_NGRAM_002\n\0\0", "is a SRILM binary; give the ARPA file"),
        (b"blmt 3 1 2 3\n", "is a IRSTLM binary; give the ARPA file"),
    ],
)
def test_binaries_of_other_programs_are_named(tmp_path, start, told):
    (tmp_path / "lm.bin").write_bytes(start)
    for act in (arpa.read, arpa.check):
        with pytest.raises(LMError, match=told):
            act(tmp_path / "lm.bin")


def test_a_number_of_n_grams_with_thousands_of_digits(tmp_path):
    (tmp_path / "a.arpa").write_text(SRILM.replace("ngram 1=4", "ngram 1=" + "4" * 5000))
    with pytest.raises(LMError, match="should be ngram 1=COUNT"):
        arpa.read(tmp_path / "a.arpa")


def test_lines_and_what_follows_the_end_are_bounded(tmp_path):
    """A few zipped bytes may stand for gigabytes."""
    (tmp_path / "line.arpa.gz").write_bytes(gzip.compress(b"a" * (1 << 25), 1))
    with pytest.raises(LMError, match=r":1: is longer than 16777216 bytes"):
        arpa.read(tmp_path / "line.arpa.gz")
    (tmp_path / "end.arpa.gz").write_bytes(gzip.compress(SRILM.encode() + bytes(1 << 25), 1))
    with pytest.raises(LMError, match=r"goes on for long after \\end\\"):
        arpa.read(tmp_path / "end.arpa.gz")


def test_the_checksum_of_a_zipped_file_counts(tmp_path):
    whole = gzip.compress(SRILM.encode())
    (tmp_path / "a.arpa.gz").write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])
    with pytest.raises(LMError, match="truncated or damaged"):
        arpa.read(tmp_path / "a.arpa.gz")


def test_a_history_that_is_not_there(tmp_path):
    grams = SRILM.replace("ngram 2=3", "ngram 2=3\nngram 3=1")
    (tmp_path / "a.arpa").write_text(grams.replace("\\end\\", "\\3-grams:\n-0.1\tb b a\n\n\\end\\"))
    with pytest.raises(LMError, match=r":21: its first 2 words are no 2-gram"):
        arpa.read(tmp_path / "a.arpa")


def test_files_that_are_none(tmp_path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(SRILM.encode() * 50)[:60])
    (tmp_path / "latin.arpa").write_bytes(SRILM.replace("\ta", "\tä").replace(" a", " ä").encode("latin-1"))
    for name, told in {
        "absent.arpa": "does not exist",
        "": "is a folder",
        "cut.gz": "truncated",
        "latin.arpa": "not UTF-8",
    }.items():
        with pytest.raises(LMError, match=told):
            arpa.read(Path(tmp_path, name))
    with pytest.raises(LMError, match="cannot be written"):
        arpa.write(tmp_path / "latin.arpa" / "a.arpa", lm.estimate(lm.count_ngrams(["ab"], 1)))
