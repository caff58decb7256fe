"""`asrattn lm`, and language models in transcribe and evaluate."""

import argparse
import gzip
import json
from pathlib import Path

import pytest
import tiny

from asrattn import lm
from asrattn.cli import lm as command
from asrattn.cli import options
from asrattn.cli.main import main
from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.lm import arpa
from asrattn.lm.units import UNITS

SENTENCES = ["the quick brown fox", "jumps over a lazy dog", "the dog jumps over the fox", "a fox"] * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """text.txt, text.gz, set.jsonl of the same sentences; sound.wav; char.arpa and word.arpa."""
    made = tmp_path_factory.mktemp("lm")
    (made / "text.txt").write_text("\n".join(SENTENCES))
    (made / "text.gz").write_bytes(gzip.compress("\n".join(SENTENCES).encode()))
    tiny.sound(made / "sound.wav", 1.2, seed=1)
    tiny.sound(made / "other.wav", 0.8, seed=2)
    utterances = [Utterance(f"u{i}", "sound.wav", text, 1.2) for i, text in enumerate(SENTENCES)]
    manifest.write(made / "set.jsonl", utterances)
    for units in ("char", "word"):
        arpa.write(
            made / f"{units}.arpa",
            lm.estimate(lm.count_ngrams([lm.split_units(s, units) for s in SENTENCES], 3), units=units),
        )
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    """Status, lines of stdout, lines of stderr."""
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_the_choices_are_those_of_the_library() -> None:
    assert tuple(lm.SMOOTHINGS) == command.SMOOTHINGS
    assert options.LM_UNITS == UNITS


class TestTrain:
    def test_a_text_its_zipped_copy_and_a_manifest_are_the_same(
        self, capsys, folder: Path, tmp_path: Path
    ) -> None:
        for name in ("text.txt", "text.gz", "set.jsonl"):
            status, out, _ = run(capsys, "lm", "train", folder / name, "--out", tmp_path / f"{name}.arpa")
            assert status == 0
            assert out == [f"{tmp_path / name}.arpa   12 + 17 + 17 n-grams"]
        texts = {(tmp_path / f"{name}.arpa").read_text() for name in ("text.txt", "text.gz", "set.jsonl")}
        assert len(texts) == 1
        assert texts == {(folder / "word.arpa").read_text()}

    def test_dev_and_perplexity_say_the_same(self, capsys, folder: Path, tmp_path: Path) -> None:
        dev = tmp_path / "dev.txt"
        dev.write_text("a lazy fox\n\nthe cat\n")
        out = tmp_path / "a.arpa.gz"
        _, (_, after), _ = run(capsys, "lm", "train", folder / "text.txt", "--out", out, "--dev", dev)
        status, lines, _ = run(capsys, "lm", "perplexity", out, dev, folder / "text.txt")
        assert status == 0
        assert lines[0] == after
        assert after.startswith("dev.txt   2 sentences   5 words   1 unknown   perplexity ")
        assert "with them" in after
        assert "with them" not in lines[1]

    @pytest.mark.parametrize(
        ("arguments", "sizes"),
        [
            (["--order", "2"], "12 + 17"),
            (["--units", "char", "--order", "2"], "30 + 46"),
            (["--smoothing", "katz", "--prune", "0,3"], "12 + 3"),
            (["--smoothing", "witten-bell", "--prune-entropy", "9"], "12"),
        ],
    )
    def test_what_is_asked_for(
        self, capsys, folder: Path, tmp_path: Path, arguments: list[str], sizes: str
    ) -> None:
        _, (line,), _ = run(
            capsys, "lm", "train", folder / "text.txt", "--out", tmp_path / "a.arpa", *arguments
        )
        assert line.split("   ")[1] == f"{sizes} n-grams"

    def test_a_short_text_makes_a_low_order_and_says_so(self, capsys, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("one\n")
        _, _, err = run(
            capsys, "lm", "train", tmp_path / "a.txt", "--out", tmp_path / "a.arpa", "--order", "5"
        )
        assert any("no n-gram is longer than 3" in line for line in err)

    def test_tokens_of_a_model(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("the fox ß")
        out = tmp_path / "a.arpa"
        arguments = ("lm", "train", tmp_path / "a.txt", "--out", out, "--units", "token")
        _, _, err = run(capsys, *arguments, "--tokenizer", model)
        assert any("1 characters are unknown" in line for line in err)
        assert arpa.read(out).units == "token"
        status, _, (told,) = run(capsys, *arguments)
        assert status == 1
        assert "--tokenizer" in told

    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [
            ("absent.txt", None, "does not exist"),
            ("empty.txt", b"\n \n", "no text"),
            ("latin.txt", "ä".encode("latin-1"), "not UTF-8"),
            ("cut.gz", gzip.compress(b"some words", mtime=0)[:-9], "truncated"),
            ("signs.txt", b"<s> a </s>\n", "<s>"),
        ],
    )
    def test_texts_that_are_none(
        self, capsys, tmp_path: Path, name: str, content: bytes | None, told: str
    ) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        out = tmp_path / "a.arpa"
        status, lines, err = run(capsys, "lm", "train", tmp_path / name, "--out", out)
        assert (status, lines, len(err)) == (1, [], 1)
        assert told in err[0]
        assert not out.exists()

    def test_wrong_usage(self, capsys, folder: Path) -> None:
        for arguments in (["lm"], ["lm", "train", folder / "text.txt", "--out", "a", "--prune", "0,x"]):
            with pytest.raises(SystemExit) as left:
                main([*map(str, arguments)])
            assert left.value.code == 2


@pytest.fixture(scope="module")
def network(model: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("neural") / "run"
    recipe = Path(__file__).resolve().parents[2] / "recipes" / "an4" / "lm" / "lstm.py"
    arguments = ("lm", "train-neural", recipe, folder / "set.jsonl", "--dev", folder / "text.txt")
    settings = ("--set", "model.dim=16", "--set", "train.epochs=2", "--accelerator", "cpu")
    assert main([*map(str, (*arguments, "--tokenizer", model, "--out", out, *settings))]) == 0
    return out / "lm.safetensors"


class TestNeural:
    def test_perplexity_by_token_word_and_character(self, capsys, network: Path, folder: Path) -> None:
        status, (line,), _ = run(capsys, "lm", "perplexity", network, folder / "text.txt")
        assert status == 0
        assert line.startswith("text.txt   12 sentences   213 tokens   0 unknown   perplexity ")
        token, character = (float(line.split(name)[1].split()[0]) for name in ("perplexity", "by character"))
        assert token == pytest.approx(character, abs=0.006)  # here tokens are characters

    def test_it_joins_the_search(self, capsys, model: Path, network: Path, folder: Path) -> None:
        sound = folder / "sound.wav"
        scores = []
        for more in ((), ("--lm", network), ("--lm", network, "--lm", folder / "char.arpa")):
            status, (line,), _ = run(capsys, "transcribe", model, sound, "--format", "json", *more)
            assert status == 0
            scores.append(json.loads(line)["score"])
        assert scores[0] > scores[1] > scores[2]

    def test_it_is_no_recogniser_and_the_reverse(
        self, capsys, model: Path, network: Path, folder: Path
    ) -> None:
        status, _, (told,) = run(capsys, "transcribe", network, folder / "sound.wav")
        assert (status, "name it with --lm" in told) == (1, True)
        status, _, (told,) = run(capsys, "transcribe", model, folder / "sound.wav", "--lm", model)
        assert (status, "is no language model" in told) == (1, True)


class TestInTheSearch:
    def heard(self, capsys, model: Path, folder: Path, *arguments: object) -> tuple[str, float]:
        sound = folder / "sound.wav"
        status, (line,), _ = run(capsys, "transcribe", model, sound, "--format", "json", *arguments)
        assert status == 0
        plain = json.loads(line)
        return plain["text"], plain["score"]

    def test_a_closed_vocabulary_writes_words_of_the_model_alone(
        self, capsys, model: Path, folder: Path
    ) -> None:
        """The tiny model knows no words: without a language model it writes letters as they come."""
        words = {word for sentence in SENTENCES for word in sentence.split()}
        arguments = ("--lm", folder / "word.arpa", "--lm-oov", "inf", "--beam", 8, "--length-bonus", 3)
        text, _ = self.heard(capsys, model, folder, *arguments)
        alone, _ = self.heard(capsys, model, folder, "--beam", 8)
        assert set(text.split()) <= words
        assert not set(alone.split()) <= words

    def test_every_model_and_weight_has_its_say(self, capsys, model: Path, folder: Path) -> None:
        char, word = folder / "char.arpa", folder / "word.arpa"
        scores = [
            self.heard(capsys, model, folder, *arguments)[1]
            for arguments in (
                (),
                ("--lm", char),
                ("--lm", char, "--lm-weight", 0.6),
                ("--lm", char, "--lm", word),
                ("--lm", char, "--lm", word, "--lm-weight", 0.3, "--lm-weight", 0.4),
            )
        ]
        assert len(set(scores)) == 5
        assert scores == sorted(scores, reverse=True)

    def test_evaluate_takes_one_too(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        manifest.write(tmp_path / "a.jsonl", [Utterance("a", str(folder / "sound.wav"), "the fox", 1.2)])
        status, out, _ = run(capsys, "evaluate", model, tmp_path / "a.jsonl", "--lm", folder / "word.arpa")
        assert (status, len(out)) == (0, 1)

    def test_a_report_names_them(self) -> None:
        paths = [Path("a.arpa"), Path("b.arpa")]
        said = options.describe_language_models(argparse.Namespace(lm=paths, lm_weight=[0.5], hotwords=None))
        assert said == {"language model": "a.arpa × 0.5, b.arpa × 0.5"}
        favoured = argparse.Namespace(lm=[], lm_weight=None, hotwords=Path("names.txt"), hotword_weight=2.0)
        assert options.describe_language_models(favoured) == {"hotwords": "names.txt × 2"}
        favoured.hotwords = None
        assert options.describe_language_models(favoured) == {}

    def test_hotwords_are_heard_for_a_price(self, capsys, model: Path, folder: Path, tmp_path: Path) -> None:
        hot = tmp_path / "hot.txt"
        hot.write_text("quick fox\t2\nlazy\n")
        alone, _ = self.heard(capsys, model, folder, "--beam", 8)
        little, _ = self.heard(
            capsys, model, folder, "--beam", 8, "--hotwords", hot, "--hotword-weight", 1e-6
        )
        much, _ = self.heard(capsys, model, folder, "--beam", 8, "--hotwords", hot, "--hotword-weight", 30)
        assert little == alone
        assert not {"quick", "fox", "lazy"} & set(alone.split())
        assert "quick fox" in much

    def test_a_file_without_units_needs_the_option(
        self, capsys, model: Path, folder: Path, tmp_path: Path
    ) -> None:
        bare = tmp_path / "bare.arpa"
        bare.write_text((folder / "char.arpa").read_text().partition("\n")[2])
        status, _, (told,) = run(capsys, "transcribe", model, folder / "sound.wav", "--lm", bare)
        assert status == 1
        assert "--lm-units" in told
        self.heard(capsys, model, folder, "--lm", bare, "--lm-units", "char")

    def test_what_one_does_not_know_of_the_other_is_told(
        self, capsys, model: Path, folder: Path, tmp_path: Path
    ) -> None:
        model_ = lm.estimate(lm.count_ngrams([["the", "Fox"], ["fox"]], 2), units="word")
        arpa.write(tmp_path / "a.arpa", model_)
        _, _, (told,) = run(capsys, "transcribe", model, folder / "sound.wav", "--lm", tmp_path / "a.arpa")
        assert "1 words of the language model cannot be written by this model: 'Fox'" in told

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--lm", "absent.arpa"], "does not exist"),
            (["--lm", "{}/word.arpa", "--lm-weight", "1", "--lm-weight", "2"], "one for each"),
            (["--lm", "{}/word.arpa", "--lm", "{}/word.arpa"], "one name"),
        ],
    )
    def test_what_does_not_go(
        self, capsys, model: Path, folder: Path, arguments: list[str], told: str
    ) -> None:
        arguments = [argument.format(folder) for argument in arguments]
        status, out, err = run(capsys, "transcribe", model, folder / "sound.wav", *arguments)
        assert (status, out) == (1, [])
        assert told in err[-1]
