"""All runs that were found, finished or not, side by side, and what is worth a look in one; needs no torch."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from cache import loaders as state
from yt8m_core.analysis import top_k_errors
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.runs.table import run_table as run_table_of


def unfinished_runs() -> dict[str, Run]:
    """The runs whose training goes on or was stopped, by the same key as the finished ones."""
    runs = {}
    for key, path in state.run_folders().items():
        if not os.path.lexists(path / "metrics.json") and (run := _begun_run(path, state.run_stamp(path))):
            runs[key] = run
    return runs


@st.cache_resource(max_entries=4096, show_spinner=False)
def _begun_run(path: Path, stamp: state.Stamp) -> Run | None:
    """A run that is not finished; None for a folder with a fault, of which the sidebar tells."""
    with contextlib.suppress(UserError):
        return Run.open(path)
    return None


def training_log(run: Run) -> pd.DataFrame:
    """The training of a run as it went, and goes. Raises UserError where there is no log."""
    return _training_log(run, state.stamp_of([run.path / "log.csv"]))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=state.BY_CONTENT)
def _training_log(run: Run, stamp: state.Stamp) -> pd.DataFrame:
    return run.log


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=state.BY_CONTENT)
def run_table(runs: tuple[tuple[str, Run], ...]) -> pd.DataFrame:
    """Runs side by side, as ``run_table.run_table``."""
    return run_table_of(dict(runs))


def all_runs() -> pd.DataFrame:
    """All runs that were found, finished or not, side by side."""
    return run_table((*state.find_all_runs()[0].items(), *unfinished_runs().items()))


@dataclass(frozen=True)
class Findings:
    """What the kept best labels of a run's validation videos say."""

    hardest: top_k_errors.Missed | None
    surest: top_k_errors.Mistake | None
    bands: pd.DataFrame


@st.cache_resource(max_entries=16, show_spinner="Reading what the run predicted…", hash_funcs=state.BY_CONTENT)
def findings(run: Run) -> Findings:
    """What to look at in a run. Raises UserError where its predictions are gone."""
    predictions = run.predictions
    return Findings(
        top_k_errors.hardest_video(predictions),
        top_k_errors.most_confident_false_positive(predictions),
        top_k_errors.found_by_band(predictions, run.facts.num_classes),
    )


def data_names() -> dict[str, str]:
    """What links call the data set at each path."""
    return {data.path: key for key, data in state.find_all_data(state.find_all_runs()[0].values()).items()}
