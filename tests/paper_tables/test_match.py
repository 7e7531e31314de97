"""Matching experiments to rows of the paper."""

from dataclasses import replace

import pytest

from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models import registry
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES
from yt8m_core.paper_tables.match import DEFAULTS, READING, SLOTS, matching_rows
from yt8m_core.paper_tables.table import Row

DATA = Data("", "")
PAPER_TABLES = {key: table for key, table in TABLES.items() if table.conclusion}
ALL_ROWS = [(key, row) for key, table in PAPER_TABLES.items() for row in table.rows if row.rate_multiplier == 1]


def names(experiment: Experiment, level: str = "frame", ignore_widths: bool = False) -> set[tuple[str, str]]:
    matches = matching_rows(experiment, TABLES, level=level, ignore_widths=ignore_widths)
    return {(match.table, match.row.name) for match in matches}


def test_defaults_equal_those_of_the_registry() -> None:
    used = {(slot, getattr(row, slot).name) for _, row in ALL_ROWS for slot in SLOTS} - {("pooling", "none")}
    assert {name for _, name in used} | {"none"} == set(DEFAULTS)
    for slot, name in used:
        assert registry.default_options(slot, name) == DEFAULTS[name]


def test_the_reading_of_table_3_is_that_of_the_defaults() -> None:
    """A run with the default reading is the row of Table 3, and the slot computes the same with and without it."""
    (row,) = (row for key, row in ALL_ROWS if (key, row.name) == ("label_processing", "MoE - (1.0, 0.0, 0.1)"))
    experiment = row.experiment(DATA, Training())
    plain = replace(experiment, label_processing=Slot("correlation", {"gamma": 0.1}))
    assert names(plain) == names(experiment) >= {("label_processing", row.name)}
    assert not names(replace(experiment, label_processing=Slot("correlation", {"gamma": 0.1, "space": "prob"})))
    implicit, explicit = (
        registry.build("label_processing", "correlation", slot.options, num_classes=3)
        for slot in (plain.label_processing, experiment.label_processing)
    )
    for name in ("space", "matrix_norm", "relative_step"):
        assert getattr(implicit, name) == getattr(explicit, name) == READING["correlation"][name]


def test_methods_beyond_the_paper_match_no_row() -> None:
    for table in ("label_priors", "best"):
        for row in TABLES[table].rows:
            assert table not in {key for key, _ in names(row.experiment(DATA, Training()))}


@pytest.mark.parametrize(("table", "row"), ALL_ROWS)
def test_each_row_matches_itself_at_any_width(table: str, row: Row) -> None:
    full, narrow = (row.experiment(DATA, Training(), width_divisor=divisor) for divisor in (1, 16))
    matches = [match for match in matching_rows(full, TABLES) if match.table == table]
    assert row.name in {match.row.name for match in matches}
    assert {match.row.architecture for match in matches} == {row.architecture}
    assert (table, row.name) in names(narrow, ignore_widths=True)


def test_omitted_options_equal_their_defaults() -> None:
    short = Experiment(DATA, Slot("indirect_clustering"), Slot("moe"))
    long = Experiment(DATA, Slot("indirect_clustering", {"scale": 1.0}), Slot("moe", {"experts": 2, "dummy": True}))
    assert names(short) == names(long)
    assert ("pooling", "Indirect Clustering") in names(short)


def test_rows_that_differ_only_in_width_all_match_unless_one_is_exact() -> None:
    def cnn(channels: int, ignore_widths: bool = False) -> set[str]:
        experiment = Experiment(DATA, Slot("cnn", {"channels": channels}), Slot("moe"))
        return {row for table, row in names(experiment, ignore_widths=ignore_widths) if table == "pooling"}

    assert cnn(64) == {"CNN-64"}
    assert cnn(16) == cnn(64, ignore_widths=True) == {"CNN-64", "CNN-256", "CNN-1024"}


@pytest.mark.parametrize(
    "change",
    [
        {"classification": Slot("moe", {"experts": 3})},
        {"classification": Slot("mlp", {"hidden": [8, 8]})},  # the paper has three layers
        {"classification": Slot("moe", {"embedding": 7})},
        {"loss": Slot("pseudo_huber", {"delta": 0.7})},
        {"label_processing": Slot("context_gating")},
        {"fusion": Slot("a_method_of_my_own")},
        {"pooling": Slot("mean")},
    ],
)
def test_other_slots_match_no_row(change: dict[str, Slot]) -> None:
    experiment = Experiment(DATA, Slot("indirect_clustering"), Slot("moe"))
    assert names(experiment)
    assert names(replace(experiment, **change)) == set()


def test_mean_counts_as_indirect_clustering_on_video_level_data() -> None:
    mean, clustering = (Experiment(DATA, Slot(name), Slot("mlp")) for name in ("mean", "indirect_clustering"))
    assert names(mean) == set()
    assert names(mean, "video") == names(clustering) == names(clustering, "video") != set()
