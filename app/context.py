"""The context of one page: the selected run and data set, opened once per script run and passed to its sections."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import streamlit as st

from cache import loaders, runs, scores
from cache.loaders import DataSet, StampedRun
from yt8m_core.analysis.data_labels import Labels
from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import SCALE_NAMES, detect_scale
from yt8m_core.errors import UserError

if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import CachedScores
    from yt8m_core.models.classifier import VideoClassifier


@dataclass(frozen=True)
class PageContext:
    """The selected run and data set, and what can be loaded for them.

    A property loads on first use, from a bounded cache that all sessions share; the context itself holds no data.
    """

    workspace: runs.Workspace
    run_key: str  # empty without any run
    data_key: str

    @property
    def cache_key(self) -> tuple[Any, ...]:
        """What identifies run and data set in a cache."""
        return self.run.cache_key if self.has_run else (), self.data.cache_key

    @property
    def has_run(self) -> bool:
        """Whether there is any finished run."""
        return bool(self.run_key)

    @property
    def run(self) -> StampedRun:
        """The selected run. Raises UserError where there is none."""
        if not self.has_run:
            raise UserError("no trained run", advice="Train one, or build the demo world.")
        return self.workspace.runs[self.run_key]

    @cached_property
    def data(self) -> DataSet:
        """The selected data set."""
        data = self.workspace.data_sets[self.data_key]
        return loaders.with_run_streams(data, self.run) if self.has_run else data

    @property
    def videos(self) -> Videos:
        """The videos of the data set."""
        return loaders.videos(self.data)

    @property
    def labels(self) -> Labels:
        """The labels of the data set. Raises UserError where no video has labels."""
        return loaders.labels(self.data)

    @cached_property
    def scale(self) -> str:
        """Which data the numbers are about, in words: demo world, sample or full data set."""
        return SCALE_NAMES[detect_scale(self.data.path, len(self.videos))]

    @property
    def run_videos(self) -> Videos:
        """The videos of the data set as the run reads them. Raises UserError where they do not fit the run."""
        return loaders.run_videos(self.run, self.data)

    @property
    def model(self) -> "VideoClassifier":
        """The trained model of the run."""
        return loaders.model(self.run)

    @property
    def scores(self) -> "CachedScores":
        """The scores of the run on the data set. Raises UserError where the data do not fit the run."""
        return scores.run_scores(self)

    def with_run(self, run_key: str) -> "PageContext":
        """Return the context of another run on the same data set."""
        return replace(self, run_key=run_key)


def current_page() -> PageContext:
    """Return the context that ``session.py`` opened for this script run."""
    page: PageContext = st.session_state["page"]
    return page
