"""The page of label imbalance."""

import pytest

from tests.pages import Controls, changes, controls, opened, select_last, words

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "imbalance"

CONTROLS: Controls = {"data": select_last("data"), "label": select_last("label")}


def test_imbalance_in_words_and_every_label_in_the_table() -> None:
    at = opened("imbalance")
    (table,) = (element.value for element in at.dataframe)
    assert len(table) == 120
    assert table["rank"].tolist() == list(range(1, 121))
    top = table["count"][:6].sum() / table["count"].sum()
    assert f"**5%** of the labels hold **{top:.0%}**" in words(at)
    assert f"occur in no video here, {(table['count'] == 0).sum()} of 120" in words(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control])


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) - set(CONTROLS) <= {"run"}  # which says nothing about the labels in the data
