"""The worked example of docs/guides/attention.md does what the contract asks of every attention."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_attention_contract as contract
import torch
from attention_cases import LENS, D, Q, queries, run_steps, utterances

from asrattn.attention import config
from asrattn.config import from_plain, to_plain

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "attention.md"
CHECKS = [
    contract.test_weights_are_a_distribution_over_real_frames,
    contract.test_queries_beside_each_other_equal_one_by_one,
    contract.test_hypotheses_take_their_state_along_when_they_are_reordered,
    contract.test_what_depends_on_the_query_and_what_does_not,
    contract.test_gradients_are_those_of_finite_differences,
    contract.test_gradients_reach_query_values_and_weights,
    contract.test_a_thousand_frames_in_single_precision_stay_finite,
    contract.test_half_precision_changes_little,
]


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, Any]]:
    """The names that the page's two blocks of Python define: the configuration in config.py, the module in its file."""
    configuration, module = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.S)
    names: dict[str, Any] = {"__name__": "near"}
    with pytest.MonkeyPatch.context() as patch:
        there = dict(vars(config))
        exec(compile(configuration, str(GUIDE), "exec"), there)
        patch.setattr(config, "NearConfig", there["NearConfig"], raising=False)
        exec(compile(module, str(GUIDE), "exec"), names)
        yield names


@pytest.fixture
def attend(example: dict[str, Any]) -> Any:
    torch.manual_seed(1)
    made = example["Near"](example["NearConfig"](dim=8, width=4.0), Q, D).double()
    made.kind = "near"
    return made


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__.removeprefix("test_"))
def test_the_example_keeps_the_contract(check: Any, attend: Any) -> None:
    check(attend)


def test_the_example_is_its_formula(attend: Any) -> None:
    values, mask = utterances()
    asked = queries(3)
    _, weights, _ = run_steps(attend, asked, values, mask)
    for b, count in enumerate(LENS.tolist()):
        at = 0.0
        for u, query in enumerate(asked):
            keys = values[b, :count] @ attend.key.weight.T
            scores = keys @ (attend.query.weight @ query[b]) / math.sqrt(8)
            frames = torch.arange(count, dtype=torch.double)
            wanted = torch.softmax(scores - (frames - at) ** 2 / (2 * 4.0**2), 0)
            torch.testing.assert_close(weights[u][b, :count], wanted, atol=1e-9, rtol=1e-9)
            at = (wanted * frames).sum().item()


def test_its_configuration_is_read_strictly(example: dict[str, Any]) -> None:
    near = example["NearConfig"](width=3.0)
    assert from_plain(example["NearConfig"], to_plain(near)) == near
