"""What a run's scores of a data set answer, each computed once: hard labels, hard videos, thresholds, other weights.

As in ``state``, every cache is keyed by the files behind it, and nobody may change what is cached.
"""

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cache import loaders as state
from cache.loaders import BY_CONTENT, DataSet
from yt8m_core.errors import UserError
from yt8m_core.labels import clustering, statistics
from yt8m_core.runs.run import Run

# torch takes seconds to import: what needs it is imported where a model is needed, and the first page does without.
if TYPE_CHECKING:
    from yt8m_core.analysis.ensembling import EnsembleAnswer
    from yt8m_core.analysis.label_mixing import Mixtures
    from yt8m_core.analysis.learned_correlation import OwnMatrices
    from yt8m_core.analysis.noise_strength import NoiseStrength
    from yt8m_core.analysis.thresholds import ThresholdCounts
    from yt8m_core.data.feature_check.check import FeatureCheck
    from yt8m_core.data.feature_check.profile import FeatureProfile
    from yt8m_core.explain.attribution import Why
    from yt8m_core.inference.score_cache import Scored


@st.cache_resource(max_entries=8, show_spinner="Scoring the videos, once for this run…", hash_funcs=BY_CONTENT)
def scored(run: Run, data: DataSet) -> "Scored":
    """A run's scores of all videos of a data set, or of a sample. Raises UserError where data and run do not fit."""
    from yt8m_core.inference.score_cache import scored_of

    return scored_of(run, state.videos_for(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each label…", hash_funcs=BY_CONTENT)
def label_precision(run: Run, data: DataSet) -> pd.DataFrame:
    """The average precision of each label, as ``per_label.label_precision``."""
    from yt8m_core.analysis import per_label

    return per_label.label_precision(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=BY_CONTENT)
def true_ranks(run: Run, data: DataSet) -> pd.DataFrame:
    """Where the true labels stand, as ``per_label.true_ranks``."""
    from yt8m_core.analysis import per_label

    return per_label.true_ranks(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=BY_CONTENT)
def video_difficulty(run: Run, data: DataSet) -> pd.DataFrame:
    """How hard each video is, as ``per_video.video_difficulty``."""
    from yt8m_core.analysis import per_video

    return per_video.video_difficulty(scored(run, data))


@st.cache_resource(max_entries=8, show_spinner="Counting at every threshold…", hash_funcs=BY_CONTENT)
def threshold_counts(run: Run, data: DataSet) -> "ThresholdCounts":
    """Counts at every threshold, as ``thresholds.threshold_counts``."""
    from yt8m_core.analysis import thresholds

    return thresholds.threshold_counts(scored(run, data))


@st.cache_resource(max_entries=2, show_spinner="Weighing the scores by how labels go together…", hash_funcs=BY_CONTENT)
def mixtures(run: Run, data: DataSet) -> "Mixtures":
    """What α, β and γ weigh, with M_c of the run's own training labels. Raises UserError where those are gone."""
    from yt8m_core.analysis import label_mixing
    from yt8m_core.models.label_processing.correlation import correlation_matrix

    training = state.labels(DataSet(run.experiment.data.train, run.experiment.data.vocabulary))
    matrix = correlation_matrix(training.matrix, "cond_row").numpy()
    return label_mixing.mixtures(scored(run, data), matrix, trained_matrix(run))


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
    from yt8m_core.analysis.ensembling import average_of

    return average_of({name: scored(run, data) for name, run in runs}, weights, kind)


@st.cache_resource(max_entries=8, show_spinner="Measuring each label…", hash_funcs=BY_CONTENT)
def measured_labels(run: Run, data: DataSet) -> pd.DataFrame:
    """The labels of a data set as ``state.labels`` has them, with positives and ap of a run; NaN without positives."""
    return state.labels(data).table.merge(label_precision(run, data), on="label", how="left")


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_CONTENT)
def precision_steps(run: Run, data: DataSet) -> pd.DataFrame:
    """The average precision of labels about as frequent, as ``per_label.by_frequency``."""
    from yt8m_core.analysis import per_label

    return per_label.by_frequency(measured_labels(run, data))


@st.cache_resource(max_entries=8, show_spinner="Working out the noise…", hash_funcs=BY_CONTENT)
def noise_strength(run: Run | None, training: DataSet, data: DataSet, times: float) -> "NoiseStrength":
    """γ of adaptive noise for each label, with the options of a run that was trained with it, else with the paper's."""
    from yt8m_core.analysis import noise_strength

    options = noise_strength.PAPER
    if run is not None and run.experiment.pooling.name == "adaptive_noise":
        options = run.experiment.pooling.options
    return noise_strength.noise_strength(
        state.labels(training).matrix,
        state.labels(data).matrix,
        width=state.videos(data).schema.width,
        options=options,
        times=times,
    )


@st.cache_resource(max_entries=4, show_spinner="Putting alike labels next to each other…", hash_funcs=BY_CONTENT)
def label_order(data: DataSet) -> clustering.LabelOrder:
    """The labels of a data set in cluster order, as ``clustering.label_order``."""
    return clustering.label_order(state.cooccurrence(data), state.labels(data).num_videos)


@st.cache_resource(max_entries=2, show_spinner="Reading the run's own matrix…", hash_funcs=BY_CONTENT)
def own_matrices(run: Run) -> "OwnMatrices":
    """M_c and M'_c of a run whose label processing weighs by them."""
    from yt8m_core.analysis.learned_correlation import own_matrices
    from yt8m_core.models.label_processing.correlation import Correlation

    processing = state.model(run).label_processing
    if not isinstance(processing, Correlation):
        raise UserError(f"run '{run.name}' weighs scores by no matrix")
    training = None
    with contextlib.suppress(UserError):  # where they are gone, what needs them is not offered
        training = state.labels(DataSet(run.experiment.data.train, run.experiment.data.vocabulary)).matrix
    return own_matrices(processing, training)


@st.cache_resource(max_entries=16, show_spinner="Drawing all labels…", hash_funcs=BY_CONTENT)
def overview(data: DataSet, measure: str, support: int, own: tuple[Run, str] | None = None) -> NDArray[np.float64]:
    """The whole matrix in cluster order, pooled: of a measure, or of a run's own matrix of some kind."""
    pairs = state.cooccurrence(data)
    if own is None:
        values = statistics.measure(pairs, state.labels(data).num_videos, measure)
        kept = clustering.supported(values, pairs, support)
    else:
        row, column = clustering.pairs_with(pairs, support)
        kept = csr_array((own_matrices(own[0]).at(own[1], row, column), (row, column)), pairs.shape)
    return clustering.pooled(kept, label_order(data).labels)


@st.cache_resource(max_entries=8, show_spinner="Comparing the pairs with the scores…", hash_funcs=BY_CONTENT)
def against_truth(run: Run, data: DataSet, first: bytes, second: bytes) -> pd.DataFrame:
    """How often pairs are together and how often the run expects it; the labels are int64 in bytes."""
    from yt8m_core.analysis.pair_calibration import against_truth

    one, other = (np.frombuffer(side, np.int64) for side in (first, second))
    return against_truth(scored(run, data), one, other)


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs=BY_CONTENT)
def mixture_gap(run: Run, data: DataSet, alpha: float, beta: float, gamma: float) -> float:
    """GAP@20 of a run's scores with other weights of label processing."""
    return mixtures(run, data).gap(alpha, beta, gamma)


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=BY_CONTENT)
def video_list(run: Run, data: DataSet, threshold: float) -> pd.DataFrame:
    """How each video went at a threshold, as ``per_video.video_list``."""
    from yt8m_core.analysis import per_video

    return per_video.video_list(scored(run, data), true_ranks(run, data), video_difficulty(run, data), threshold)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def why(run: Run, digest: str, label: int, _frames: NDArray[Any]) -> "Why":
    """Why a label of a video, known by the digest of its frames, has its score."""
    from yt8m_core.explain.attribution import why

    return why(state.model(run), _frames, label)


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


@st.cache_resource(max_entries=4, show_spinner="Measuring the features of the training…", hash_funcs=BY_CONTENT)
def feature_profile(run: Run, training: DataSet) -> "FeatureProfile | None":
    """What a run's training features look like; None where they are gone, or too few, and no others stand for them."""
    from yt8m_core.data.feature_check.check import profile_for
    from yt8m_core.data.feature_check.profile import built_in_profile

    try:
        return profile_for(state.videos_for(run, training), f"the training data of run {run.name}")
    except UserError:
        return built_in_profile(run.facts.schema)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def feature_check(run: Run, digest: str, _frames: NDArray[Any]) -> "FeatureCheck | None":
    """Whether a video, known by the digest of its file and its place there, looks like those of the training."""
    from yt8m_core.data.feature_check.check import check_features

    data = run.experiment.data
    profile = feature_profile(run, DataSet(data.train, data.vocabulary, data.streams))
    return None if profile is None else check_features(_frames, run.facts.schema, profile)
