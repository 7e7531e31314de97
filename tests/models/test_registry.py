"""Registry errors: each invalid name or option of a configuration gets a message that says what is valid."""

import inspect
from typing import Any

import pytest

from tests.support.slot_cases import ARGUMENTS
from yt8m_core.errors import UserError
from yt8m_core.models.classification.mlp import MLP
from yt8m_core.models.registry import SLOTS, build, default_options

METHODS = [(slot, name) for slot, methods in SLOTS.items() for name in methods]


@pytest.mark.parametrize(
    ("slot", "name", "options", "message"),
    [
        ("pooling", "maen", {}, r"unknown pooling 'maen'\. Did you mean 'mean'\? Known: mean, sum, "),
        ("classification", "zzz", {}, r"unknown classification 'zzz'\. Known: logistic, moe, mlp"),
        ("classification", ["moe"], {}, r"unknown classification '\['moe'\]'"),
        ("poolin", "mean", {}, r"unknown slot 'poolin'\. Did you mean 'pooling'\?"),
        (
            "classification",
            "moe",
            {"expert": 2},
            r"classification 'moe': unknown option 'expert'\. Did you mean 'experts'\?",
        ),
        ("pooling", "mean", {"scale": 2}, r"pooling 'mean': unknown option 'scale'\. Known: none\."),
        ("pooling", "mean", ["scale"], r"pooling 'mean', options: found \['scale'\]; expected names with values"),
        ("pooling", "mean", None, r"pooling 'mean', options: found None"),
        (
            "classification",
            "moe",
            {"experts": "two"},
            r"classification 'moe', option 'experts': found 'two'; expected a value such as 2",
        ),
        ("classification", "moe", {"experts": True}, r"'experts'.* found True"),
        ("classification", "moe", {"experts": 2.0}, r"'experts'.* found 2\.0"),
        ("classification", "moe", {"experts": 0}, r"moe, option 'experts': found 0; expected 1 or more"),
        ("classification", "moe", {"dummy": "false"}, r"'dummy'.* found 'false'; expected a value such as true"),
        ("classification", "mlp", {"hidden": 8}, r"'hidden'.* found 8; expected a value such as \[4096, 4096, 4096\]"),
        ("classification", "mlp", {"hidden": []}, r"mlp, option 'hidden': found \[\]; expected a list of widths"),
        ("classification", "mlp", {"hidden": [8, "8"]}, r"mlp, option 'hidden'"),
        ("classification", "mlp", {"hidden": [8, -8]}, r"mlp, option 'hidden'"),
        ("classification", "mlp", {"dropout": 1.0}, r"mlp, option 'dropout': found 1\.0; expected 0 to below 1"),
        ("classification", "mlp", {"input_dropout": -0.1}, r"mlp, option 'input_dropout'"),
        ("classification", "mlp", {"variant": "author"}, r"unknown variant 'author'\. Did you mean 'authors'\?"),
        ("pooling", "indirect_clustering", {"variant": "papr"}, r"unknown variant 'papr'\. Did you mean 'paper'\?"),
        ("pooling", "indirect_clustering", {"post": "ln_rel"}, r"unknown post 'ln_rel'\. Did you mean 'ln_relu'\?"),
        ("pooling", "indirect_clustering", {"scale": float("nan")}, r"'scale'.* found nan; expected a value such as 1"),
        ("pooling", "indirect_clustering", {"scale": True}, r"'scale'.* found True; expected a value such as 1"),
        ("loss", "cross_entropy", {"eps": -1e-5}, r"cross_entropy, option 'eps': found -1e-05; expected 0 or more"),
    ],
)
def test_build_rejects_invalid_names_and_options(slot: str, name: Any, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(slot, name, options, **ARGUMENTS.get(slot, {}))


@pytest.mark.parametrize(("slot", "name"), METHODS)
@pytest.mark.parametrize(
    "value", [None, "text", True, 3, -1, 2.5, [], [8, "8"], {}, float("nan"), float("inf")], ids=repr
)
def test_build_accepts_or_rejects_any_json_value(slot: str, name: str, value: Any) -> None:
    for option in default_options(slot, name):
        small = {"hidden": [8]} if name == "mlp" else {}
        try:
            build(slot, name, small | {option: value}, **ARGUMENTS[slot])
        except UserError:
            continue  # any other exception would reach the user as a traceback


@pytest.mark.parametrize(("slot", "name"), METHODS)
def test_all_options_have_defaults(slot: str, name: str) -> None:
    assert inspect.Parameter.empty not in default_options(slot, name).values()


def test_build_accepts_lists_and_integers_from_json() -> None:
    mlp = build("classification", "mlp", {"hidden": [8, 7]}, in_features=6, num_classes=4)
    assert isinstance(mlp, MLP)
    assert mlp.output.weight.shape == (4, 7)
    build("pooling", "indirect_clustering", {"scale": 300, "length_exponent": 1}, in_features=6)
