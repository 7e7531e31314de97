"""What a run's scores of a data set answer, each computed once: hard labels, hard videos, thresholds, other weights.

As in ``state``, every cache is keyed by the files behind it, and nobody may change what is cached.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

import state
from state import BY_CONTENT, DataSet
from yt8m_core.errors import UserError
from yt8m_core.runs import Run

# torch takes seconds to import: what needs it is imported where a model is needed, and the first page does without.
if TYPE_CHECKING:
    from yt8m_core.diagnosis import ThresholdCounts
    from yt8m_core.scored import Scored
    from yt8m_core.what_if import EnsembleAnswer, Mixtures


@st.cache_resource(max_entries=8, show_spinner="Scoring the videos, once for this run…", hash_funcs=BY_CONTENT)
def scored(run: Run, data: DataSet) -> "Scored":
    """A run's scores of all videos of a data set, or of a sample. Raises UserError where data and run do not fit."""
    from yt8m_core.scored import scored_of

    return scored_of(run, state.videos_for(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each label…", hash_funcs=BY_CONTENT)
def label_precision(run: Run, data: DataSet) -> pd.DataFrame:
    """The average precision of each label, as ``diagnosis.label_precision``."""
    from yt8m_core import diagnosis

    return diagnosis.label_precision(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=BY_CONTENT)
def true_ranks(run: Run, data: DataSet) -> pd.DataFrame:
    """Where the true labels stand, as ``diagnosis.true_ranks``."""
    from yt8m_core import diagnosis

    return diagnosis.true_ranks(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=BY_CONTENT)
def video_difficulty(run: Run, data: DataSet) -> pd.DataFrame:
    """How hard each video is, as ``diagnosis.video_difficulty``."""
    from yt8m_core import diagnosis

    return diagnosis.video_difficulty(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Counting at every threshold…", hash_funcs=BY_CONTENT)
def threshold_counts(run: Run, data: DataSet) -> "ThresholdCounts":
    """Counts at every threshold, as ``diagnosis.threshold_counts``."""
    from yt8m_core import diagnosis

    return diagnosis.threshold_counts(scored(run, data))


@st.cache_resource(max_entries=2, show_spinner="Weighing the scores by how labels go together…", hash_funcs=BY_CONTENT)
def mixtures(run: Run, data: DataSet) -> "Mixtures":
    """What α, β and γ weigh, with M_c of the run's own training labels. Raises UserError where those are gone."""
    from yt8m_core import what_if
    from yt8m_core.label_processing.correlation import correlation_matrix

    training = state.labels(DataSet(run.experiment.data.train, run.experiment.data.vocabulary))
    matrix = correlation_matrix(training.matrix, "cond_row").numpy()
    return what_if.mixtures(scored(run, data), matrix, trained_matrix(run))


@st.cache_resource(max_entries=2, show_spinner="Loading the model…", hash_funcs=BY_CONTENT)
def trained_matrix(run: Run) -> NDArray[np.float32] | None:
    """M'_c [C, C] of a run whose label processing trained one."""
    trained = getattr(state.model(run).label_processing, "trained", None)
    return None if trained is None else trained.numpy()


@st.cache_resource(max_entries=16, show_spinner="Averaging the runs…", hash_funcs=BY_CONTENT)
def average(
    runs: tuple[tuple[str, Run], ...], data: DataSet, weights: tuple[float, ...] = (), kind: str = "probability"
) -> "EnsembleAnswer":
    """What an average of runs, each with its name, comes to. Raises UserError where they do not fit each other."""
    from yt8m_core.what_if import average_of

    return average_of({name: scored(run, data) for name, run in runs}, weights, kind)


def that_fit(
    runs: tuple[tuple[str, Run], ...], data: DataSet
) -> tuple[tuple[tuple[str, Run], ...], list[tuple[str, UserError]]]:
    """The runs that can score a data set, and what is wrong with each of the others."""
    fitting, faults = [], []
    for name, run in runs:
        try:
            scored(run, data)
            fitting.append((name, run))
        except UserError as error:
            faults.append((name, error))
    return tuple(fitting), faults
