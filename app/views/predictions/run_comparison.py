"""Predictions page: other runs on the same video, and their mean."""

import contextlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders
from components.charts import show_chart
from components.link import linked
from components.selectors import download_csv, show_differences
from components.text import plain
from context import PageContext
from views.predictions.video_source import SelectedVideo
from yt8m_core import figures
from yt8m_core.analysis.outcomes import TOP_K, compare_runs
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

FIGURE_LABELS = 12
MAX_OTHER_RUNS = len(figures.SYMBOLS) - 1


def show_run_comparison(page: PageContext, video: SelectedVideo, ranking: pd.DataFrame) -> None:
    """Select other runs, and compare their predictions."""
    runs = _comparable_runs(page)
    if not runs:
        st.caption("There is no other run with the same labels and features.")
        return
    keys = linked(
        st.multiselect,
        "Compare with",
        list(runs),
        key="runs",
        max_selections=MAX_OTHER_RUNS,
        placeholder="Choose runs",
        help="Runs with the same labels and features. Their mean is the ensemble of section 3.3 of the paper.",
    )
    if not keys:
        return
    show_differences(page, keys)
    members = {str(page.run_key): video.prediction.probabilities}
    for key in keys:
        with contextlib.suppress(UserError):  # missing data or weights: reported below
            if video.position is None:
                prediction = loaders.upload_prediction(runs[key], video.digest, 0, video.frames)
            else:
                prediction = loaders.prediction(page.with_run(key), video.position)
            members[key] = prediction.probabilities
    for key in set(keys) - set(members):
        st.caption(f":material/warning: Run {plain(key)} cannot score this video.")
    if len(members) > 1:
        _show_members(page, video, members, compare_runs(members, ranking))


def _comparable_runs(page: PageContext) -> dict[str, Run]:
    """Return the other runs with the same labels and features, by key."""
    run = page.run
    return {
        key: other
        for key, other in page.workspace.runs.items()
        if other.path != run.path
        and other.facts.schema == run.facts.schema
        and other.facts.num_classes == run.facts.num_classes
        and other.vocabulary.fits(run.vocabulary)
    }


def _show_members(
    page: PageContext, video: SelectedVideo, members: dict[str, NDArray[np.float32]], table: pd.DataFrame
) -> None:
    row = table.iloc[int(table["spread"].to_numpy().argmax())]
    scores = sorted((float(row[f"p {name}"]), name) for name in members)
    (lowest, lowest_run), (highest, highest_run) = scores[0], scores[-1]
    st.markdown(
        f"Largest difference: **{plain(row['name'])}**, {highest:.3f} ({plain(highest_run)}) versus {lowest:.3f} "
        f"({plain(lowest_run)})."
    )
    left, right = st.columns(2, gap="large")
    with left:
        title = video.title(f"Predictions of {len(members)} runs for")
        show_chart(
            figures.run_comparison(table[:FIGURE_LABELS], list(members), title=title, scale=video.scale),
            key="side by side",
            provenance=video.provenance(page, with_run=False),
            data=table[:FIGURE_LABELS],
            code=video.code(
                page,
                "run_comparison",
                f"compare_runs(members, video.ranking)[:{FIGURE_LABELS}]",
                "list(members)",
                setup=_member_code(page, members),
                title=title,
            ),
            alt=f"Probabilities of {len(members)} runs for the top {FIGURE_LABELS} labels of their mean",
        )
    with right:
        st.dataframe(
            table[:TOP_K],
            hide_index=True,
            column_order=["rank", "name", *(["true"] if table["true"].notna().all() else []), "mean", "spread"]
            + [f"p {name}" for name in members],
            column_config={
                "rank": st.column_config.NumberColumn("Rank", help="Rank by the mean.", width="small"),
                "name": st.column_config.TextColumn("Label"),
                "true": st.column_config.CheckboxColumn("True", width="small"),
                "mean": st.column_config.ProgressColumn(
                    "Mean", help="Ensemble: mean of the runs' probabilities.", format="%.3f"
                ),
                "spread": st.column_config.NumberColumn(
                    "Spread", help="Largest minus smallest probability.", format="%.3f"
                ),
                **{f"p {name}": st.column_config.NumberColumn(name, format="%.3f") for name in members},
            },
            height="content",
            alt=f"Top {TOP_K} labels by the mean of the runs, with each run's probability",
        )
        download_csv(table, f"runs-{video.id}", f"Download all {len(table):,} labels as CSV")


def _member_code(page: PageContext, members: Iterable[str]) -> str:
    """Return Python code that predicts the video with each run."""
    paths = {key: str(page.workspace.runs[key].path.absolute()) for key in members}
    return "\n".join(
        [
            "from yt8m_core.analysis.outcomes import compare_runs",
            f"runs = {paths!r}",
            "videos = {name: Inspection(path, view.data).video(video.id) for name, path in runs.items()}",
            "members = {name: other.prediction.probabilities for name, other in videos.items()}",
        ]
    )
