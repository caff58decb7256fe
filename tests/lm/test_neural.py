"""What every neural language model promises, over the members of the union."""

import json
import math
from pathlib import Path
from typing import get_args

import pytest
import safetensors.torch
import tiny
import torch

from asrattn import model_file
from asrattn.config import from_plain, to_plain
from asrattn.decoding.scorers import select_rows
from asrattn.errors import CheckpointError, ConfigError, LMError
from asrattn.lm import LMConfig, LSTMLMConfig, TransformerLMConfig, neural
from asrattn.lm.neural import NeuralLM
from asrattn.lm.scorers import NeuralScorer
from asrattn.text import BLANK, EOS, RESERVED, UNKNOWN, CharTokenizer

V = 9
SMALL = {"dim": 8, "layers": 2, "heads": 2, "ffn_dim": 12}


def small(kind: type) -> LMConfig:
    return kind(**{name: size for name, size in SMALL.items() if name in kind.__dataclass_fields__})


KINDS = [small(kind) for kind in get_args(LMConfig)] + [
    TransformerLMConfig(dim=8, layers=1, heads=2, ffn_dim=12, positions=positions)
    for positions in ("none", "sinusoidal")
]


@pytest.fixture(params=KINDS, ids=lambda c: f"{c.kind}-{getattr(c, 'positions', '')}")
def network(request):
    torch.manual_seed(1)
    made = neural.build(request.param, V)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return made.eval()


@pytest.fixture
def tokens() -> torch.Tensor:
    drawn = torch.randint(RESERVED, V, (3, 7), generator=torch.Generator().manual_seed(2))
    drawn[:, 0] = EOS
    return drawn


def test_stepping_is_the_teacher_forced_pass(network, tokens):
    state, steps = network.start(3), []
    for column in tokens.unbind(1):
        logits, state = network.step(column, state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), network(tokens), atol=1e-5, rtol=1e-4)


def test_the_future_is_not_seen_nor_the_others(network, tokens):
    other = tokens.clone()
    other[:, 4:] = BLANK
    other[0] = EOS
    before, after = network(tokens), network(other)
    torch.testing.assert_close(before[1:, :4], after[1:, :4])
    assert not torch.allclose(before[1:, 4:], after[1:, 4:])
    torch.testing.assert_close(network(tokens[1:2])[0], before[1], atol=1e-5, rtol=1e-4)


def test_states_can_be_reordered(network, tokens):
    state = network.start(3)
    for column in tokens[:, :3].unbind(1):
        _, state = network.step(column, state)
    order = torch.tensor([2, 0, 0, 1])
    logits, _ = network.step(tokens[order, 3], select_rows(state, order))
    torch.testing.assert_close(logits, network(tokens[order, :4])[:, -1], atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_weight(network, tokens):
    network.train()
    network(tokens).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_bfloat16_is_float32_roughly(network, tokens):
    logits, state, steps = network(tokens), network.start(3), []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network(tokens)
        for column in tokens.unbind(1):
            step, state = network.step(column, state)
            steps.append(step)
    for found in (rough, torch.stack(steps, 1)):
        assert (found - logits).square().mean() < 0.02 * logits.square().mean()
    rough.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_perplexity_is_that_of_its_log_probabilities(network):
    """One sentence after the other, from the definition; the batches are padded."""
    tokenizer = CharTokenizer("ab cde")
    texts = ["ab", "", "bad  cab", "e", "ax"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural, "MAX_BATCH_TOKENS", 16)
        found = neural.perplexity(network, tokenizer, texts)
    known = strange = 0.0
    for text in ("ab", "bad cab", "e", "ax"):
        ids = [EOS, *tokenizer.encode_lossy(text), EOS]
        with torch.no_grad():
            rows = network(torch.tensor([ids[:-1]])).log_softmax(-1)[0].tolist()
        for row, token in zip(rows, ids[1:], strict=True):
            known += row[token] if token != UNKNOWN else 0.0
            strange += row[token] if token == UNKNOWN else 0.0
    assert found.tokens[:3] == (4, 12, 1)
    assert found.tokens.excluding_oov == pytest.approx(math.exp(-known / (11 + 4)), rel=1e-4)
    assert found.per_word == pytest.approx(math.exp(-(known + strange) / (5 + 4)), rel=1e-4)
    assert found.per_character == pytest.approx(math.exp(-(known + strange) / (12 + 4)), rel=1e-4)
    assert "4 sentences   12 tokens   1 unknown" in found.line()


def test_a_file_brings_it_back(network, tokens, tmp_path: Path):
    path = tmp_path / "lm.safetensors"
    neural.save(path, network, CharTokenizer("abcdef"), {"name": "small"})
    again = neural.load(path)
    assert model_file.is_model_file(path)
    assert again.card == {"name": "small"}
    assert again.tokenizer == CharTokenizer("abcdef")
    assert from_plain(LMConfig, to_plain(network.config)) == again.network.config
    assert torch.equal(again.network(tokens), network(tokens))


def test_a_file_of_another_kind_is_told(tmp_path: Path):
    with pytest.raises(LMError, match="no language model"):
        neural.load(tiny.model_file(tmp_path))
    path = tmp_path / "lm.safetensors"
    neural.save(path, neural.build(KINDS[0], V), CharTokenizer("abcdef"), {})
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="truncated"):
        neural.load(path)


class Whole:
    """The network's total of a text, by the teacher-forced pass."""

    def __init__(self, network, places=None):
        self.network, self.places = network, places or range(V)

    def total(self, tokens: tuple[int, ...]) -> float:
        read = torch.tensor([self.places[t] for t in (EOS, *tokens)])
        rows = self.network(read[None])[0].log_softmax(-1)
        return float(rows.gather(1, torch.tensor([[self.places[t]] for t in (*tokens, EOS)])).sum())


def scored(network, tokenizer: CharTokenizer) -> NeuralScorer:
    return NeuralScorer(NeuralLM(network, CharTokenizer("abcdef"), {}), tokenizer)


def walk(scorer: NeuralScorer, tokens: tuple[int, ...]) -> float:
    state, total = scorer.start(1), 0.0
    for last, token in zip((EOS, *tokens), (*tokens, EOS), strict=True):
        row, state = scorer.score(state, torch.tensor([last]))
        assert row[0, BLANK] == -torch.inf
        total += float(row[0, token])
    return total


def test_a_scorer_pays_what_the_network_says_also_in_another_order_of_tokens(network):
    with torch.inference_mode():
        same, turned = scored(network, CharTokenizer("abcdef")), scored(network, CharTokenizer("fbzaecd"))
        assert (same.unknown, turned.unknown) == ([], ["z"])
        assert walk(same, (3, 5, 8, 3)) == pytest.approx(Whole(network).total((3, 5, 8, 3)), abs=1e-4)
        places = [0, 1, 2, 8, 4, UNKNOWN, 3, 7, 5, 6]
        wanted = Whole(network, places).total((6, 8, 5, 3))
        assert walk(turned, (6, 8, 5, 3)) == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(LMError, match="another case"):
        scored(network, CharTokenizer("ABCDEF"))


def test_impossible_sizes_are_told():
    with pytest.raises(ConfigError, match="multiple of heads"):
        TransformerLMConfig(dim=10, heads=4)


@pytest.mark.parametrize(
    ("name", "size"), [("dim", 10**9), ("dim", 2**63), ("layers", 10**9), ("dim", 60_000)]
)
def test_sizes_are_believed_only_if_the_weights_are_there(tmp_path, name, size):
    path = tmp_path / "lm.safetensors"
    neural.save(path, neural.build(LSTMLMConfig(dim=4, layers=1), tiny.TOKENIZER.size), tiny.TOKENIZER, {})
    with safetensors.safe_open(path, framework="pt") as file:
        plain = json.loads(file.metadata()["asrattn"])
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    del plain["checksum"]
    plain["lm"][name] = size
    safetensors.torch.save_file(weights, path, {"asrattn": json.dumps(plain)})
    with pytest.raises(CheckpointError, match="configuration"):
        neural.load(path)
