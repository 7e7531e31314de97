"""Tables of several runs: settings, metrics, matching rows of the paper, and agreement with its order."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from yt8m_core.experiment import Experiment
from yt8m_core.paper_tables import TABLES
from yt8m_core.paper_tables.match import SLOTS, Match, matching_rows
from yt8m_core.runs.run import Run

# Column: its name in ``metrics.json``.
METRICS = {
    "gap": "gap", "gap_low": "gap_low", "gap_high": "gap_high", "hit_at_1": "hit_at_1", "perr": "perr",
    "map": "map_present",
}  # fmt: skip
COLUMNS = (
    "run", *SLOTS, "data", "videos", *METRICS, "parameters", "videos_per_second", "epochs", "learning_rate", "seed",
    "differs", "scale", "finished", "paper_row", "paper_gap", "rows",
)  # fmt: skip


def run_table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return a table with one row per run.

    Args:
        runs: runs by name.

    Returns:
        ``COLUMNS``. ``data`` is the validation data. ``rows`` are the rows of the paper with the run's architecture
        (``matching_rows``), as pairs (table, row); ``paper_row`` is their text, and ``paper_gap`` their GAP if it is
        the same in all. ``differs`` are the settings that tell apart runs with the same slots
        (``distinguishing_settings``). Metrics are NaN for an unfinished run.
    """
    differs = distinguishing_settings({name: run.experiment for name, run in runs.items()})
    numbers = dict.fromkeys((*METRICS, "parameters", "videos_per_second", "paper_gap"), float)
    return pd.DataFrame(
        [{**_run_row(name, run), "differs": differs[name]} for name, run in runs.items()], columns=list(COLUMNS)
    ).astype(numbers)


def distinguishing_settings(experiments: Mapping[str, Experiment]) -> dict[str, str]:
    """Return the settings that tell apart the experiments that are described alike, as text by name.

    >>> from dataclasses import replace
    >>> from yt8m_core.experiment import Data, Training
    >>> from yt8m_core.models.slot import Slot
    >>> slow, fast = (Experiment(Data("a", "b"), training=Training(learning_rate=rate)) for rate in (0.001, 0.1))
    >>> distinguishing_settings({"slow": slow, "fast": fast, "lstm": replace(slow, pooling=Slot("lstm"))})
    {'slow': 'learning_rate: 0.001', 'fast': 'learning_rate: 0.1', 'lstm': ''}
    """
    alike: dict[str, list[str]] = {}
    for name, experiment in experiments.items():
        alike.setdefault(str(experiment), []).append(name)
    texts = {}
    for first, *others in alike.values():
        differences = [experiments[first].differences(experiments[other]) for other in others]
        settings = dict.fromkeys(setting for values in differences for setting in values)
        for name in (first, *others):
            values = experiments[name].settings
            texts[name] = ", ".join(f"{setting}: {values[setting]}" for setting in settings)
    return {name: texts[name] for name in experiments}


def _run_row(name: str, run: Run) -> dict[str, Any]:
    experiment = run.experiment
    level, ignore_widths = run.facts.schema.level, run.facts.scale == "demo"
    matches = matching_rows(experiment, TABLES, level=level, ignore_widths=ignore_widths)
    gaps = {match.row.gap for match in matches if match.row.gap is not None}
    row = {
        "run": name,
        **{slot: str(getattr(experiment, slot)) for slot in SLOTS},
        "data": experiment.data.validation_name,
        "videos": run.facts.validation_videos,
        "epochs": experiment.training.epochs,
        "learning_rate": experiment.training.learning_rate,
        "seed": experiment.seed,
        "scale": run.facts.scale,
        "finished": run.is_finished,
        "paper_row": "; ".join(paper_row_names(matches)),
        "paper_gap": gaps.pop() if len(gaps) == 1 else None,
        "rows": tuple((match.table, match.row.name) for match in matches),
    }
    if run.is_finished:
        metrics = run.metrics
        row |= {column: metrics["validation"].get(metric) for column, metric in METRICS.items()}
        row |= {column: metrics.get(column) for column in ("parameters", "videos_per_second")}
    return row


def paper_row_names(matches: Iterable[Match]) -> list[str]:
    """Return the paper's name of each architecture among these rows, from its first table.

    >>> from yt8m_core.experiment import Data, Experiment
    >>> from yt8m_core.models.slot import Slot
    >>> huber = Experiment(
    ...     Data("", ""), Slot("indirect_clustering"), Slot("moe", {"experts": 16}), loss=Slot("pseudo_huber")
    ... )
    >>> paper_row_names(matching_rows(huber, TABLES))
    ['Table 4: Huber (δ = 0.5)']
    """
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.row.architecture, match)
    return [f"{short_title(match.table)}: {match.row.name}" for match in first.values()]


def short_title(table: str) -> str:
    """Return the number of a table, or the title of one without a number.

    >>> short_title("loss"), short_title("pooling_variants")
    ('Table 4', 'Paper versus published code, pooling')
    """
    number, _, topic = TABLES[table].title.partition(":")
    return f"{number},{topic}" if number.startswith("Paper") else number


def join_paper_rows(table: str, runs: pd.DataFrame) -> pd.DataFrame:
    """Join a table of the paper with runs.

    Args:
        table: a key of ``TABLES``.
        runs: as ``run_table``, all on the same validation data.

    Returns:
        row, paper_gap, run, gap, gap_low, gap_high, by descending GAP. A run that matches several rows appears in each;
        a row without a run has one line with missing values.
    """
    columns = ["run", "gap", "gap_low", "gap_high"]
    matches = [
        (row, *values)
        for rows, *values in runs.loc[runs["finished"], ["rows", *columns]].itertuples(index=False)
        for row_table, row in rows
        if row_table == table
    ]
    paper = pd.DataFrame(
        [(row.name, row.gap) for row in TABLES[table].rows if row.rate_multiplier == 1], columns=["row", "paper_gap"]
    ).astype({"paper_gap": float})
    matched_runs = pd.DataFrame(matches, columns=["row", *columns]).astype(dict.fromkeys(columns[1:], float))
    joined = paper.merge(matched_runs, on="row", how="left", sort=False)
    return joined.sort_values(["paper_gap", "gap"], ascending=False, kind="stable", ignore_index=True)


class RankAgreement(NamedTuple):
    """Number of pairs of runs, with different paper rows, by agreement of their order with the paper's."""

    agree: int
    disagree: int
    inconclusive: int  # the CIs overlap


def rank_agreement(table: pd.DataFrame, run: str) -> RankAgreement:
    """Compare the order of a run and of each run with another paper GAP with the paper's order.

    A pair is inconclusive if its CIs overlap, which is stricter than a paired test.

    >>> gaps = {"gap": [0.7, 0.5], "gap_low": [0.6, 0.4], "gap_high": [0.8, 0.55]}
    >>> table = pd.DataFrame({"row": ["LSTM", "CNN"], "paper_gap": [0.82, 0.75], "run": ["a", "b"], **gaps})
    >>> rank_agreement(table, "a")
    RankAgreement(agree=1, disagree=0, inconclusive=0)

    Args:
        table: as ``join_paper_rows``.
        run: name of the run.
    """
    lines: list[dict[Hashable, Any]] = table[table["run"].notna() & table["paper_gap"].notna()].to_dict("records")
    counts = {"agree": 0, "disagree": 0, "inconclusive": 0}
    for line in lines:
        if line["run"] != run:
            continue
        for other in lines:
            if other["run"] == run or other["paper_gap"] == line["paper_gap"]:
                continue
            if line["gap_low"] <= other["gap_high"] and other["gap_low"] <= line["gap_high"]:
                counts["inconclusive"] += 1
            else:
                same = (line["gap"] > other["gap"]) == (line["paper_gap"] > other["paper_gap"])
                counts["agree" if same else "disagree"] += 1
    return RankAgreement(**counts)
