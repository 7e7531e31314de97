"""Cached comparisons of two runs on the same data set. Do not modify cached values."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cache import scores
from cache.loaders import HASH_FUNCS

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.analysis.run_differences import RunDifference


@st.cache_resource(max_entries=16, show_spinner="Comparing GAP of both runs…", hash_funcs=HASH_FUNCS)
def gap_difference(page: "PageContext", other: "PageContext") -> "RunDifference":
    """Compare GAP of the runs of two pages, as ``run_differences.gap_difference``."""
    from yt8m_core.analysis import run_differences

    return run_differences.gap_difference(page.scores, other.scores)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def label_difference(page: "PageContext", other: "PageContext", label: int) -> "RunDifference":
    """Compare the AP of a label, as ``run_differences.label_difference``."""
    from yt8m_core.analysis import run_differences

    return run_differences.label_difference(page.scores, other.scores, label)


@st.cache_resource(max_entries=8, show_spinner="Comparing each label…", hash_funcs=HASH_FUNCS)
def label_gains(page: "PageContext", other: "PageContext") -> pd.DataFrame:
    """Return the label table with the AP of both runs, as ``per_label.add_gain``."""
    from yt8m_core.analysis import per_label

    return per_label.add_gain(scores.label_table(page), scores.label_precision(other))


@st.cache_resource(max_entries=8, show_spinner="Comparing each video…", hash_funcs=HASH_FUNCS)
def video_differences(page: "PageContext", other: "PageContext") -> pd.DataFrame:
    """Compare the rankings of each video, as ``run_differences.video_differences``, with the id of each video."""
    from yt8m_core.analysis import run_differences

    table = run_differences.video_differences(
        page.scores, other.scores, scores.true_ranks(page), scores.true_ranks(other)
    )
    videos = page.run_videos
    return table.assign(id=[videos.id(video) for video in table["video"].tolist()])
