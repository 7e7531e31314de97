"""Predictions page: labels of a video with their outcomes at a threshold, and metrics over the data set."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import scores
from components.charts import figure_code, provenance_text, show_chart
from components.link import linked
from components.selection import on_selection
from components.selectors import fragment, label_names, state_setter
from components.text import plain
from components.video_filters import THRESHOLD
from context import PageContext
from views.predictions.video_source import SelectedVideo
from yt8m_core import figures
from yt8m_core.analysis.outcomes import OUTCOMES, TOP_K, label_outcomes
from yt8m_core.analysis.per_video import video_average_precision
from yt8m_core.figures.style import pluralize

if TYPE_CHECKING:
    from yt8m_core.analysis.thresholds import ThresholdMetrics

SIGNS = {
    "true positive": "✓ true positive",
    "in top 20": "✓ in top 20",
    "false negative": "✗ false negative",
    "false positive": "✗ false positive",
    "": "",
}
HEIGHT = 530  # pixels of the chart: with the controls above, it fits a screen
TABLE_HEIGHT = 400  # pixels; the table scrolls
ALL_LABELS, THIS_LABEL = "all labels", "this label"
MICRO_AVERAGE = (
    "Micro average: all (video, label) pairs count equally, so frequent labels dominate. A macro average, the mean "
    "over labels, would weight rare labels as much."
)


def show_summary(video: SelectedVideo, ranking: pd.DataFrame) -> None:
    """Show how many true labels the run ranks at the top."""
    if video.true_labels is None:
        st.caption("The true labels of this video are unknown.")
        return
    if not video.true_labels:
        st.markdown("This video has no true labels.")
        return
    found = int(ranking["true"][:TOP_K].sum())
    st.markdown(
        f"**{found} of {len(video.true_labels)}** true labels are in the top {TOP_K}. Average precision of the video: "
        f"**{video_average_precision(ranking):.2f}**.",
        help="Average precision: the mean, over the true labels, of the precision at the rank of the label. 1 if all "
        "true labels rank above all others.",
    )


@fragment
def show_outcomes(
    page: PageContext,
    video: SelectedVideo,
    ranking: pd.DataFrame,
    label: int,
    page_label: str | None,
    page_threshold: float | None,
) -> None:
    """Show the labels as bars and as a table of outcomes at a threshold, and metrics over the data set.

    Args:
        page: The page.
        video: The selected video.
        ranking: All labels with rank, probability and truth.
        label: The explained label.
        page_label: Option of the label that the rest of the page shows.
        page_threshold: Threshold that the rest of the page uses. If one of both changes here, the page reruns.
    """
    names = list(label_names(page.run.vocabulary))
    left, right = st.columns(2, gap="large")
    with right:
        controls = st.container(horizontal=True, vertical_alignment="bottom")
        metrics = st.container()
    threshold = linked(
        controls.slider,
        "Threshold",
        0.0,
        1.0,
        THRESHOLD,
        0.01,
        key="threshold",
        help="A label is predicted if its probability is at or above the threshold.",
        width=300,
    )
    with left:
        _show_bars(page, video, ranking, threshold, names)
    with right:
        _show_table(label_outcomes(ranking, threshold), names)
    if st.session_state.get("label") != page_label or (video.filters.uses_threshold and threshold != page_threshold):
        st.rerun()
    if not video.is_upload and page.run_videos.is_labeled.any():
        with metrics:
            _show_data_set_metrics(page, label, threshold, controls)


def _show_bars(
    page: PageContext, video: SelectedVideo, ranking: pd.DataFrame, threshold: float, names: list[str]
) -> None:
    def select_label(points: list[dict[str, Any]]) -> None:
        st.session_state["label"] = names[points[0]["customdata"][1]]

    top = ranking[:TOP_K].rename(columns={"probability": "score"})
    title = video.title("Top labels of")
    show_chart(
        figures.predictions(top, title=title, scale=video.scale, threshold=threshold),
        key="bars",
        height=HEIGHT,
        provenance=video.provenance(page),
        data=top,
        file_name="top labels",
        code=video.code(
            page,
            "predictions",
            f'video.ranking[:{TOP_K}].rename(columns={{"probability": "score"}})',
            title=title,
            threshold=threshold,
        ),
        on_select=on_selection("bars", "points", select_label),
        selection_mode="points",
        alt=f"Probabilities of the top {len(top)} labels; the dashed line is the threshold",
    )


def _show_table(table: pd.DataFrame, names: list[str]) -> None:
    def select_label(cells: list[tuple[int, str]]) -> None:
        st.session_state["label"] = names[int(table["label"].iloc[cells[0][0]])]

    is_labeled = bool(table["true"].notna().all())
    definitions = [f"{sign}: {OUTCOMES[outcome]}" for outcome, sign in SIGNS.items() if sign]
    if is_labeled:
        counts = table["outcome"].value_counts()
        st.markdown(
            ", ".join(f"{counts.get(outcome, 0)} {sign}" for outcome, sign in SIGNS.items() if sign),
            help="\n".join(f"- {definition}" for definition in definitions),
        )
    st.caption("Click a label to explain its score.")
    st.dataframe(
        table.assign(outcome=table["outcome"].map(SIGNS, na_action="ignore")),
        hide_index=True,
        column_order=["name", "outcome" if is_labeled else "predicted", "rank", "probability"],
        column_config={
            "name": st.column_config.TextColumn("Label", width=130, pinned=True),
            "outcome": st.column_config.TextColumn("Outcome", help="; ".join(definitions), width=105),
            "predicted": st.column_config.CheckboxColumn("Predicted", help="At or above the threshold.", width=80),
            "rank": st.column_config.NumberColumn("Rank", width=50, format="localized"),
            "probability": st.column_config.ProgressColumn(
                "Probability",
                help="Labels are scored independently, so probabilities do not sum to 1.",
                min_value=0,
                max_value=1,
                format="%.3f",
            ),
        },
        height=TABLE_HEIGHT,
        key="verdicts",
        on_select=on_selection("verdicts", "cells", select_label),
        selection_mode="single-cell",
        alt=f"Outcomes of the labels of this video: the top {TOP_K}, the predicted and the true labels",
    )


def _show_data_set_metrics(page: PageContext, label: int, threshold: float, controls: DeltaGenerator) -> None:
    """Show precision, recall and F1 over the data set, at the threshold and as curves."""
    option = linked(
        st.segmented_control,
        "Data set metrics",
        [ALL_LABELS, THIS_LABEL],
        key="over",
        default=ALL_LABELS,
        required=True,
        help=f"{MICRO_AVERAGE} “This label” is the one selected under “Label explanation”.",
    )
    counts = scores.threshold_counts(page)
    name = page.run.vocabulary.name(label)
    if option == ALL_LABELS:
        current, curve, of_label = counts.at(threshold), counts.curve(), ""
        scope, title = "All labels (micro average)", "All labels"
    else:
        current, curve, of_label = counts.at(threshold, label), counts.curve(label), str(label)
        scope, title = plain(name), html.escape(name)
    _show_metrics(page, current, scope)
    if curve["f1"].notna().any():
        best = float(curve["threshold"].iloc[int(np.nanargmax(curve["f1"].to_numpy()))])
        controls.button(
            f"Best F1: {best:.2f}",
            on_click=state_setter("threshold", best),
            icon=":material/target:",
            key="best threshold",
            help="Sets the threshold with the best F1 on this data set. It is selected and evaluated on the same data, "
            "so expect a slightly lower F1 on other data.",
        )
    with st.expander("Threshold curves", icon=":material/show_chart:"):
        show_chart(
            figures.threshold_curve(curve, threshold, title=title, scale=page.scale),
            key="threshold curves",
            provenance=provenance_text(page),
            data=curve,
            code=figure_code(
                page, "threshold_curve", f"view.threshold_counts.curve({of_label})", repr(threshold), title=title
            ),
            alt="Precision, recall and F1 against the threshold; the vertical line is the selected threshold",
        )


def _show_metrics(page: PageContext, metrics: "ThresholdMetrics", scope: str) -> None:
    with st.container(horizontal=True):
        for title, value, meaning in (
            ("Precision", metrics.precision, "Share of predicted labels that are true."),
            ("Recall", metrics.recall, "Share of true labels that are predicted."),
            ("F1", metrics.f1, "Harmonic mean of precision and recall."),
        ):
            st.metric(title, "–" if np.isnan(value) else f"{value:.3f}", help=meaning, width="content")
    run_scores = page.scores
    videos = pluralize(len(run_scores.videos), "video")
    if run_scores.is_sample:
        videos = f"a random sample of {len(run_scores.videos):,} of {pluralize(run_scores.num_videos, 'video')}"
    st.caption(
        f"{scope}, {videos}: {metrics.predicted:,} predicted, {metrics.hits:,} of them true; "
        f"{metrics.positives:,} true in total."
    )
