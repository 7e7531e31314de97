"""Which row of the paper an experiment is."""

from dataclasses import replace

import pytest

from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models import registry
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES
from yt8m_core.paper_tables.match import DEFAULTS, SLOTS, rows_of
from yt8m_core.paper_tables.table import Row

DATA = Data("", "")
EVERY_ROW = [(key, row) for key, table in TABLES.items() for row in table.rows if row.times_rate == 1]


def names(experiment: Experiment, level: str = "frame", narrower: bool = False) -> set[tuple[str, str]]:
    found = rows_of(experiment, TABLES, level=level, narrower=narrower)
    return {(match.table, match.row.name) for match in found}


def test_defaults_are_those_of_the_registry() -> None:
    used = {(slot, getattr(row, slot).name) for _, row in EVERY_ROW for slot in SLOTS} - {("pooling", "none")}
    assert {name for _, name in used} | {"none"} == set(DEFAULTS)
    for slot, name in used:
        assert registry.options(slot, name) == DEFAULTS[name]


@pytest.mark.parametrize(("table", "row"), EVERY_ROW)
def test_row_of_the_paper_is_itself_at_any_width(table: str, row: Row) -> None:
    whole, narrow = (row.experiment(DATA, Training(), narrower=times) for times in (1, 16))
    found = [match for match in rows_of(whole, TABLES) if match.table == table]
    assert row.name in {match.row.name for match in found}
    assert {match.row.line for match in found} == {row.line}
    assert (table, row.name) in names(narrow, narrower=True)


def test_options_that_are_left_out_or_written_are_the_same() -> None:
    short = Experiment(DATA, Slot("indirect_clustering"), Slot("moe"))
    long = Experiment(DATA, Slot("indirect_clustering", {"scale": 1.0}), Slot("moe", {"experts": 2, "dummy": True}))
    assert names(short) == names(long)
    assert ("pooling", "Indirect Clustering") in names(short)


def test_rows_that_differ_in_their_widths_alone_are_all_meant_unless_one_is_exact() -> None:
    def cnn(channels: int, narrower: bool = False) -> set[str]:
        experiment = Experiment(DATA, Slot("cnn", {"channels": channels}), Slot("moe"))
        return {row for table, row in names(experiment, narrower=narrower) if table == "pooling"}

    assert cnn(64) == {"CNN-64"}
    assert cnn(16) == cnn(64, narrower=True) == {"CNN-64", "CNN-256", "CNN-1024"}


@pytest.mark.parametrize(
    "change",
    [
        {"classification": Slot("moe", {"experts": 3})},
        {"classification": Slot("mlp", {"hidden": [8, 8]})},  # two layers are not the paper's three
        {"classification": Slot("moe", {"embedding": 7})},
        {"loss": Slot("pseudo_huber", {"delta": 0.7})},
        {"label_processing": Slot("context_gating")},
        {"fusion": Slot("a_method_of_my_own")},
        {"pooling": Slot("mean")},
    ],
)
def test_other_slots_are_no_row(change: dict[str, Slot]) -> None:
    experiment = Experiment(DATA, Slot("indirect_clustering"), Slot("moe"))
    assert names(experiment)
    assert names(replace(experiment, **change)) == set()


def test_mean_counts_as_indirect_clustering_where_a_video_is_one_vector() -> None:
    mean, clustering = (Experiment(DATA, Slot(name), Slot("mlp")) for name in ("mean", "indirect_clustering"))
    assert names(mean) == set()
    assert names(mean, "video") == names(clustering) == names(clustering, "video") != set()
