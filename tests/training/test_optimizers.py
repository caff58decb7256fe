"""The contract of optimizers over every member of the union, and what is special to some."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import tones
import torch
from torch import Tensor, nn

from asrattn.decoders import TransformerDecoderConfig
from asrattn.encoders import ConformerConfig
from asrattn.errors import ConfigError
from asrattn.model.speech_model import SpeechModel
from asrattn.training.layer_decay import layer_depths
from asrattn.training.optimizers import AdamConfig, AdamWConfig, MuonConfig, OptimizerConfig, SGDConfig
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.vocabulary import token_weights

MEMBERS = get_args(OptimizerConfig)
RATES = {AdamWConfig: 3e-2, AdamConfig: 3e-2, SGDConfig: 1e-2, MuonConfig: 1e-1}  # for the quadratic below


class Bowl(nn.Module):
    """|W x + b - y|², whose least value is known."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(6, 4))
        self.bias = nn.Parameter(torch.randn(6))
        self.register_buffer("x", torch.randn(4, 32))
        self.register_buffer("y", torch.randn(6, 4) @ self.x + 1)

    def forward(self) -> Tensor:
        return (self.weight @ self.x + self.bias[:, None] - self.y).square().mean()


def step(model: nn.Module, optimizer: torch.optim.Optimizer, times: int = 1) -> float:
    """The loss before the last step."""
    for _ in range(times):
        optimizer.zero_grad()
        loss = model()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def speech_model(encoder: object = None, decoder: object = None) -> SpeechModel:
    config = replace(tones.recipe().model, vocabulary=9)
    config = replace(config, encoder=encoder or config.encoder, decoder=decoder or config.decoder)
    torch.manual_seed(0)
    return SpeechModel(config)


@pytest.fixture(params=MEMBERS, ids=lambda m: m.kind)
def config(request: pytest.FixtureRequest) -> OptimizerConfig:
    member: type = request.param
    made: OptimizerConfig = member(learning_rate=RATES[member], weight_decay=0.0)
    return made


@pytest.mark.parametrize("fused", [True, False])
def test_a_quadratic_is_lowered(config: OptimizerConfig, fused: bool) -> None:
    bowl = Bowl()
    optimizer = build_optimizer(config, bowl, fused)
    first = step(bowl, optimizer)
    assert step(bowl, optimizer, 200) < 0.05 * first


@pytest.mark.parametrize("fused", [True, False])
def test_the_state_goes_through_a_file_bit_for_bit(
    config: OptimizerConfig, fused: bool, tmp_path: Path
) -> None:
    config = replace(config, weight_decay=0.1)
    whole = Bowl()
    through = build_optimizer(config, whole, fused)
    step(whole, through, 5)
    torch.save(through.state_dict(), tmp_path / "state")
    parts = copy.deepcopy(whole)
    resumed = build_optimizer(config, parts, fused)
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert step(whole, through, 5) == step(parts, resumed, 5)
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, dict(parts.named_parameters())[name]), name


def test_only_matrices_decay(config: OptimizerConfig) -> None:
    """Without gradients, decay alone moves the weights."""
    bowl = Bowl()
    before = copy.deepcopy(bowl)
    optimizer = build_optimizer(replace(config, weight_decay=0.5), bowl, fused=True)
    for parameter in bowl.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(bowl.bias, before.bias)
    assert (bowl.weight.abs() < before.weight.abs()).all()


def test_every_weight_is_in_one_group_and_frozen_ones_in_none(config: OptimizerConfig) -> None:
    model = speech_model()
    model.encoder.requires_grad_(False)
    found = [p for group in build_optimizer(config, model, True).param_groups for p in group["params"]]
    assert len(set(map(id, found))) == len(found)
    assert set(map(id, found)) == {id(p) for p in model.parameters() if p.requires_grad}
    model.requires_grad_(False).ctc.bias.requires_grad_(True)
    optimizer = build_optimizer(config, model, True)  # no matrix is left
    model.ctc.bias.grad = torch.ones_like(model.ctc.bias)
    optimizer.step()


def test_a_closure_is_called_once_with_gradients(config: OptimizerConfig) -> None:
    """Lightning hands over the whole step this way."""
    bowl, losses = Bowl(), []
    optimizer = build_optimizer(config, bowl, True)

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses.append(bowl())
        losses[-1].backward()
        return losses[-1]

    assert optimizer.step(closure) is losses[0]  # type: ignore[arg-type]
    assert len(losses) == 1


def test_one_learning_rate_moves_all_groups(config: OptimizerConfig) -> None:
    bowl = Bowl()
    before = copy.deepcopy(bowl)
    optimizer = build_optimizer(config, bowl, True)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    step(bowl, optimizer, 3)
    assert torch.equal(bowl.weight, before.weight)
    assert torch.equal(bowl.bias, before.bias)


@pytest.mark.parametrize(
    ("member", "expected"), [(AdamWConfig, torch.optim.AdamW), (AdamConfig, torch.optim.Adam)]
)
def test_fused_as_asked(member: type, expected: type) -> None:
    for fused in (True, False):
        optimizer = build_optimizer(member(), Bowl(), fused)
        assert type(optimizer) is expected
        assert optimizer.defaults["fused"] is fused


def test_muon_takes_the_inner_matrices_and_makes_them_orthogonal() -> None:
    """Jordan 2024: the step is U Vᵀ of the gradient's singular value decomposition, roughly; here in the size of
    AdamW's, 0.2 √max(rows, columns) times the learning rate."""
    model = speech_model(
        ConformerConfig(dim=16, layers=1, heads=2, ffn_dim=32, kernel=3, channels=4),
        TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=32),
    )
    optimizer = build_optimizer(MuonConfig(learning_rate=1e-2, steps=5, weight_decay=0.0), model, True)
    names = {id(p): name for name, p in model.named_parameters()}
    taken = {names[id(p)] for p in optimizer.param_groups[0]["params"]}
    assert {name.split(".")[0] for name in taken} == {"encoder", "decoder"}
    assert "decoder.layers.0.feed_forward.0.weight" in taken
    assert not taken & token_weights(model)
    assert all(dict(model.named_parameters())[name].ndim == 2 for name in taken)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step()
    for name in taken:
        moved = before[name] - model.get_parameter(name).detach()
        size = 1e-2 * 0.2 * max(moved.shape) ** 0.5
        u, s, v = torch.linalg.svd(moved / size, full_matrices=False)
        assert 0.3 < s.min() <= s.max() < 1.4, name
        gradient = model.get_parameter(name).grad
        assert gradient is not None
        left, _, right = torch.linalg.svd(gradient, full_matrices=False)
        aligned = (left @ right * (u @ torch.diag(s) @ v)).sum() / min(moved.shape)
        assert aligned > 0.6, name


@pytest.mark.parametrize("decoder", [None, TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=32)])
def test_token_weights_are_those_with_a_row_for_each_token(decoder: object) -> None:
    model = speech_model(decoder=decoder)
    found = token_weights(model)
    larger = SpeechModel(replace(model.config, vocabulary=10))
    shapes = {name: p.shape for name, p in larger.named_parameters()}
    assert found == {name for name, p in model.named_parameters() if p.shape != shapes[name]}
    assert {"ctc.weight", "ctc.bias", "decoder.embed.weight"} < found
    assert len(found) == 5
    assert token_weights(Bowl()) == frozenset()


@pytest.mark.parametrize(
    ("member", "settings", "message"),
    [
        *((m, {"learning_rate": 0.0}, "optimizer.learning_rate must be above 0") for m in MEMBERS),
        *((m, {"weight_decay": -1.0}, "optimizer.weight_decay must not be negative") for m in MEMBERS),
        (AdamWConfig, {"betas": (0.9, 1.0)}, "optimizer.betas are two numbers"),
        (SGDConfig, {"momentum": 1.0}, "optimizer.momentum must lie in"),
        (SGDConfig, {"momentum": 0.0}, "optimizer.nesterov needs a momentum above 0"),
        (MuonConfig, {"momentum": -0.1}, "optimizer.momentum must lie in"),
        (MuonConfig, {"steps": 0}, "optimizer.steps must be positive"),
    ],
)
def test_ranges_are_checked(member: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        member(**settings)


def test_layer_decay_gives_every_depth_its_rate(config: OptimizerConfig) -> None:
    model = speech_model(
        ConformerConfig(dim=16, layers=2, heads=2, ffn_dim=32, kernel=3, channels=4),
        TransformerDecoderConfig(dim=16, layers=1, heads=2, ffn_dim=32),
    )
    optimizer = build_optimizer(config, model, True, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, depth in layer_depths(model).items():
        assert rates[id(model.get_parameter(name))] == config.learning_rate * 0.5**depth, name


def test_layer_decay_of_one_leaves_the_groups(config: OptimizerConfig) -> None:
    """A run of before is resumed with the same groups."""
    groups = build_optimizer(config, speech_model(), True).param_groups
    assert len(groups) == (3 if isinstance(config, MuonConfig) else 2)
    assert all(group["lr_scale"] == 1.0 and group["lr"] == config.learning_rate for group in groups)


def test_weights_without_gradient_stay_and_have_no_state(config: OptimizerConfig) -> None:
    """So are weights frozen that are trained later: no decay moves them, their moments start with them."""
    bowl = Bowl()
    optimizer = build_optimizer(replace(config, weight_decay=0.5), bowl, True)
    before = bowl.weight.clone()
    bowl.bias.grad = torch.ones_like(bowl.bias)
    for _ in range(2):
        optimizer.step()
    assert torch.equal(bowl.weight, before)
    assert bowl.weight not in optimizer.state or not optimizer.state[bowl.weight]
