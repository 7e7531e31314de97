"""Runs with the same slots, which only their other settings tell apart."""

import pytest

from tests.app.conftest import CopyRun
from tests.support.damages import set_json_value
from tests.support.pages import ATTENTION_RUN, error_text, open_page, page_text, tables


@pytest.fixture
def rates(copy_run: CopyRun) -> dict[str, float]:
    """Add two runs that differ from each other in the learning rate and from ``ATTENTION_RUN`` also in the seed."""
    added = {"slow": 0.001, "fast": 0.25}
    for name, rate in added.items():
        folder = copy_run(name)
        set_json_value("config.json", "experiment/training/learning_rate", rate)(folder)
        set_json_value("config.json", "experiment/seed", 7)(folder)
    return added


@pytest.mark.parametrize("page", ["overview", "experiments"])
def test_provenance_and_table_have_the_settings_that_differ(page: str, rates: dict[str, float]) -> None:
    for name, rate in rates.items():
        at = open_page(page, run=name)
        assert error_text(at) == ""
        assert f"cross_entropy (learning_rate: {rate}, seed: 7);" in page_text(at)
    if page == "experiments":
        table = tables(at)[0].set_index("run")["differs"]
        assert table["slow"] == "learning_rate: 0.001, seed: 7"
        assert "seed: 0" in table[ATTENTION_RUN]


def test_second_run_is_described_by_its_difference(rates: dict[str, float]) -> None:
    at = open_page("compare", run="slow", run_b="fast")
    assert error_text(at) == ""
    assert "**slow** → **fast**: learning_rate: 0.001 → 0.25." in page_text(at)
    at = open_page("predictions", run="slow", runs=["fast", ATTENTION_RUN])
    assert "**slow** → **fast**: learning_rate: 0.001 → 0.25." in page_text(at)
    assert f"**slow** → **{ATTENTION_RUN}**: learning_rate: 0.001 → " in page_text(at)


def test_overview_names_the_run_whose_weights_a_run_started_from(copy_run: CopyRun) -> None:
    folder = copy_run("later")
    set_json_value("config.json", "experiment/init", "/runs/earlier")(folder)
    set_json_value("config.json", "facts/init_weights", "0123456789abcdef")(folder)
    at = open_page("overview", run="later")
    assert error_text(at) == ""
    assert "Started from the weights of /runs/earlier (digest 0123456789abcdef)." in page_text(at)
    assert "(init: /runs/earlier);" in page_text(at)
    assert "Started from the weights" not in page_text(open_page("overview", run=ATTENTION_RUN))
