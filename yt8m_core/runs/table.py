"""Runs side by side: what each is, what it came to, and how runs of the paper's rows stand to each other."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from yt8m_core.paper_tables import TABLES
from yt8m_core.paper_tables.match import SLOTS, Match, matching_rows
from yt8m_core.runs.run import Run

# What each column of the metrics is called in ``metrics.json``.
METRICS = {
    "gap": "gap", "gap_low": "gap_low", "gap_high": "gap_high", "hit_at_1": "hit_at_1", "perr": "perr",
    "map": "map_present",
}  # fmt: skip
COLUMNS = (
    "run", *SLOTS, "data", "videos", *METRICS, "parameters", "videos_per_second", "epochs", "learning_rate", "seed",
    "scale", "finished", "paper_row", "paper_gap", "rows",
)  # fmt: skip


def run_table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """A run a row, by the name that it is given: ``COLUMNS``.

    ``data`` are the videos that it was measured on. ``rows`` are the rows of the paper whose line of slots it has
    (``matching_rows``), as pairs of a table and a row; ``paper_row`` says them in words, and ``paper_gap`` is their GAP where
    they agree on one. An unfinished run has no metrics.
    """
    numbers = dict.fromkeys((*METRICS, "parameters", "videos_per_second", "paper_gap"), float)
    return pd.DataFrame([_row(name, run) for name, run in runs.items()], columns=list(COLUMNS)).astype(numbers)


def _row(name: str, run: Run) -> dict[str, Any]:
    experiment = run.experiment
    level, ignore_widths = run.facts.schema.level, run.facts.scale == "demo"
    matches = matching_rows(experiment, TABLES, level=level, ignore_widths=ignore_widths)
    gaps = {match.row.gap for match in matches if match.row.gap is not None}
    row = {
        "run": name,
        **{slot: str(getattr(experiment, slot)) for slot in SLOTS},
        "data": experiment.data.validation,
        "videos": run.facts.validation_videos,
        "epochs": experiment.training.epochs,
        "learning_rate": experiment.training.learning_rate,
        "seed": experiment.seed,
        "scale": run.facts.scale,
        "finished": run.is_finished,
        "paper_row": "; ".join(in_the_paper(matches)),
        "paper_gap": gaps.pop() if len(gaps) == 1 else None,
        "rows": tuple((match.table, match.row.name) for match in matches),
    }
    if run.is_finished:
        metrics = run.metrics
        row |= {column: metrics["validation"].get(metric) for column, metric in METRICS.items()}
        row |= {column: metrics.get(column) for column in ("parameters", "videos_per_second")}
    return row


def in_the_paper(matches: Iterable[Match]) -> list[str]:
    """What the paper calls these rows; a line of slots that several tables have, as the first of them does.

    >>> from yt8m_core.experiment import Data, Experiment
    >>> from yt8m_core.models.slot import Slot
    >>> huber = Experiment(
    ...     Data("", ""), Slot("indirect_clustering"), Slot("moe", {"experts": 16}), loss=Slot("pseudo_huber")
    ... )
    >>> in_the_paper(matching_rows(huber, TABLES))
    ['Table 4: Huber (δ = 0.5)']
    """
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.row.architecture, match)
    return [f"{short_title(match.table)}: {match.row.name}" for match in first.values()]


def short_title(table: str) -> str:
    """The number of a table, or what it has in place of one.

    >>> short_title("loss"), short_title("pooling_variants")
    ('Table 4', 'Paper and published code, pooling')
    """
    number, _, topic = TABLES[table].title.partition(":")
    return f"{number},{topic}" if number.startswith("Paper") else number


def join_paper_rows(table: str, runs: pd.DataFrame) -> pd.DataFrame:
    """A table of the paper, best row first, with the runs of each: row, paper_gap, run, gap, gap_low, gap_high.

    Args:
        table: a key of ``TABLES``.
        runs: as ``run_table``, measured on the same videos. A run that may be several rows stands at each, and a row
            without a run has a line without one.
    """
    columns = ["run", "gap", "gap_low", "gap_high"]
    mine = [
        (row, *values)
        for rows, *values in runs.loc[runs["finished"], ["rows", *columns]].itertuples(index=False)
        for of, row in rows
        if of == table
    ]
    paper = pd.DataFrame(
        [(row.name, row.gap) for row in TABLES[table].rows if row.rate_multiplier == 1], columns=["row", "paper_gap"]
    ).astype({"paper_gap": float})
    ours = pd.DataFrame(mine, columns=["row", *columns]).astype(dict.fromkeys(columns[1:], float))
    both = paper.merge(ours, on="row", how="left", sort=False)
    return both.sort_values(["paper_gap", "gap"], ascending=False, kind="stable", ignore_index=True)


class Order(NamedTuple):
    """How one run stands to runs of other rows of the paper, pair by pair."""

    as_paper: int  # better or worse, as in the paper
    other_way: int
    open: int  # the intervals overlap


def order(table: pd.DataFrame, run: str) -> Order:
    """Compare a run with those of the other rows of ``join_paper_rows`` to which the paper gives another GAP.

    Two runs are told apart where their intervals do not overlap, which is stricter than a paired comparison.

    >>> gaps = {"gap": [0.7, 0.5], "gap_low": [0.6, 0.4], "gap_high": [0.8, 0.55]}
    >>> order(pd.DataFrame({"row": ["LSTM", "CNN"], "paper_gap": [0.82, 0.75], "run": ["a", "b"], **gaps}), "a")
    Order(as_paper=1, other_way=0, open=0)
    """
    known: list[dict[Hashable, Any]] = table[table["run"].notna() & table["paper_gap"].notna()].to_dict("records")
    counts = {"as_paper": 0, "other_way": 0, "open": 0}
    for own in (line for line in known if line["run"] == run):
        for other in known:
            if other["run"] == run or other["paper_gap"] == own["paper_gap"]:
                continue
            if own["gap_low"] <= other["gap_high"] and other["gap_low"] <= own["gap_high"]:
                counts["open"] += 1
            else:
                same = (own["gap"] > other["gap"]) == (own["paper_gap"] > other["paper_gap"])
                counts["as_paper" if same else "other_way"] += 1
    return Order(**counts)
