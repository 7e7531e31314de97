"""A video as the page of attention looks at it: the run's prediction, its labels, and tables of other predictions."""

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders as state
from components.selectors import scale_words
from yt8m_core.data.dataset import Videos
from yt8m_core.runs.run import Run

DETECTION = (
    "The area under the ROC curve: of a second of the main scene and one outside it, drawn at random, how often the "
    "first has more weight. 0.5 is chance, 1 finds the main scene without a mistake."
)


def number(title: str) -> Any:
    return st.column_config.NumberColumn(title, format="%.4f")


class Seen:
    """The video that the page is about, and what the run says of it."""

    def __init__(self, run: Run, data: state.DataSet, videos: Videos, video: int) -> None:
        self.run, self.data, self.video = run, data, video
        self.id = videos.id(video)
        self.prediction = state.prediction(run, data, video)
        self.T = int(videos.num_frames[video])
        self.true = videos.labels(video).tolist() if videos.labeled[video] else None
        self.scene = state.main_scene(data, self.id, self.T)
        self.scale = scale_words(data, videos)
        from yt8m_core.explain.occlusion import watched

        self.watched = watched(self.prediction.probabilities, self.true)
        # What the sentences are about: the true labels where they are known, else the best predicted.
        self.judged = self.true or self.watched
        self.judged_words = "the true labels" if self.true else "the best labels"

    def title(self, before: str) -> str:
        return f"{before} video {html.escape(self.id)}"

    def table(self, columns: dict[str, NDArray[Any]], labels: Sequence[int] | None = None) -> pd.DataFrame:
        """Some labels, and of each kind of prediction [C] a column."""
        labels = list(self.watched if labels is None else labels)
        known = [pd.NA if self.true is None else label in self.true for label in labels]
        return pd.DataFrame(
            {
                "label": labels,
                "name": [self.run.vocabulary.name(label) for label in labels],
                "true": pd.array(known, dtype="boolean"),
                **{column: p[labels] for column, p in columns.items()},
            }
        )
