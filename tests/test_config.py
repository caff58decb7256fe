"""Dataclasses of every shape that a configuration may have: round trips, settings, and what is told."""

import json
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrattn.config import check, from_plain, override, to_plain
from asrattn.errors import ConfigError


@dataclass(frozen=True)
class Pyramid:
    kind: Literal["pyramid"] = "pyramid"
    factor: int = 2


@dataclass(frozen=True)
class Convolution:
    kind: Literal["conv", "depthwise"] = "conv"
    channels: tuple[int, ...] = (32, 64)


@dataclass(frozen=True)
class Recurrent:
    kind: Literal["lstm"] = "lstm"
    dim: int = 320
    layers: int = 3
    dropout: float = 0.0
    width: int = 5
    subsampling: Pyramid | Convolution = Pyramid()


@dataclass(frozen=True)
class Transformer:
    kind: Literal["transformer"] = "transformer"
    dim: int = 256
    layers: int = 6
    heads: int = 4
    width: tuple[int, ...] = (3, 5)
    subsampling: Pyramid | Convolution = Convolution()

    def __post_init__(self) -> None:
        check(self.dim % self.heads == 0, f"dim {self.dim} must be a multiple of heads {self.heads}")


@dataclass(frozen=True)
class Side:
    size: int
    rate: float = 0.5


@dataclass(frozen=True)
class Model:
    legend: ClassVar[str] = "no setting"
    encoder: Recurrent | Transformer = Recurrent()
    extra: Pyramid | Convolution | None = None
    side: Side | None = None
    lm: Transformer | None = None
    features: Literal["log-mel", "mfcc"] = "log-mel"
    bands: Literal[40, 80] = 80
    snr: tuple[float, float] = (5.0, 35.0)
    grid: tuple[tuple[int, ...], ...] = ()
    schedule: int | float | str | None = None
    folder: str | None = None
    joint: bool = True


@dataclass(frozen=True)
class Whole:
    name: str
    model: Model = field(default_factory=Model)


WHOLE = Whole("x")
NUMBERS = st.integers(-(2**40), 2**40)
REALS = st.floats(allow_nan=False, allow_infinity=False)
SUBSAMPLINGS = st.builds(Pyramid, factor=NUMBERS) | st.builds(
    Convolution,
    kind=st.sampled_from(["conv", "depthwise"]),
    channels=st.lists(NUMBERS, max_size=3).map(tuple),
)
TRANSFORMERS = st.builds(Transformer, dim=NUMBERS.map(lambda n: 4 * n), subsampling=SUBSAMPLINGS)
MODELS = st.builds(
    Model,
    encoder=st.builds(Recurrent, dropout=REALS, subsampling=SUBSAMPLINGS) | TRANSFORMERS,
    extra=st.none() | SUBSAMPLINGS,
    side=st.none() | st.builds(Side, size=NUMBERS, rate=REALS),
    lm=st.none() | TRANSFORMERS,
    features=st.sampled_from(["log-mel", "mfcc"]),
    bands=st.sampled_from([40, 80]),
    snr=st.tuples(REALS, REALS),
    grid=st.lists(st.lists(NUMBERS, max_size=3).map(tuple), max_size=3).map(tuple),
    schedule=st.none() | NUMBERS | REALS | st.text(),
    folder=st.none() | st.text(),
    joint=st.booleans(),
)
WHOLES = st.builds(Whole, name=st.text(), model=MODELS)


@given(WHOLES)
def test_round_trip_through_json(whole: Whole) -> None:
    back = from_plain(Whole, json.loads(json.dumps(to_plain(whole), allow_nan=False)))
    assert back == whole
    assert type(back.model.schedule) is type(whole.model.schedule)


@given(WHOLES, WHOLES)
def test_settings_lead_from_any_value_to_any_other(start: Whole, goal: Whole) -> None:
    """Every leaf that differs can be written on the command line."""
    goal = replace(goal, name="goal", model=replace(goal.model, schedule=2, folder="a=b", side=None))
    assert override(start, list(settings("", to_plain(goal)))) == goal


def settings(where: str, plain: object):  # type: ignore[no-untyped-def]
    if not isinstance(plain, dict):
        yield f"{where}={json.dumps(plain) if isinstance(plain, list) else 'none' if plain is None else plain}"
        return
    for name in sorted(plain, key=lambda name: name != "kind"):  # the kind decides which others there are
        yield from settings(f"{where}.{name}" if where else name, plain[name])


@given(WHOLES)
def test_no_settings_change_nothing(whole: Whole) -> None:
    assert override(whole, []) == whole


@pytest.mark.parametrize(
    ("setting", "model"),
    [
        ("model.joint=False", Model(joint=False)),
        ("model.bands=40", Model(bands=40)),
        ("model.features=mfcc", Model(features="mfcc")),
        ("model.snr=1,2.5", Model(snr=(1.0, 2.5))),
        ("model.snr=[1, 2.5]", Model(snr=(1.0, 2.5))),
        ("model.grid=[[1, 2], []]", Model(grid=((1, 2), ()))),
        ("model.grid=", Model(grid=())),
        ("model.schedule=2", Model(schedule=2)),
        ("model.schedule=2.5", Model(schedule=2.5)),
        ("model.schedule=cosine", Model(schedule="cosine")),
        ("model.schedule=none", Model()),
        ("model.folder=a=b, c", Model(folder="a=b, c")),
        (" model.joint = true ", Model()),
        ("model.encoder.dropout=1", Model(encoder=Recurrent(dropout=1.0))),
        ("model.encoder.subsampling.factor=3", Model(encoder=Recurrent(subsampling=Pyramid(factor=3)))),
        ("model.encoder.subsampling.kind=conv", Model(encoder=Recurrent(subsampling=Convolution()))),
        ("model.extra.kind=depthwise", Model(extra=Convolution("depthwise"))),
        ("model.lm.layers=2", Model(lm=Transformer(layers=2))),
        ("model.side.size=2", Model(side=Side(2))),
    ],
)
def test_a_setting(setting: str, model: Model) -> None:
    whole = override(WHOLE, [setting])
    assert whole.model == model
    assert type(whole.model.schedule) is type(model.schedule)


def test_a_switch_keeps_what_both_kinds_have() -> None:
    start = Whole("x", Model(encoder=Recurrent(dim=64, layers=2, dropout=0.3, subsampling=Pyramid(factor=3))))
    encoder = override(start, ["model.encoder.kind=transformer"]).model.encoder
    assert encoder == Transformer(dim=64, layers=2, subsampling=Pyramid(factor=3))
    assert encoder.width == (3, 5)  # of another type there: its own default


def test_switching_to_the_same_kind_changes_nothing() -> None:
    start = Whole("x", Model(encoder=Recurrent(dim=64)))
    assert override(start, ["model.encoder.kind=lstm"]) == start


def test_settings_are_checked_when_all_are_in() -> None:
    start = Whole("x", Model(encoder=Transformer(dim=256, heads=4)))
    for order in (
        ["model.encoder.dim=15", "model.encoder.heads=5"],
        ["model.encoder.heads=5", "model.encoder.dim=15"],
    ):
        assert override(start, order).model.encoder == Transformer(dim=15, heads=5)


def test_the_last_setting_counts() -> None:
    assert override(WHOLE, ["name=a", "name=b"]).name == "b"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("name", "--set name: write it as name=value"),
        ("=2", "--set =2: write it as name=value"),
        ("nonsense=2", "nonsense: 'nonsense' is unknown; known are name, model"),
        ("modle.joint=true", "modle: 'modle' is unknown; did you mean model?"),
        ("model.encoder.layrs=2", "model.encoder.layrs: 'layrs' is unknown; did you mean layers?"),
        ("model.legend=x", "model.legend: 'legend' is unknown; known are encoder, "),
        ("encoder.layers=2", "encoder: 'encoder' is unknown; did you mean model.encoder.layers?"),
        ("model.encoder.heads=2", "model.encoder.heads: 'heads' is unknown; did you mean model.encoder.kind=t"),
        ("model.encoder.kind=transfomer", "model.encoder.kind: 'transfomer' is unknown; did you mean transformer?"),
        ("model.encoder.kind=none", "model.encoder.kind: 'none' is unknown; known are lstm, transformer"),
        ("model.encoder.layers=2.5", "model.encoder.layers: '2.5' is not a whole number"),
        ("model.encoder.layers=two", "model.encoder.layers: 'two' is not a whole number"),
        ("model.encoder.layers=", "model.encoder.layers: '' is not a whole number"),
        ("model.encoder.layers=none", "model.encoder.layers: 'none' is not a whole number"),
        ("model.encoder.layers.x=1", "model.encoder.layers.x: there is nothing below model.encoder.layers"),
        ("model.encoder.dropout=nan", "model.encoder.dropout: nan is not finite"),
        ("model.encoder.dropout=inf", "model.encoder.dropout: inf is not finite"),
        ("model.encoder.dropout=high", "model.encoder.dropout: 'high' is not a number"),
        ("model.encoder=transformer",
         "model.encoder: is a set of settings; set those below it, such as model.encoder.kind=transformer"),
        ("model.encoder=x", "model.encoder: is a set of settings; set those below it, such as model.encoder.kind=lstm"),
        ("model=x", "model: is a set of settings; set those below it, such as model.NAME=VALUE"),
        ("model.extra.factor=2",
         "model.extra.factor: model.extra is none; set model.extra.kind first, one of pyramid, conv, depthwise"),
        ("model.side.rate=2", "model.side.size: is missing; it has no default"),
        ("model.features=mfc", "model.features: 'mfc' is unknown; did you mean mfcc?"),
        ("model.bands=41", "model.bands: '41' is unknown; did you mean 40?"),
        ("model.joint=yes", "model.joint: 'yes' is not true or false"),
        ("model.snr=1", "model.snr: 1 given where 2 are needed"),
        ("model.snr=1,b", "model.snr[1]: 'b' is not a number"),
        ("model.snr=[1, NaN]", "model.snr[1]: nan is not finite"),
        ("model.snr=[1", "model.snr: '[1' is not a list of 2"),
        ("model.grid=[1]", "model.grid[0]: 1 is not a list, each a whole number"),
        ("model.lm.heads=3", "model.lm: dim 256 must be a multiple of heads 3"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        override(WHOLE, [setting])
    assert str(told.value).startswith(message)
    assert "\n" not in str(told.value)


def model(**settings: object) -> dict[str, object]:
    return {"name": "x", "model": settings}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([], "Whole: [] is not a set of settings"),
        ({}, "name: is missing; it has no default"),
        ({"name": 3}, "name: 3 is not a text"),
        ({"name": None}, "name: None is not a text"),
        ({"nmae": "x"}, "nmae: 'nmae' is unknown; did you mean name?"),
        ({"name": "x", 3: 4}, "3: 3 is unknown; known are name, model"),
        ({"name": "x", "model": 3}, "model: 3 is not a set of settings"),
        (model(encoder={"dim": 2}), "model.encoder: needs a kind, one of lstm, transformer"),
        (model(encoder=3), "model.encoder: needs a kind, one of lstm, transformer"),
        (model(encoder=None), "model.encoder: needs a kind, one of lstm, transformer"),
        (model(encoder={"kind": ["lstm"]}), "model.encoder.kind: ['lstm'] is unknown; did you mean lstm?"),
        (model(encoder={"kind": "lstm", "heads": 2}), "model.encoder.heads: 'heads' is unknown; known are kind, "),
        (model(encoder={"kind": "lstm", "dim": True}), "model.encoder.dim: True is not a whole number"),
        (model(encoder={"kind": "lstm", "dim": 2.0}), "model.encoder.dim: 2.0 is not a whole number"),
        (model(encoder={"kind": "lstm", "dropout": True}), "model.encoder.dropout: True is not a number"),
        (model(encoder={"kind": "lstm", "dropout": "0"}), "model.encoder.dropout: '0' is not a number"),
        (model(encoder={"kind": "transformer", "dim": 3}), "model.encoder: dim 3 must be a multiple of heads 4"),
        (model(encoder={"kind": "lstm", "subsampling": {"kind": "conv", "channels": 3}}),
         "model.encoder.subsampling.channels: 3 is not a list, each a whole number"),
        (model(joint=1), "model.joint: 1 is not true or false"),
        (model(bands=80.0), "model.bands: 80.0 is unknown; did you mean 80?"),
        (model(features=[]), "model.features: [] is unknown; known are log-mel, mfcc"),
        (model(snr=[1.0]), "model.snr: 1 given where 2 are needed"),
        (model(snr=[1.0, float("inf")]), "model.snr[1]: inf is not finite"),
        (model(snr=[10**400, 1]), "model.snr[0]: inf is not finite"),
        (model(snr="12"), "model.snr: '12' is not a list of 2"),
        (model(grid=[[1], [2, "3"]]), "model.grid[1][1]: '3' is not a whole number"),
        (model(folder=3), "model.folder: 3 is not a text"),
        (model(schedule=[]), "model.schedule: [] is not a whole number or a number or a text or none"),
        (model(side={}), "model.side.size: is missing; it has no default"),
        (model(lm={"heads": 3}), "model.lm: dim 256 must be a multiple of heads 3"),
    ],
)  # fmt: skip
def test_plain_values_that_cannot_be(plain: object, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        from_plain(Whole, plain)
    assert str(told.value).startswith(message)
    assert "\n" not in str(told.value)


def test_the_place_is_in_front() -> None:
    with pytest.raises(ConfigError, match=r"^saved\.encoder\.kind: 'gru' is unknown"):
        from_plain(Model, {"encoder": {"kind": "gru"}}, "saved")
    with pytest.raises(ConfigError, match=r"^encoder: dim 3 must be"):
        from_plain(Transformer, {"dim": 3}, "encoder")


def test_a_dataclass_may_begin_its_messages_with_the_name_it_goes_by() -> None:
    @dataclass(frozen=True)
    class Train:
        rate: float = 1.0

        def __post_init__(self) -> None:
            check(self.rate > 0, "train.rate must be above 0")

    @dataclass(frozen=True)
    class Run:
        train: Train = Train()
        other: Train = Train()

    for setting, message in [
        ("train.rate=0", "train.rate must be above 0"),
        ("other.rate=0", "other: train.rate must be above 0"),
    ]:
        with pytest.raises(ConfigError, match=f"^{message}$"):
            override(Run(), [setting])
    with pytest.raises(ConfigError, match=r"^saved\.train\.rate must be above 0$"):
        from_plain(Run, {"train": {"rate": 0}}, "saved")
    with pytest.raises(ConfigError, match=r"^train\.rate must be above 0$"):
        override(Train(), ["rate=0"])


def test_one_dataclass_needs_no_kind() -> None:
    assert from_plain(Transformer, {"layers": 2}) == Transformer(layers=2)
    assert from_plain(Model, {"lm": {"layers": 2}}) == Model(lm=Transformer(layers=2))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x", Model, (1, object())])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot stand in a configuration"):
        to_plain(value)


def test_a_field_of_another_type_is_the_programmers_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        values: dict[str, int] = field(default_factory=dict)

    with pytest.raises(TypeError, match="values: a configuration cannot have a field of type dict"):
        from_plain(Odd, {"values": {}})


def test_check() -> None:
    check(True, "never told")
    with pytest.raises(ConfigError, match=r"^told$"):
        check(False, "told")
