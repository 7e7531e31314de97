import contextlib
import dataclasses
import json
from keyword import iskeyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training, parse_fold
from yt8m_core.models.slot import Slot

plain_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(lambda name: not iskeyword(name))


@given(name=names, options=st.dictionaries(names, plain_values | st.lists(plain_values), max_size=3))
def test_slot_survives_formatting_and_parsing(name: str, options: dict[str, object]) -> None:
    slot = Slot(name, options)
    assert Slot.parse(str(slot)) == slot


@pytest.mark.parametrize("text", ["", "mean mean", "moe(16)", "moe(experts=open)", "a.b", "f(**{})", "(" * 300, "x=1"])
def test_invalid_slot_names_the_expected_syntax(text: str) -> None:
    with pytest.raises(UserError, match="name or name"):
        Slot.parse(text)


@given(text=st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        Slot.parse(text)


EXPERIMENT = Experiment(
    Data("train", "validation", streams=(("rgb", 1024), ("audio", 128))),
    pooling=Slot("indirect_clustering", {"scale": 2.0}),
    classification=Slot("mlp", {"hidden": [8, 8]}),
    training=Training(epochs=3),
)


def test_experiment_survives_json() -> None:
    assert Experiment.from_dict(json.loads(json.dumps(EXPERIMENT.to_dict()))) == EXPERIMENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "mean"}, "experiment, pooling: found str"),
        ({"poolin": {"name": "mean"}}, "'poolin'.*Did you mean 'pooling'"),
        ({"data": {"train": "a"}}, "experiment, data: no entry 'validation'"),
        ({"seed": True}, "experiment, seed: found True; expected a value of type int"),
        ({"training": {"epochs": "five"}}, "experiment, training, epochs"),
        ({"data": {"train": "a", "validation": "b", "streams": [["rgb"]]}}, "streams.*pairs of a name and a width"),
    ],
)
def test_invalid_entry_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Experiment.from_dict(EXPERIMENT.to_dict() | change)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 0), ("batch_size", 0), ("decay_examples", 0), ("learning_rate", float("nan")), ("l2", -1.0)],
)
def test_training_refuses_values_out_of_range(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"training, {setting}: found {value}; expected a number (from|of at least)"):
        Training(**{setting: value})


def test_experiment_accepts_integers_for_floats() -> None:
    values = EXPERIMENT.to_dict()
    values["training"]["learning_rate"] = 1
    assert Experiment.from_dict(values).training.learning_rate == 1.0


def changed_settings() -> list[tuple[str, Experiment]]:
    """Return the name of each setting, and an experiment that differs from ``EXPERIMENT`` only in it."""
    others: dict[str, object] = {
        "schedule": "cosine",
        "precision": "bfloat16",
        "pool_once": "no",
        "ema": 0.5,
        "fold": "1/5",
        "unlabeled": "skip",
        "segments": "rated",
    }
    found = []
    for part in ("data", "training", None):
        owner = EXPERIMENT if part is None else getattr(EXPERIMENT, part)
        for field in dataclasses.fields(owner):
            value = getattr(owner, field.name)
            if isinstance(value, Data | Training):
                continue
            kinds: dict[type, object] = {Slot: Slot("other"), str: f"{value}x", tuple: (("rgb", 7),), bool: True}
            other = others.get(field.name, kinds.get(type(value), 0.25 if isinstance(value, float) else 77))
            changed = dataclasses.replace(owner, **{field.name: other})
            found.append((field.name, changed if part is None else dataclasses.replace(EXPERIMENT, **{part: changed})))
    return found


@pytest.mark.parametrize(("name", "changed"), changed_settings(), ids=lambda value: str(value)[:20])
def test_experiments_that_differ_are_described_by_their_difference(name: str, changed: Experiment) -> None:
    expected = [name, "validation"] if name == "fold" else [name]  # a fold replaces the validation data
    differences = EXPERIMENT.differences(changed)
    assert sorted(differences) == sorted(expected)
    assert differences[name][0] != differences[name][1]
    assert changed.differences(EXPERIMENT) == {key: pair[::-1] for key, pair in differences.items()}
    assert EXPERIMENT.differences(Experiment.from_dict(EXPERIMENT.to_dict())) == {}


def test_order_of_options_is_no_difference() -> None:
    one, other = (
        dataclasses.replace(EXPERIMENT, pooling=Slot("lstm", options))
        for options in ({"width": 8, "layers": 2}, {"layers": 2, "width": 8.0})
    )
    assert one == other
    assert one.differences(other) == {}


def test_digest_changes_with_a_setting() -> None:
    changed = dataclasses.replace(EXPERIMENT, training=Training(epochs=4))
    assert changed.digest != EXPERIMENT.digest
    assert Experiment.from_dict(EXPERIMENT.to_dict()).digest == EXPERIMENT.digest


def test_entries_that_stored_runs_lack_do_not_change_their_digest() -> None:
    values = EXPERIMENT.to_dict()
    assert "fold" not in values["data"]
    assert "schedule" not in values["training"]
    assert EXPERIMENT.digest == "1ff256e0cb9bffdc"


def test_cosine_schedule_is_stored_and_changes_the_digest() -> None:
    cosine = dataclasses.replace(EXPERIMENT, training=Training(schedule="cosine"))
    assert Experiment.from_dict(json.loads(json.dumps(cosine.to_dict()))) == cosine
    assert cosine.digest != EXPERIMENT.digest
    with pytest.raises(UserError, match=r"unknown schedule 'cosin'.*Did you mean 'cosine'"):
        Training(schedule="cosin")


def test_fold_replaces_the_validation_data_and_changes_the_digest() -> None:
    data = dataclasses.replace(EXPERIMENT.data, fold="2/5")
    assert (data.validation, data.validation_name) == ("", "fold 2/5 of train")
    assert EXPERIMENT.data.validation_name == "validation"
    experiment = dataclasses.replace(EXPERIMENT, data=data)
    assert Experiment.from_dict(json.loads(json.dumps(experiment.to_dict()))) == experiment
    others = [dataclasses.replace(EXPERIMENT, data=dataclasses.replace(data, fold=fold)) for fold in ("1/5", "2/6")]
    assert len({other.digest for other in (EXPERIMENT, experiment, *others)}) == 4


@pytest.mark.parametrize(
    "fold", ["0/5", "6/5", "1/1", "1/1001", "1/0", "1", "1/5/5", "a/b", "-1/5", "1/ 5", "1/5\n", "²/5"]
)
def test_invalid_fold_is_refused_with_the_syntax(fold: str) -> None:
    with pytest.raises(UserError, match=r"data, fold: found .*; expected K/N with"):
        Data("train", "", fold=fold)


@given(fold=st.text(max_size=12) | st.from_regex(r"[0-9]{1,5}/[0-9]{1,5}", fullmatch=True))
def test_any_fold_is_parsed_or_refused(fold: str) -> None:
    with contextlib.suppress(UserError):
        number, total = parse_fold(fold)
        assert 1 <= number <= total <= 1000
        assert total > 1
