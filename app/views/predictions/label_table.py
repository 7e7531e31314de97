"""The answer of the page of predictions: the labels of a video, right or wrong at a threshold that may be moved."""

import html
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from cache import loaders as state
from cache import scores as answers
from components.selectors import choose, fragment, label_names, plain
from views.predictions.video_source import THRESHOLD, WITH, Shown
from yt8m_core import figures
from yt8m_core.analysis.outcomes import BEST, VERDICTS, verdicts
from yt8m_core.analysis.per_video import own_precision
from yt8m_core.runs.run import Run

SIGNS = {"hit": "✓ hit", "near hit": "✓ near hit", "miss": "✗ miss", "false alarm": "✗ false alarm", "": ""}
TALLEST = 400  # pixels of the table, beside the bars; the rest is scrolled to
MICRO = (
    "Micro average: every label of every video is one question, and all count alike, so frequent labels decide. "
    "A macro average, the mean over labels, would let rare labels count as much."
)


def in_words(shown: Shown, ranking: pd.DataFrame) -> None:
    """The answer in a sentence."""
    if shown.true_labels is None:
        st.caption("The true labels of this video are not known.")
        return
    if not shown.true_labels:
        st.markdown("The data give this video no label.")
        return
    found = int(ranking["true"][:BEST].sum())
    ap = own_precision(ranking)
    st.markdown(
        f"**{found} of {len(shown.true_labels)}** true labels are among the best {BEST}; the average precision of this "
        f"video's ranking is **{ap:.2f}**.",
        help="Average precision: for each true label, the share of true labels among those down to its rank; then the "
        "mean. 1 where all true labels stand before all others.",
    )


@fragment
def answer(
    run: Run, shown: Shown, ranking: pd.DataFrame, label: int, chosen: str | None, threshold: float | None
) -> None:
    """Bars and table of the labels at a threshold, and what that comes to over the data set.

    ``chosen`` and ``threshold`` are what the rest of the page was drawn with: where a click here changes them, and the
    rest shows it, all is drawn again.
    """
    names = list(label_names(run.vocabulary))
    picture, words = st.columns(2, gap="large")
    with words:
        slider = st.container(horizontal=True, vertical_alignment="bottom")
        counted = st.container()
    with slider:
        at = st.slider(
            "Threshold",
            0.0,
            1.0,
            THRESHOLD,
            0.01,
            key="threshold",
            bind="query-params",
            help="A label is predicted where its probability is at or above the threshold.",
            width=300,
        )
    table = verdicts(ranking, at)
    with picture:
        _bars(shown, ranking, at, names)
    with words:
        _table(table, names)
    if st.session_state.get("label") != chosen or (set(shown.walked_by) & set(WITH[:2]) and at != threshold):
        st.rerun()
    if shown.data is not None and shown.labeled:
        with counted:
            _over_all(run, shown, shown.data, label, at, slider)


def _bars(shown: Shown, ranking: pd.DataFrame, threshold: float, names: list[str]) -> None:
    def take() -> None:
        if points := st.session_state["bars"]["selection"]["points"]:
            st.session_state["label"] = names[points[0]["customdata"][1]]

    best = ranking[:BEST]
    st.plotly_chart(
        figures.predictions(
            best.rename(columns={"probability": "score"}),
            title=f"Best labels of video {html.escape(shown.video_id)}",
            scale=shown.scale,
            threshold=threshold,
        ),
        key="bars",
        on_select=take,
        selection_mode="points",
        alt=f"Probabilities of the {len(best)} best labels; the dashed line is the threshold",
    )


def _table(table: pd.DataFrame, names: list[str]) -> None:
    known = bool(table["true"].notna().all())
    if known:
        counts = table["verdict"].value_counts()
        tally = ", ".join(f"{counts.get(verdict, 0)} {sign}" for verdict, sign in SIGNS.items() if sign)
        st.markdown(tally, help="\n".join(f"- {SIGNS[name]}: {VERDICTS[name]}" for name in SIGNS if name))
    st.caption("Click a label to see why it has its score.")

    def take() -> None:
        if cells := st.session_state["verdicts"]["selection"]["cells"]:
            st.session_state["label"] = names[int(table["label"].iloc[cells[0][0]])]

    st.dataframe(
        table.assign(verdict=table["verdict"].map(SIGNS, na_action="ignore")),
        hide_index=True,
        column_order=["name", "verdict" if known else "predicted", "rank", "probability"],
        column_config={
            "name": st.column_config.TextColumn("Label", width=150, pinned=True),
            "verdict": st.column_config.TextColumn(
                "Verdict", help="; ".join(f"{SIGNS[name]}: {VERDICTS[name]}" for name in SIGNS if name), width=100
            ),
            "predicted": st.column_config.CheckboxColumn("Predicted", help="At or above the threshold.", width=80),
            "rank": st.column_config.NumberColumn("Rank", width=50, format="localized"),
            "probability": st.column_config.ProgressColumn(
                "Probability",
                help="How likely the model holds the label to be. Labels are judged one by one: no sum of 1.",
                min_value=0,
                max_value=1,
                format="%.3f",
            ),
        },
        height=TALLEST,
        key="verdicts",
        on_select=take,
        selection_mode="single-cell",
        alt=f"The labels that matter for this video with their verdicts: the best {BEST}, the predicted, the true ones",
    )


def _over_all(run: Run, shown: Shown, data: state.DataSet, label: int, threshold: float, slider: Any) -> None:
    """Precision, recall and F1 of all videos."""
    name = run.vocabulary.name(label)
    of_all = "all labels"
    over = st.segmented_control(
        "Over the whole data set, for",
        [of_all, "this label"],
        key="over",
        bind="query-params",
        default=of_all,
        required=True,
        help=f"{MICRO} This label: the one under “Why this label?”.",
    )
    counts, scored = answers.threshold_counts(run, data), answers.scored(run, data)
    some = None if over == of_all else label
    here, curve = counts.at(threshold, some), counts.curve(some)
    with st.container(horizontal=True):
        for title, value, meaning in (
            ("Precision", here.precision, "Of what is predicted, the share that is true."),
            ("Recall", here.recall, "Of what is true, the share that is predicted."),
            ("F1", here.f1, "The harmonic mean of both: high only where both are."),
        ):
            st.metric(title, "–" if value != value else f"{value:.3f}", help=meaning, width="content")
    videos = f"{len(scored.videos):,} videos"
    if scored.sampled:
        videos = f"a random sample of {len(scored.videos):,} of {scored.of:,} videos"
    st.caption(
        f"{plain(name) if some is not None else 'All labels together (micro average)'}, {videos}: {here.predicted:,} "
        f"predicted, {here.hits:,} of them true; {here.positives:,} are true in all."
    )
    if curve["f1"].notna().any():
        best = float(curve["threshold"].iloc[int(np.nanargmax(curve["f1"].to_numpy()))])
        with slider:
            st.button(
                f"Best F1: {best:.2f}",
                on_click=choose("threshold", best),
                icon=":material/target:",
                key="best threshold",
                help="Set the threshold with the best F1 on this data set. It is chosen on the very data that it is "
                "judged by, so on others it will do a little worse.",
            )
    with st.expander("Precision, recall and F1 at every threshold", icon=":material/show_chart:"):
        st.plotly_chart(
            figures.threshold_curve(
                curve,
                threshold,
                title=html.escape(name) if some is not None else "All labels together",
                scale=shown.scale,
            ),
            alt="Precision, recall and F1 against the threshold; the line is the threshold that is set",
        )
