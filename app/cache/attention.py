"""What a run's attention says of a video, or of many, each computed once; as in ``state``, nobody may change it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders as state
from cache.loaders import BY_CONTENT, DataSet
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.explain.attention_metrics import Similarity
    from yt8m_core.explain.occlusion import LeftOut, Removal
    from yt8m_core.inference.prediction import Prediction


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=BY_CONTENT)
def similarity(run: Run, data: DataSet, video: int) -> "Similarity":
    """How alike the frames of a video are, as ``attention_metrics.similarity``."""
    from yt8m_core.explain import attention_metrics, attention_study

    frames = state.videos_for(run, data).frames(video)
    return attention_metrics.similarity(attention_study.seen_frames(state.model(run), frames))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def clusters(run: Run, data: DataSet, video: int, k: int) -> NDArray[np.int64]:
    """The cluster of each frame of a video, as ``attention_metrics.k_means``."""
    from yt8m_core.explain import attention_metrics, attention_study

    frames = state.videos_for(run, data).frames(video)
    return attention_metrics.k_means(attention_study.seen_frames(state.model(run), frames), k)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_CONTENT)
def sharpness(run: Run) -> float | None:
    """α of the run's pooling, None where it has none."""
    from yt8m_core.explain import attention_study

    return attention_study.sharpness(state.model(run))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def sharpened(run: Run, data: DataSet, video: int, scale: float) -> "Prediction":
    """What a run would say of a video with another α."""
    from yt8m_core.explain import attention_study
    from yt8m_core.inference.prediction import predict_video

    model = attention_study.sharpened(state.model(run), scale)
    return predict_video(model, state.videos_for(run, data).frames(video))


@st.cache_resource(max_entries=64, show_spinner="Predicting from parts of the video…", hash_funcs=BY_CONTENT)
def top_removed(run: Run, data: DataSet, video: int, count: int) -> "Removal":
    """A video without the frames of highest weight and with them alone, as ``occlusion.remove_top``."""
    from yt8m_core.explain import occlusion

    weights = state.prediction(run, data, video).weights
    return occlusion.remove_top(state.model(run), state.videos_for(run, data).frames(video), weights, count)


@st.cache_resource(max_entries=64, show_spinner="Predicting without each part of the video…", hash_funcs=BY_CONTENT)
def left_out(run: Run, data: DataSet, video: int, width: int) -> "LeftOut":
    """A video without each of its windows, as ``occlusion.leave_out``."""
    from yt8m_core.explain import occlusion

    return occlusion.leave_out(state.model(run), state.videos_for(run, data).frames(video), width)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def one_second(run: Run, data: DataSet, video: int, second: int) -> NDArray[np.float32]:
    """What a run says of a video without one second, and of that second alone: [2, C]."""
    from yt8m_core.explain import occlusion

    frames = state.videos_for(run, data).frames(video)
    others = np.delete(np.arange(len(frames)), second)
    return occlusion.predict_parts(state.model(run), frames, [others, np.array([second])])


@st.cache_resource(max_entries=8, show_spinner="Clustering the seconds of many videos…", hash_funcs=BY_CONTENT)
def attention_study(run: Run, data: DataSet, k: int) -> pd.DataFrame:
    """What the attention lies on in the videos of a data set, as ``attention_study.study``."""
    from yt8m_core.explain import attention_study

    return attention_study.study(
        state.model(run),
        state.videos_for(run, data),
        k,
        scene=lambda video_id, num_frames: state.main_scene(data, video_id, num_frames),
    )
