"""Cached tables of the videos of a data set. Do not modify cached values."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import scores
from cache.loaders import HASH_FUNCS
from yt8m_core.labels.statistics import BANDS

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext


def label_bands(page: "PageContext") -> NDArray[np.str_]:
    """Return the frequency band of each label of the run [C], by the counts of the data set."""
    table, C = page.labels.table, page.run.facts.num_classes
    band = np.full(C, BANDS[-1])
    known = table[table["label"] < C]
    band[known["label"]] = known["band"]
    return band


@st.cache_resource(max_entries=4, show_spinner="Describing each video…", hash_funcs=HASH_FUNCS)
def video_table(page: "PageContext") -> pd.DataFrame:
    """Describe each scored video, as ``analysis.video_table``, with the names of its labels.

    Returns:
        The columns of ``analysis.video_table``, and true_names, lowest_name and false_name.

    Raises:
        UserError: No video has labels, or the data do not fit the run.
    """
    from yt8m_core.analysis.video_table import video_table as describe_videos

    scored = page.scores
    table = describe_videos(
        scored, page.run_videos, scores.true_ranks(page), scores.video_difficulty(page), label_bands(page)
    )
    vocabulary = page.run.vocabulary
    names = np.array([vocabulary.name(label) for label in range(vocabulary.num_classes)], object)
    labels = np.split(names[scored.truth.indices], scored.truth.indptr[1:-1])
    return table.assign(
        true_names=[", ".join(part) for part in labels],
        **{f"{kind}_name": _name(names, table[f"{kind}_label"]) for kind in ("lowest", "false")},
    )


def _name(names: NDArray[np.object_], labels: pd.Series) -> NDArray[np.object_]:
    """Return the name of each label, None where the label is missing."""
    found: NDArray[np.object_] = names[labels.fillna(0).to_numpy(int)]
    found[labels.isna()] = None
    return found


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=HASH_FUNCS)
def unlabeled_table(page: "PageContext") -> pd.DataFrame:
    """Return video, id and num_frames of each video of a data set without labels, which is not scored."""
    videos = page.run_videos
    ids = videos.column("id").to_pandas()
    return pd.DataFrame({"video": np.arange(len(videos)), "id": ids, "num_frames": videos.num_frames})


@st.cache_resource(max_entries=4, show_spinner="Comparing two runs…", hash_funcs=HASH_FUNCS)
def disagreement(page: "PageContext", other: "PageContext") -> pd.DataFrame:
    """Return the label on which two runs differ most in each video, as ``video_table.disagreement``, with its name.

    Raises:
        UserError: The second run does not fit the data, or has other labels.
    """
    from yt8m_core.analysis.video_table import disagreement as compare_scores

    table = compare_scores(page.scores, scores.run_scores(other))
    vocabulary = page.run.vocabulary
    names = np.array([vocabulary.name(label) for label in range(vocabulary.num_classes)], object)
    return table.assign(disputed_name=_name(names, table["disputed_label"]))
