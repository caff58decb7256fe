"""Text ⇄ tokens over scripts, what is told about unknown characters, and strict reading of plain values."""

import base64
import json
import pickle
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asrattn import config, text
from asrattn.errors import AsrattnError, CheckpointError, ConfigError, TextError

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "tilfinningaleg hlýja er mjög mikilvæg á öllum stigum",
    "съешь же ещё этих мягких французских булок",
    "我能吞下玻璃而不傷身體 你好 世界",
    "نصٌّ حكيمٌ له سرٌّ قاطعٌ",
    "हिन्दी में लिखा हुआ",
    "q̃ x̣̂ combining marks that have no composed form",
    "👩‍👩‍👧 and ❤️ and 🇮🇸",
]
SCRIPTS = {
    "latin": st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_categories=["C"]),
    "cyrillic": st.characters(min_codepoint=0x400, max_codepoint=0x4FF, exclude_categories=["C"]),
    "han": st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF, exclude_categories=["C"]),
    "arabic": st.characters(min_codepoint=0x600, max_codepoint=0x6FF, exclude_categories=["Cc", "Cs", "Cn"]),
    "marks": st.sampled_from("aeoxq ") | st.characters(min_codepoint=0x300, max_codepoint=0x36F),
    "emoji": st.characters(min_codepoint=0x1F300, max_codepoint=0x1F64F) | st.sampled_from("\u200d\ufe0f ❤"),
}
anything = st.characters(exclude_categories=["Cc", "Cs", "Cn"])


@pytest.fixture(scope="module", params=["char", "bpe"])
def tokenizer(request):
    return trained(request.param, TEXTS)


def trained(kind: str, texts: list[str]) -> text.Tokenizer:
    if kind == "char":
        return text.train(text.CharConfig(), texts)
    return text.train(text.BpeConfig(size=4 + len(set("".join(map(text.clean, texts))) | {" "})), texts)


def words_of(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.text(alphabet, min_size=1, max_size=30), min_size=1, max_size=4)


# round trips


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_characters_of_every_script_come_back(script, data):
    texts = data.draw(words_of(SCRIPTS[script]))
    assume(any(t.strip() for t in texts))
    tokenizer = text.train(text.CharConfig(), texts)
    for sentence in [*texts, "".join(reversed(texts[0]))]:
        if set(text.clean(sentence)) <= set(tokenizer.characters):
            tokens = tokenizer.encode(sentence)
            assert tokenizer.decode(tokens) == text.clean(sentence)
            assert all(text.RESERVED <= t < tokenizer.size for t in tokens)


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
@settings(max_examples=25)
def test_pieces_of_every_script_come_back(script, data):
    texts = data.draw(words_of(SCRIPTS[script]))
    assume(any(t.strip() for t in texts))
    size = text.RESERVED + len(set("".join(map(text.clean, texts))) | {" "})
    tokenizer = text.train(text.BpeConfig(size=size), texts)
    for sentence in texts:
        tokens = tokenizer.encode(sentence)
        assert tokenizer.decode(tokens) == text.clean(sentence)
        assert all(text.RESERVED <= t < tokenizer.size for t in tokens)


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_the_training_texts_come_back(kind):
    tokenizer = trained(kind, TEXTS)
    for sentence in TEXTS:
        assert tokenizer.decode(tokenizer.encode(sentence)) == unicodedata.normalize("NFC", sentence)


def test_typed_either_way_a_letter_is_one_token(tokenizer):
    assert tokenizer.encode("hly\u0301ja") == tokenizer.encode("hl\u00fdja")


def test_whitespace_collapses(tokenizer):
    assert tokenizer.encode("  the \t quick\u00a0\r\nfox ") == tokenizer.encode("the quick fox")
    assert tokenizer.encode(" \n ") == []
    assert tokenizer.decode([]) == ""


def test_characters_are_tokens_and_the_space_is_one():
    tokenizer = text.train(text.CharConfig(), ["ba ab", "c"])
    assert tokenizer == text.CharTokenizer(" abc")
    assert tokenizer.size == 7
    assert tokenizer.encode("a b") == [4, 3, 5]
    assert tokenizer.decode([3]) == " "


def test_reserved_ids(tokenizer):
    assert (text.BLANK, text.EOS, text.UNKNOWN) == (0, 1, 2)
    tokens = tokenizer.encode("the fox")
    framed = [text.EOS, text.BLANK, *tokens, text.EOS]
    assert tokenizer.decode(framed) == "the fox"
    assert tokenizer.decode([*tokens, text.UNKNOWN]) == "the fox⁇"


def test_pieces_get_shorter_texts(shared_data):
    sentences = icelandic(shared_data)
    tokenizer = text.train(text.BpeConfig(size=300), sentences)
    assert tokenizer.size == 300
    tokens = sum(len(tokenizer.encode(s)) for s in sentences)
    assert tokens < 0.6 * sum(map(len, sentences))
    for sentence in sentences:
        assert tokenizer.decode(tokenizer.encode(sentence)) == text.clean(sentence)


def test_real_icelandic_by_character(shared_data):
    sentences = icelandic(shared_data)
    tokenizer = text.train(text.CharConfig(), sentences)
    assert set("þðæöáéíóúý ") <= set(tokenizer.characters)
    for sentence in sentences:
        tokens = tokenizer.encode(sentence)
        assert len(tokens) == len(text.clean(sentence))
        assert tokenizer.decode(tokens) == text.clean(sentence)


def icelandic(shared_data) -> list[str]:
    lines = (shared_data / "samromur" / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 400
    return [line.split("\t")[4] for line in lines[1:]]


# what is unknown


def test_unknown_characters_are_named_with_their_text(tokenizer):
    with pytest.raises(TextError) as caught:
        tokenizer.encode("the Zebra ate ß")
    message = str(caught.value)
    assert "'Z' (U+005A), 'ß' (U+00DF)" in message
    assert "the Zebra ate ß" in message
    assert "\n" not in message
    with pytest.raises(TextError, match="…"):
        tokenizer.encode("Z" * 500)


def test_lossy_puts_unknown_in_their_place(tokenizer):
    assert tokenizer.decode(tokenizer.encode_lossy("the Z fox")) == "the ⁇ fox"
    assert text.UNKNOWN not in tokenizer.encode_lossy("the fox")
    assert tokenizer.encode_lossy("the fox") == tokenizer.encode("the fox")


@given(sentence=st.text(max_size=30))
def test_any_text_is_encoded_or_told(tokenizer, sentence):
    tokens = tokenizer.encode_lossy(sentence)
    assert all(text.UNKNOWN <= t < tokenizer.size for t in tokens)
    if text.UNKNOWN in tokens:
        with pytest.raises(TextError, match="unknown characters"):
            tokenizer.encode(sentence)
    else:
        assert tokenizer.decode(tokenizer.encode(sentence)) == text.clean(sentence)


@pytest.mark.parametrize("sign", ["▁", "\uffff", "▅"])
def test_signs_that_sentencepiece_uses_are_refused(sign):
    with pytest.raises(TextError, match=f"U\\+{ord(sign):04X}.* signs of sentencepiece's own"):
        text.train(text.BpeConfig(size=12), [f"ab {sign} cd"])


@given(texts=words_of(anything))
def test_pieces_know_every_other_character_of_their_texts(texts):
    characters = set("".join(map(text.clean, texts)))
    assume(characters and not characters & set("▁▅\uffff"))
    tokenizer = text.train(text.BpeConfig(size=text.RESERVED + len(characters | {" "})), texts)
    for sentence in texts:
        assert tokenizer.decode(tokenizer.encode(sentence)) == text.clean(sentence)


def test_tokens_that_do_not_exist(tokenizer):
    for token in (-1, tokenizer.size, 10**6):
        with pytest.raises(TextError, match=f"token {token} does not exist"):
            tokenizer.decode([3, token])


# training


@pytest.mark.parametrize("settings", [text.CharConfig(), text.BpeConfig(size=20)])
@pytest.mark.parametrize("texts", [[], ["", "  \n"]])
def test_no_text_to_train_on(settings, texts):
    with pytest.raises(TextError, match="no text to train"):
        text.train(settings, texts)


@pytest.mark.parametrize("settings", [text.CharConfig(), text.BpeConfig(size=20)])
@pytest.mark.parametrize("odd", ["\0", "\x7f", "\ud800"])
def test_control_characters_are_refused(settings, odd):
    with pytest.raises(TextError, match=f"control characters .*U\\+{ord(odd):04X}"):
        text.train(settings, ["good", f"ba{odd}d"])


def test_a_size_that_does_not_suit():
    with pytest.raises(TextError, match="set size=14 or more"):
        text.train(text.BpeConfig(size=8), ["abcde fghij"])
    with pytest.raises(TextError, match="set size=6 or less"):
        text.train(text.BpeConfig(size=500), ["a"])
    with pytest.raises(ConfigError, match="size: 3 is too small"):
        text.BpeConfig(size=3)


def test_long_texts_count_as_well():
    tokenizer = text.train(text.BpeConfig(size=40), ["short", "ж" * 20000 + " end"])
    assert tokenizer.decode(tokenizer.encode("end ж")) == "end ж"


def test_training_is_deterministic_and_quiet(capfd):
    first = trained("bpe", TEXTS)
    assert trained("bpe", TEXTS).to_plain() == first.to_plain()
    assert trained("char", TEXTS[::-1]) == trained("char", TEXTS)
    assert capfd.readouterr() == ("", "")


def test_training_takes_any_iterable():
    assert text.train(text.CharConfig(), (t for t in ["ab", "bc"])).characters == "abc"
    assert text.train(text.BpeConfig(size=8), (t for t in ["ab", "bc"])).size == 8


# plain values


def test_plain_values_survive_json(tokenizer):
    plain = json.loads(json.dumps(tokenizer.to_plain()))
    again = text.from_plain(plain)
    assert again == tokenizer
    assert again.size == tokenizer.size
    for sentence in TEXTS:
        assert again.encode(sentence) == tokenizer.encode(sentence)


def test_tokenizers_travel_to_other_processes(tokenizer):
    tokens = tokenizer.encode("the fox")
    assert pickle.loads(pickle.dumps(tokenizer)).encode("the fox") == tokens


def test_another_librarys_model_is_refused():
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab ba"]), model_writer=model, vocab_size=6, model_type="bpe", minloglevel=2
    )
    with pytest.raises(CheckpointError, match="reserves other ids"):
        text.from_plain({"kind": "bpe", "model": base64.b64encode(model.getvalue()).decode()})


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        "char",
        {},
        {"kind": "char"},
        {"kind": "word", "characters": "ab"},
        {"kind": "char", "characters": ["a", "b"]},
        {"kind": "char", "characters": "aba"},
        {"kind": "char", "characters": ""},
        {"kind": "char", "characters": "ab", "extra": 1},
        {"kind": "bpe", "model": 5},
        {"kind": "bpe", "model": "no base64!"},
        {"kind": "bpe", "model": ""},
        {"kind": "bpe", "model": "Z2FyYmFnZQ=="},
        {"kind": "bpe", "model": "ab", "size": 5},
    ],
)
def test_damaged_plain_values(plain):
    with pytest.raises(CheckpointError, match="the tokenizer") as caught:
        text.from_plain(plain)
    assert "\n" not in str(caught.value)


@given(cut=st.integers(0, 2000), flip=st.integers(0, 255))
def test_a_damaged_model_is_told_or_works(cut, flip):
    model = bytearray(base64.b64decode(PLAIN["model"]))
    model[cut % len(model)] ^= flip
    for damaged in (bytes(model), bytes(model[: cut % len(model)])):
        try:
            tokenizer = text.from_plain({"kind": "bpe", "model": base64.b64encode(damaged).decode()})
        except AsrattnError:
            continue
        assert tokenizer.size > text.RESERVED
        tokenizer.decode(tokenizer.encode_lossy("ab ba"))


PLAIN = text.train(text.BpeConfig(size=9), ["abab ba c", "ab"]).to_plain()


def test_configurations_are_a_union():
    assert config.from_plain(text.TokenizerConfig, {"kind": "bpe", "size": 80}) == text.BpeConfig(size=80)
    assert config.from_plain(text.TokenizerConfig, {"kind": "char"}) == text.CharConfig()
    assert config.to_plain(text.BpeConfig()) == {"kind": "bpe", "size": 500}


def test_importing_is_light():
    code = "import sys, asrattn.text; print(*{'torch', 'numpy', 'sentencepiece'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
