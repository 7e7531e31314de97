"""Cached results computed from a run's scores of a data set. Do not modify cached values."""

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders
from cache.loaders import HASH_FUNCS, DataSet
from yt8m_core.errors import UserError
from yt8m_core.labels import clustering, cooccurrence
from yt8m_core.runs.run import Run

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.analysis.best_segments import BestSegments
    from yt8m_core.analysis.ensembling import EnsembleResult
    from yt8m_core.analysis.label_mixing import MixingTerms
    from yt8m_core.analysis.learned_correlation import CorrelationMatrices
    from yt8m_core.analysis.noise_strength import NoiseStrength
    from yt8m_core.analysis.thresholds import ThresholdCounts
    from yt8m_core.data.feature_check.check import FeatureCheck
    from yt8m_core.data.feature_check.profile import FeatureProfile
    from yt8m_core.explain.attribution import Attribution
    from yt8m_core.inference.score_cache import CachedScores


@st.cache_resource(max_entries=8, show_spinner="Scoring the videos, once per run…", hash_funcs=HASH_FUNCS)
def run_scores(page: "PageContext") -> "CachedScores":
    """Score all videos of the data set, or a sample.

    Raises:
        UserError: The data do not fit the run.
    """
    from yt8m_core.inference.score_cache import load_scores

    return load_scores(page.run, page.run_videos)


# --- labels and videos


@st.cache_resource(max_entries=8, show_spinner="Measuring each label…", hash_funcs=HASH_FUNCS)
def label_precision(page: "PageContext") -> pd.DataFrame:
    """Return the average precision of each label, as ``per_label.label_precision``."""
    from yt8m_core.analysis import per_label

    return per_label.label_precision(page.scores)


@st.cache_resource(max_entries=8, show_spinner="Measuring each label…", hash_funcs=HASH_FUNCS)
def label_table(page: "PageContext") -> pd.DataFrame:
    """Return the label table of the data set with the run's positives and AP; NaN for labels without positives."""
    return page.labels.table.merge(label_precision(page), on="label", how="left")


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def precision_by_frequency(page: "PageContext") -> pd.DataFrame:
    """Return the average precision by label frequency, as ``per_label.precision_by_frequency``."""
    from yt8m_core.analysis import per_label

    return per_label.precision_by_frequency(label_table(page))


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=HASH_FUNCS)
def true_ranks(page: "PageContext") -> pd.DataFrame:
    """Return the rank of each true label in its video, as ``per_label.true_ranks``."""
    from yt8m_core.analysis import per_label

    return per_label.true_ranks(page.scores)


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=HASH_FUNCS)
def video_difficulty(page: "PageContext") -> pd.DataFrame:
    """Return how hard each video is, as ``per_video.video_difficulty``."""
    from yt8m_core.analysis import per_video

    return per_video.video_difficulty(page.scores)


@st.cache_resource(max_entries=8, show_spinner="Measuring each video…", hash_funcs=HASH_FUNCS)
def video_outcomes(page: "PageContext", threshold: float) -> pd.DataFrame:
    """Return the result of each video at a threshold, as ``per_video.video_outcomes``."""
    from yt8m_core.analysis import per_video

    return per_video.video_outcomes(page.scores, true_ranks(page), video_difficulty(page), threshold)


@st.cache_resource(max_entries=8, show_spinner="Counting at every threshold…", hash_funcs=HASH_FUNCS)
def threshold_counts(page: "PageContext") -> "ThresholdCounts":
    """Return counts at every threshold, as ``thresholds.threshold_counts``."""
    from yt8m_core.analysis import thresholds

    return thresholds.threshold_counts(page.scores)


@st.cache_resource(max_entries=8, show_spinner="Computing the noise…", hash_funcs=HASH_FUNCS)
def noise_strength(run: Run | None, training: DataSet, data: DataSet, factor: float) -> "NoiseStrength":
    """Return γ of adaptive noise per label, with the options of a run trained with it, else with the paper's."""
    from yt8m_core.analysis import noise_strength

    options = noise_strength.PAPER_OPTIONS if run is None else noise_strength.noise_options(run.experiment.pooling)
    return noise_strength.noise_strength(
        loaders.labels(training).matrix,
        loaders.labels(data).matrix,
        width=loaders.videos(data).schema.width,
        options=options,
        factor=factor,
    )


# --- label correlation


@st.cache_resource(max_entries=4, show_spinner="Clustering labels…", hash_funcs=HASH_FUNCS)
def label_order(data: DataSet) -> clustering.LabelOrder:
    """Return the labels of a data set in cluster order, as ``clustering.label_order``."""
    return clustering.label_order(loaders.cooccurrence(data), loaders.labels(data).num_videos)


@st.cache_resource(max_entries=16, show_spinner="Drawing all labels…", hash_funcs=HASH_FUNCS)
def pooled_matrix(data: DataSet, measure: str, support: int, own: tuple[Run, str] | None = None) -> NDArray[np.float64]:
    """Return the whole matrix in cluster order, pooled: of a measure, or of one kind of a run's own matrix."""
    pairs = loaders.cooccurrence(data)
    if own is None:
        values = cooccurrence.measure(pairs, loaders.labels(data).num_videos, measure)
        kept = clustering.filter_by_support(values, pairs, support)
    else:
        kept = model_matrices(own[0]).supported(own[1], pairs, support)
    return clustering.pool_matrix(kept, label_order(data).labels)


@st.cache_resource(max_entries=2, show_spinner="Loading the model…", hash_funcs=HASH_FUNCS)
def trained_matrix(run: Run) -> NDArray[np.float32] | None:
    """Return M'_c [C, C] of a run whose label processing trained one, else None."""
    from yt8m_core.analysis import learned_correlation

    return learned_correlation.trained_matrix(loaders.model(run))


@st.cache_resource(max_entries=2, show_spinner="Reading the matrices of the run…", hash_funcs=HASH_FUNCS)
def model_matrices(run: Run) -> "CorrelationMatrices":
    """Return M_c and M'_c of a run with label processing ``correlation``."""
    from yt8m_core.analysis.learned_correlation import correlation_matrices

    training = None
    with contextlib.suppress(UserError):  # without them, the change by training is not offered
        training = loaders.labels(loaders.training_data(run)).matrix
    return correlation_matrices(loaders.model(run).label_processing, training)


@st.cache_resource(max_entries=8, show_spinner="Comparing pairs with the scores…", hash_funcs=HASH_FUNCS)
def pair_calibration(page: "PageContext", first: bytes, second: bytes) -> pd.DataFrame:
    """Return observed and expected counts of pairs of labels, given as int64 bytes."""
    from yt8m_core.analysis.pair_calibration import compare_with_truth

    label_a, label_b = (np.frombuffer(side, np.int64) for side in (first, second))
    return compare_with_truth(page.scores, label_a, label_b)


@st.cache_resource(max_entries=2, show_spinner="Applying label processing to the scores…", hash_funcs=HASH_FUNCS)
def mixtures(page: "PageContext") -> "MixingTerms":
    """Return the parts that α, β and γ weight, with M_c of the run's training labels.

    Raises:
        UserError: The training labels are gone.
    """
    from yt8m_core.analysis import label_mixing
    from yt8m_core.models.label_processing.correlation_matrix import correlation_matrix

    training = loaders.labels(loaders.training_data(page.run))
    matrix = correlation_matrix(training.matrix, "cond_row").numpy()
    return label_mixing.mixing_terms(page.scores, matrix, trained_matrix(page.run))


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs=HASH_FUNCS)
def mixture_gap(page: "PageContext", alpha: float, beta: float, gamma: float) -> float:
    """Return GAP@20 of the run's scores with other weights of label processing."""
    return mixtures(page).gap(alpha, beta, gamma)


# --- ensembles, explanations, uploads

Members = tuple[tuple[str, "PageContext"], ...]  # each run by its name


def compatible_members(members: Members) -> tuple[Members, list[tuple[str, UserError]]]:
    """Return the members that can score the data set, and the error of each other one."""
    compatible, errors = [], []
    for name, page in members:
        try:
            run_scores(page)
            compatible.append((name, page))
        except UserError as error:
            errors.append((name, error))
    return tuple(compatible), errors


@st.cache_resource(max_entries=16, show_spinner="Averaging the runs…", hash_funcs=HASH_FUNCS)
def ensemble(members: Members, kind: str) -> "EnsembleResult":
    """Average the scores of runs: probabilities or logits.

    Raises:
        UserError: The runs do not fit each other.
    """
    from yt8m_core.analysis.ensembling import average_runs

    return average_runs({name: run_scores(page) for name, page in members}, kind=kind)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def attribution(run: Run, digest: str, label: int, _frames: NDArray[Any]) -> "Attribution":
    """Explain the score of a label in a video, which the digest of its frames identifies."""
    from yt8m_core.explain.attribution import attribute_label

    return attribute_label(loaders.model(run), _frames, label)


@st.cache_resource(max_entries=2, show_spinner="Scoring the segments, once per run…", hash_funcs=HASH_FUNCS)
def best_segments(page: "PageContext") -> "BestSegments":
    """Return the best segments of each label, as ``best_segments.best_segments``."""
    from yt8m_core.analysis.best_segments import best_segments

    return best_segments(page.run, page.run_videos)


@st.cache_resource(max_entries=64, show_spinner="Scoring the segments…", hash_funcs=HASH_FUNCS)
def segment_scores(run: Run, digest: str, _frames: NDArray[Any]) -> NDArray[np.float32]:
    """Score each five-second segment of a video, which the digest of its frames identifies: [S, C]."""
    from yt8m_core.explain.localization import score_segments

    return score_segments(loaders.model(run), _frames)


@st.cache_resource(max_entries=4, show_spinner="Measuring the training features…", hash_funcs=HASH_FUNCS)
def feature_profile(run: Run, training: DataSet) -> "FeatureProfile | None":
    """Return the profile of a run's training features, or a built-in one where they are gone or too few, or None."""
    from yt8m_core.data.feature_check.check import reference_profile
    from yt8m_core.data.feature_check.profile import builtin_profile

    try:
        return reference_profile(loaders.run_videos(run, training), f"the training data of run {run.name}")
    except UserError:
        return builtin_profile(run.facts.schema)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def feature_check(run: Run, digest: str, _frames: NDArray[Any]) -> "FeatureCheck | None":
    """Compare the features of a video with those of the training; the digest identifies file and video."""
    from yt8m_core.data.feature_check.check import check_features

    profile = feature_profile(run, loaders.training_data(run))
    return None if profile is None else check_features(_frames, run.facts.schema, profile)
