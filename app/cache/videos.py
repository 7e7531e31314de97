"""Cached tables, vectors and maps of the videos of a data set. Do not modify cached values."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders, scores
from cache.loaders import HASH_FUNCS
from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import BANDS

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.analysis.projection import Projection
    from yt8m_core.analysis.vectors import VectorReader
    from yt8m_core.inference.pooled_videos import PooledVideos

POOLED, SCORES = "pooled frames", "scores"
VECTORS = (POOLED, SCORES)
"""Vectors of a video: its pooled frames, or the probabilities of all labels."""


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


# --- vectors


def has_pooled_vectors(page: "PageContext") -> bool:
    """Return whether the pooling of the run has no trained weights, so that its vectors are comparable."""
    return bool(getattr(page.model.pooling, "is_cacheable", False))


@st.cache_resource(max_entries=4, show_spinner="Pooling the frames, once per data set…", hash_funcs=HASH_FUNCS)
def pooled_videos(page: "PageContext") -> "PooledVideos":
    """Return the pooled frames of all videos.

    Raises:
        UserError: The pooling has trained weights, or the disk is full.
    """
    from yt8m_core.inference.compute import choose_compute
    from yt8m_core.inference.pooled_cache import load_pooled

    compute = choose_compute()
    model = page.model if compute.device.type == "cpu" else page.run.load_model(compute.device)
    pooled = load_pooled(model, page.run_videos, compute=compute)
    if pooled is None:
        raise UserError("no pooled frames of this run", advice="Use the scores, or free space in YT8M_HOME.")
    return pooled


def vectors(page: "PageContext", kind: str) -> "tuple[VectorReader, NDArray[np.int64]]":
    """Return a reader of vectors, of ``VECTORS``, and the positions of the videos that have one.

    Where there are labels, only scored videos have one, so that both kinds show the same videos.
    """
    from yt8m_core.analysis.vectors import pooled_vectors, score_vectors

    is_labeled = page.run_videos.is_labeled.any()
    positions = page.scores.videos if is_labeled else np.arange(len(page.run_videos))
    if kind == SCORES:
        return score_vectors(page.scores), positions
    return pooled_vectors(pooled_videos(page)), positions


@st.cache_resource(max_entries=8, show_spinner="Computing the map…", hash_funcs=HASH_FUNCS)
def projection(page: "PageContext", method: str, kind: str) -> "Projection":
    """Project the videos into two dimensions: PCA or UMAP of vectors of ``VECTORS``.

    Raises:
        UserError: UMAP is not installed, or there are too few videos for it.
    """
    from yt8m_core.analysis.projection import pca, umap

    return {"PCA": pca, "UMAP": umap}[method](*vectors(page, kind))


def video_vector(page: "PageContext", kind: str, frames: NDArray[Any], p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vector of any video, also of a file, given its frames [T, D] and probabilities [C]."""
    import torch

    if kind == SCORES:
        return p
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(frames))[None]
        summary = loaders.model(page.run).summarize(batch, torch.tensor([len(frames)]))
    return summary.vector[0].float().numpy()
