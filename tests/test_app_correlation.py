"""The page of label correlation."""

import json

import pytest

from tests.pages import Controls, changes, charts, choose, controls, opened, select_last, words

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "correlation"

CONTROLS: Controls = {
    "data": select_last("data"),
    "measure": choose("measure", "lift"),
    "labels": lambda at: at.multiselect(key="labels").set_value(at.multiselect(key="labels").options[:3]),
    "support": lambda at: at.number_input(key="support").set_value(3),
    "label": lambda at: at.selectbox(key="label").select("Pet · 16"),
}


def test_pair_of_labels_in_words_when_its_cell_is_clicked() -> None:
    at = opened("correlation")
    chart = json.loads(charts(at)[0])
    names = chart["layout"]["xaxis"]["ticktext"]
    assert len(names) == 30
    row, column = names.index("Dog"), names.index("Pet")
    at.session_state["matrix"] = {"selection": {"points": [{"x": column, "y": row}]}}
    at.run()
    assert "videos with **Dog**, 100% have **Pet** too" in words(at)
    at.session_state["matrix"] = {"selection": {"points": [{"x": row, "y": row}]}}
    at.run()
    assert "**Dog** is in" in words(at)


def test_strongest_pairs_keep_to_the_support_and_the_label() -> None:
    at = opened("correlation", support="2")
    (table,) = (element.value for element in at.dataframe)
    assert len(table) > 0
    assert (table["count"] >= 2).all()
    name = f"{table['a'].iloc[0]} · {table['label_a'].iloc[0]}"
    at.selectbox(key="label").select(name).run()
    (fewer,) = (element.value for element in at.dataframe)
    assert 0 < len(fewer) < len(table)
    assert ((fewer["a"] == table["a"].iloc[0]) | (fewer["b"] == table["a"].iloc[0])).all()


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control], support="2")


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) - set(CONTROLS) <= {"run"}  # which says nothing about the labels in the data
