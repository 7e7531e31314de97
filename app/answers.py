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
from yt8m_core.runs import Run

# torch takes seconds to import: what needs it is imported where a model is needed, and the first page does without.
if TYPE_CHECKING:
    from yt8m_core.attention_measures import Similarity
    from yt8m_core.diagnosis import ThresholdCounts
    from yt8m_core.occlusion import LeftOut, Removal
    from yt8m_core.prediction import Prediction
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


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=BY_CONTENT)
def similarity(run: Run, data: DataSet, video: int) -> "Similarity":
    """How alike the frames of a video are, as ``attention_measures.similarity``."""
    from yt8m_core import attention_measures, attention_study

    frames = state.videos_for(run, data).frames(video)
    return attention_measures.similarity(attention_study.seen_frames(state.model(run), frames))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def clusters(run: Run, data: DataSet, video: int, k: int) -> NDArray[np.int64]:
    """The cluster of each frame of a video, as ``attention_measures.k_means``."""
    from yt8m_core import attention_measures, attention_study

    frames = state.videos_for(run, data).frames(video)
    return attention_measures.k_means(attention_study.seen_frames(state.model(run), frames), k)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_CONTENT)
def sharpness(run: Run) -> float | None:
    """α of the run's pooling, None where it has none."""
    from yt8m_core import attention_study

    return attention_study.sharpness(state.model(run))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def sharpened(run: Run, data: DataSet, video: int, scale: float) -> "Prediction":
    """What a run would say of a video with another α."""
    from yt8m_core import attention_study
    from yt8m_core.prediction import predict_video

    model = attention_study.sharpened(state.model(run), scale)
    return predict_video(model, state.videos_for(run, data).frames(video))


@st.cache_resource(max_entries=64, show_spinner="Predicting from parts of the video…", hash_funcs=BY_CONTENT)
def top_removed(run: Run, data: DataSet, video: int, count: int) -> "Removal":
    """A video without the frames of highest weight and with them alone, as ``occlusion.remove_top``."""
    from yt8m_core import occlusion

    weights = state.prediction(run, data, video).attention
    assert weights is not None  # the run attends
    return occlusion.remove_top(state.model(run), state.videos_for(run, data).frames(video), weights, count)


@st.cache_resource(max_entries=64, show_spinner="Predicting without each part of the video…", hash_funcs=BY_CONTENT)
def left_out(run: Run, data: DataSet, video: int, width: int) -> "LeftOut":
    """A video without each of its windows, as ``occlusion.leave_out``."""
    from yt8m_core import occlusion

    return occlusion.leave_out(state.model(run), state.videos_for(run, data).frames(video), width)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def one_second(run: Run, data: DataSet, video: int, second: int) -> NDArray[np.float32]:
    """What a run says of a video without one second, and of that second alone: [2, C]."""
    from yt8m_core import occlusion

    frames = state.videos_for(run, data).frames(video)
    others = np.delete(np.arange(len(frames)), second)
    return occlusion.predict_parts(state.model(run), frames, [others, np.array([second])])


@st.cache_resource(max_entries=8, show_spinner="Clustering the seconds of many videos…", hash_funcs=BY_CONTENT)
def attention_study(run: Run, data: DataSet, k: int) -> pd.DataFrame:
    """What the attention lies on in the videos of a data set, as ``attention_study.study``."""
    from yt8m_core import attention_study

    return attention_study.study(
        state.model(run),
        state.videos_for(run, data),
        k,
        scene=lambda video_id, num_frames: state.main_scene(data, video_id, num_frames),
    )
