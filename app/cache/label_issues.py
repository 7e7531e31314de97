"""Cached candidates for missing labels, and the file of decisions about them. Do not modify cached values."""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cache import loaders
from cache.loaders import HASH_FUNCS, DataSet, file_stamp
from yt8m_core.errors import UserError
from yt8m_core.workspace import workspace

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext

LIMIT = 1000  # candidates from the scores of a run
MAX_SHOWN = 10_000  # candidates of a file; the browser gets all of them


@dataclass(frozen=True)
class Overlap:
    """Videos of a data set that a run was trained on.

    Attributes:
        videos: Their number.
        is_known: Whether the training videos of the run could be opened.
        is_fatal: Whether there are too many to use the run's scores of the data set.
    """

    videos: int
    is_known: bool
    is_fatal: bool


def decision_file(data: DataSet) -> Path:
    """Return the file of the decisions about a data set, which its path identifies."""
    return workspace() / "label-decisions" / f"{hashlib.sha256(os.fsencode(data.path)).hexdigest()[:16]}.csv"


def stored_file(data: DataSet) -> Path | None:
    """Return the candidates that ``yt8m missing-labels`` has stored for a data set, or None."""
    from yt8m_core.analysis.candidate_file import stored_candidates

    return stored_candidates(workspace() / "missing-labels", data.path)


def read_stored(data: DataSet, file: Path) -> pd.DataFrame:
    """Read stored candidates, at most ``MAX_SHOWN``.

    Raises:
        UserError: The file is invalid, or belongs to another data set.
    """
    return _read_stored(data, file, file_stamp([file]))


@st.cache_resource(max_entries=4, show_spinner="Reading the candidates…", hash_funcs=HASH_FUNCS)
def _read_stored(data: DataSet, file: Path, stamp: str) -> pd.DataFrame:
    from yt8m_core.analysis.candidate_file import read_candidates

    return read_candidates(file, loaders.labels(data).vocabulary)[:MAX_SHOWN]


@st.cache_resource(max_entries=4, show_spinner="Ranking all labels that the videos do not list…", hash_funcs=HASH_FUNCS)
def scored_candidates(page: "PageContext") -> pd.DataFrame:
    """Return candidates from the scores of the run, as ``candidate_ranking.score_candidates``."""
    from yt8m_core.analysis.candidate_ranking import score_candidates

    return score_candidates(page.run_videos, page.scores, page.run.vocabulary, LIMIT)


@st.cache_resource(max_entries=16, show_spinner="Looking for training videos of the run…", hash_funcs=HASH_FUNCS)
def training_overlap(page: "PageContext") -> Overlap:
    """Return how many videos of the data set the run was trained on, by id and by features."""
    from yt8m_core.data.checks import check_shared, find_shared
    from yt8m_core.training.splits import open_training_videos

    training = None
    with contextlib.suppress(UserError, OSError):
        training = open_training_videos(page.run)
    if training is None:
        is_same = page.run.experiment.data.train == page.data.path
        return Overlap(len(page.videos) if is_same else 0, is_same, is_same)
    checks = check_shared(find_shared(training, page.run_videos), page.run_videos)
    return Overlap(checks[0].videos, True, checks[0].is_fatal) if checks else Overlap(0, True, False)
