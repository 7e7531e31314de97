"""Cached judgements of labels from a run's scores: calibration, thresholds, confusions. Do not modify cached values."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache.loaders import HASH_FUNCS, file_stamp
from yt8m_core.runs.calibration_file import CALIBRATION

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.analysis.confusions import Confusions
    from yt8m_core.analysis.label_calibration import Reliability


@st.cache_resource(max_entries=32, show_spinner="Measuring the calibration…", hash_funcs=HASH_FUNCS)
def reliability(page: "PageContext", labels: bytes) -> "Reliability":
    """Measure the calibration of labels, given as int64 bytes, as ``label_calibration.label_reliability``."""
    from yt8m_core.analysis import label_calibration

    return label_calibration.label_reliability(page.scores, np.frombuffer(labels, np.int64))


@st.cache_resource(max_entries=32, show_spinner="Listing the videos…", hash_funcs=HASH_FUNCS)
def pairs_in_bin(page: "PageContext", labels: bytes, lower: float, upper: float) -> pd.DataFrame:
    """Return the pairs in a bin, as ``label_calibration.pairs_in_bin``, with the id of each video."""
    from yt8m_core.analysis import label_calibration

    table = label_calibration.pairs_in_bin(page.scores, np.frombuffer(labels, np.int64), lower, upper)
    videos = page.run_videos
    return table.assign(id=[videos.id(video) for video in table["video"].tolist()])


@st.cache_resource(max_entries=16, show_spinner="Choosing a threshold per label…", hash_funcs=HASH_FUNCS)
def thresholds(page: "PageContext", target_precision: float) -> pd.DataFrame:
    """Choose a threshold per label on one half of the videos, and measure it on the other.

    Args:
        page: The page.
        target_precision: As ``label_calibration.label_thresholds``.

    Returns:
        As ``label_calibration.threshold_table``.

    Raises:
        UserError: The first half has no labels.
    """
    from yt8m_core.analysis import label_calibration

    choosing = choosing_half(page)
    chosen = label_calibration.label_thresholds(page.scores, choosing, target_precision)
    return label_calibration.threshold_table(page.scores, chosen, ~choosing)


def stored_thresholds(page: "PageContext") -> pd.DataFrame:
    """Measure the thresholds of the run's calibration: on all videos, or on the half that did not choose them.

    Returns:
        As ``label_calibration.threshold_table``.

    Raises:
        UserError: The run has no valid calibration.
    """
    return _stored_thresholds(page, file_stamp([page.run.path / CALIBRATION]))


@st.cache_resource(max_entries=16, show_spinner="Measuring the thresholds…", hash_funcs=HASH_FUNCS)
def _stored_thresholds(page: "PageContext", stamp: str) -> pd.DataFrame:
    from yt8m_core.analysis import label_calibration

    calibration, choosing = page.run.calibration, choosing_half(page)
    measured = ~choosing if calibration.data == page.data.path else np.ones(len(choosing), bool)
    return label_calibration.threshold_table(page.scores, calibration.label_thresholds, measured)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def choosing_half(page: "PageContext") -> NDArray[np.bool_]:
    """Return whether each scored video is of the half on which thresholds are chosen, as ``yt8m calibrate`` does."""
    from yt8m_core.analysis.calibration import in_first_half

    return in_first_half(page.run_videos.video_ids.take(page.scores.videos).to_pylist())


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def confusions(page: "PageContext", label: int, threshold: float) -> "tuple[Confusions, Confusions]":
    """Return the labels ranked above a missed label, and those that it is mistaken for (see ``confusions``)."""
    from yt8m_core.analysis.confusions import labels_mistaken_for, labels_ranked_above

    return labels_ranked_above(page.scores, label, threshold), labels_mistaken_for(page.scores, label, threshold)
