"""Cached attention and occlusion results of a run. Do not modify cached values."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders
from cache.loaders import HASH_FUNCS
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.explain.attention_metrics import Similarity
    from yt8m_core.explain.occlusion import TopFrameRemoval, WindowOcclusion
    from yt8m_core.inference.prediction import Prediction


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def similarity(page: "PageContext", video: int) -> "Similarity":
    """Return the cosine similarity of the frames of a video, as ``attention_metrics.similarity``."""
    from yt8m_core.explain import attention_metrics, attention_study

    return attention_metrics.similarity(attention_study.prepared_frames(page.model, page.run_videos.frames(video)))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def clusters(page: "PageContext", video: int, k: int) -> NDArray[np.int64]:
    """Return the cluster of each frame of a video, as ``attention_metrics.k_means``: [T]."""
    from yt8m_core.explain import attention_metrics, attention_study

    return attention_metrics.k_means(attention_study.prepared_frames(page.model, page.run_videos.frames(video)), k)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def sharpness(run: Run) -> float | None:
    """Return α of the run's pooling, or None where the pooling has none."""
    from yt8m_core.explain import attention_study

    return attention_study.sharpness(loaders.model(run))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def sharpened_prediction(page: "PageContext", video: int, alpha: float) -> "Prediction":
    """Predict a video with another α."""
    from yt8m_core.explain import attention_study
    from yt8m_core.inference.prediction import predict_video

    return predict_video(attention_study.with_sharpness(page.model, alpha), page.run_videos.frames(video))


@st.cache_resource(max_entries=64, show_spinner="Predicting parts of the video…", hash_funcs=HASH_FUNCS)
def top_removal(page: "PageContext", video: int, count: int) -> "TopFrameRemoval":
    """Predict a video without its top frames by weight, and from these alone, as ``occlusion.remove_top_frames``."""
    from yt8m_core.explain import occlusion

    weights = loaders.prediction(page, video).weights
    return occlusion.remove_top_frames(page.model, page.run_videos.frames(video), weights, count)


@st.cache_resource(max_entries=64, show_spinner="Predicting without each part of the video…", hash_funcs=HASH_FUNCS)
def window_occlusion(page: "PageContext", video: int, width: int) -> "WindowOcclusion":
    """Predict a video without each of its windows, as ``occlusion.occlude_windows``."""
    from yt8m_core.explain import occlusion

    return occlusion.occlude_windows(page.model, page.run_videos.frames(video), width)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def second_occlusion(page: "PageContext", video: int, second: int) -> NDArray[np.float32]:
    """Predict a video without one second, and from that second alone: [2, C]."""
    from yt8m_core.explain import occlusion

    frames = page.run_videos.frames(video)
    others = np.delete(np.arange(len(frames)), second)
    return occlusion.predict_parts(page.model, frames, [others, np.array([second])])


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def _studies(page: "PageContext", k: int) -> list[pd.DataFrame]:
    """Return an empty list, which keeps the result of ``attention_study``."""
    return []


def attention_study(page: "PageContext", k: int, progress: Progress) -> pd.DataFrame:
    """Measure where the attention lies in the videos of the data set, as ``attention_study.study_attention``.

    It keeps the result itself: a function of Streamlit's caches would show ``progress`` again with each cached result.
    """
    from yt8m_core.explain import attention_study

    studies = _studies(page, k)
    if not studies:
        study = attention_study.study_attention(
            page.model,
            page.run_videos,
            k,
            scene=lambda video_id, num_frames: loaders.main_scene(page.data, video_id, num_frames),
            progress=progress,
        )
        studies.append(study)
    return studies[0]
