"""Label issues page: where the candidates come from."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from cache import label_issues
from components.page_end import end_page
from components.text import plain
from context import PageContext


def describe_file(page: PageContext, file: Path, candidates: pd.DataFrame) -> None:
    """Say that the candidates come from a cross-validation."""
    date = datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    st.caption(
        f"Candidates of `yt8m missing-labels` ({date}): each video is scored by a run that was not trained on it "
        f"({candidates['fold'].max():,} folds).",
        help=f"{plain(str(file))}. Scores of the selected run are not used.",
    )


def describe_run(page: PageContext) -> None:
    """Say that the candidates come from the scores of the run. Ends the page where it was trained on the videos."""
    overlap = label_issues.training_overlap(page)
    name = plain(page.run.name)
    if overlap.is_fatal:
        st.warning(
            f"Run {name} was trained on {overlap.videos:,} of these {len(page.videos):,} videos, so it has learned "
            "which labels they lack. Candidates need runs that were not trained on the videos that they score: this "
            "command trains one per fold, and stores the candidates for this page.",
            icon=":material/warning:",
        )
        _show_command(page)
        end_page()
    unseen = f"was not trained on {'these' if not overlap.videos else f'all but {overlap.videos:,} of these'} videos"
    if not overlap.is_known:
        unseen = "may have been trained on these videos: its training data cannot be opened"
    st.caption(
        f"Candidates from the scores of run **{name}**, which {unseen}, and from the labels that the videos list.",
        help="The score combines the probability of the run with the share of videos with a listed label that also "
        "have the candidate. `yt8m missing-labels` instead trains one run per fold on the data set itself, which also "
        "works for training data.",
    )


def _show_command(page: PageContext) -> None:
    command = f"yt8m missing-labels --train {shlex.quote(page.data.path)} --output candidates.csv"
    st.code(command, language="bash", wrap_lines=True)
