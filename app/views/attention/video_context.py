"""Attention page: the selected video, its labels, and the run's prediction."""

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders
from components.charts import figure_code
from components.page_links import PREDICTIONS, page_link
from components.text import plain
from context import PageContext


class VideoContext:
    """The selected video, and the run's prediction for it."""

    def __init__(self, page: PageContext, video: int) -> None:
        from yt8m_core.explain.occlusion import labels_of_interest

        videos = page.run_videos
        self.page, self.video = page, video
        self.id = videos.id(video)
        self.T = int(videos.num_frames[video])
        self.prediction = loaders.prediction(page, video)
        self.true_labels = videos.labels(video).tolist() if videos.is_labeled[video] else None
        self.main_scene = loaders.main_scene(page.data, self.id, self.T)
        self.labels_of_interest = labels_of_interest(self.prediction.probabilities, self.true_labels)
        # Occlusion is measured on the true labels if known, otherwise on the top predictions.
        self.target_labels = self.true_labels or self.labels_of_interest
        self.target_name = "the true labels" if self.true_labels else "the top labels"

    def code(self, figure: str, *arguments: str, **options: Any) -> str:
        """Return Python code that draws a figure of the video, which its arguments may call ``video``."""
        return figure_code(self.page, figure, *arguments, setup=f"video = view.video({self.id!r})", **options)

    def title(self, start: str) -> str:
        """Return a figure title that ends with the video's id."""
        return f"{start} video {html.escape(self.id)}"

    def label_table(self, predictions: dict[str, NDArray[Any]], labels: Sequence[int] | None = None) -> pd.DataFrame:
        """Return a table with a row per label (default: those of interest) and a column per prediction [C]."""
        labels = list(self.labels_of_interest if labels is None else labels)
        is_true = [pd.NA if self.true_labels is None else label in self.true_labels for label in labels]
        return pd.DataFrame(
            {
                "label": labels,
                "name": [self.page.run.vocabulary.name(label) for label in labels],
                "true": pd.array(is_true, dtype="boolean"),
                **{column: p[labels] for column, p in predictions.items()},
            }
        )


def show_labels(video: VideoContext) -> None:
    """Name the labels whose probability is measured, with a link to the predictions."""
    names = [plain(video.page.run.vocabulary.name(label)) for label in video.target_labels]
    title = "True labels" if video.true_labels else "True labels unknown; top labels"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{title}: {', '.join(names)}.", width="content")
        page_link(PREDICTIONS, "Predictions", ":material/label:", video=video.id)


def show_weight_of_second(video: VideoContext, second: int) -> None:
    """Show the attention weight of a second, if there is attention."""
    weights = video.prediction.attention
    if weights is not None:
        rank = int((weights > weights[second]).sum()) + 1
        st.markdown(f"Weight of second {second}: {weights[second]:.4f}, rank {rank} of {video.T}.", width="content")
