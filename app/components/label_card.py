"""The card of one label: its frequency, its average precision, its nearest labels, and the run's worst videos for it.

Without a run, or with one that does not fit the data, the card shows the frequency and the nearest labels.
"""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders, scores
from components.columns import AP_HELP
from components.label_tables import row_selection
from components.selectors import label_names, sample_note
from components.text import plain
from context import PageContext
from yt8m_core.analysis import per_label
from yt8m_core.errors import UserError

NEAREST = 8  # labels
MIN_SHARED = 2  # videos that two labels must share to be near: one alone is chance
LISTED = 5  # videos


def label_card(page: PageContext, label: int) -> None:
    """Show the card of a label of the data set, which must have labels."""
    labels = page.labels
    row = labels.table[labels.table["label"] == label].iloc[0]
    with st.container(border=True):
        st.subheader(plain(row["name"]), anchor=False)
        st.markdown(
            f"**{plain(row['name'])}** is in {row['count']:,} of {labels.num_videos:,} labeled videos "
            f"({row['count'] / labels.num_videos:.2%}): rank {row['rank']:,} of {len(labels.table):,}, {row['band']} "
            f"band. Topic {plain(row['vertical'] or 'unknown')}, number {label}. Cumulative share of label "
            f"assignments: {row['cumulative_share']:.0%}."
        )
        measure, near, videos = st.columns([3, 5, 5], gap="medium")
        with near:
            _nearest(page, label)
        if not page.has_run:
            measure.caption("Average precision is shown once there is a trained run.")
            return
        try:
            _precision(measure, page, row)
            _videos(videos, page, label)
        except UserError as error:
            measure.caption(f"Average precision is not available here. {plain(str(error))}")


def _precision(place: DeltaGenerator, page: PageContext, row: pd.Series) -> None:
    """Show the label's average precision next to that of equally frequent labels."""
    table = scores.label_table(page)
    measured = table[table["label"] == row["label"]].iloc[0]
    place.markdown(f"**Average precision of {plain(page.run.name)}**")
    if pd.isna(measured["ap"]):
        place.caption("No scored video has this label, so its average precision is undefined.")
        return
    steps = scores.precision_by_frequency(page)
    step = steps[(steps["min_count"] <= row["count"]) & (row["count"] <= steps["max_count"])].iloc[0]
    place.metric("AP", f"{measured['ap']:.3f}", f"{measured['ap'] - step['median']:+.3f}", help=AP_HELP)
    place.caption(
        f"The arrow compares with the median {step['median']:.3f} of the {step['labels']:,.0f} labels in "
        f"{step['min_count']:,.0f} to {step['max_count']:,.0f} videos. Measured on {measured['positives']:,.0f} videos "
        "with the label; below about ten, the value is mostly chance."
    )


def _nearest(page: PageContext, label: int) -> None:
    """List the most correlated labels; a click on a row opens its card."""
    vocabulary = page.labels.vocabulary
    table = per_label.most_correlated_labels(
        loaders.cooccurrence(page.data), page.labels.num_videos, label, minimum_support=MIN_SHARED, limit=NEAREST
    )
    table = table[table["phi"] > 0]
    st.markdown("**Most correlated labels**")
    if table.empty:
        st.caption("No other label shares two or more videos with it.")
        return
    nearest = table["label"].tolist()
    st.dataframe(
        table.assign(name=[vocabulary.name(other) for other in nearest]),
        hide_index=True,
        column_order=["name", "share", "count", "phi"],
        column_config={
            "name": st.column_config.TextColumn("Label", width=125),
            "share": st.column_config.NumberColumn(
                "Share",
                help="Share of the videos with the card's label that have this one too.",
                format="percent",
                width=65,
            ),
            "count": st.column_config.NumberColumn("Videos", help="Videos with both.", format="localized", width=65),
            "phi": st.column_config.NumberColumn(
                "φ",
                help="Correlation of the two labels over all videos: 1 if they always occur together, 0 if they are "
                "independent.",
                format="%.2f",
                width=50,
            ),
        },
        key=f"nearest {label}",  # another label's table starts with no row selected
        on_select=row_selection(f"nearest {label}", vocabulary, nearest),
        selection_mode="single-row",
        height="content",
        alt=f"The {len(table)} labels most correlated with {vocabulary.name(label)}",
    )
    st.caption("Click a row to open its card.")
    names = list(label_names(vocabulary))
    st.page_link(
        "views/correlation/page.py",
        label="Open in Correlation",
        icon=":material/grid_on:",
        query_params=_link(label=names[label], labels=[names[other] for other in (label, *nearest)]),
    )


def _videos(place: DeltaGenerator, page: PageContext, label: int) -> None:
    """List the videos with the largest errors, each as a link to its predictions."""
    run_scores = page.scores
    videos = page.videos
    name = list(label_names(page.labels.vocabulary))[label]
    with place:
        st.markdown("**Lowest-ranked positives**")
        hardest = per_label.hardest_videos(scores.true_ranks(page), label, LISTED)
        if hardest.empty:
            st.caption("No scored video has this label.")
        for video in hardest.to_dict("records"):
            _video_link(
                videos.id(int(run_scores.videos[int(video["row"])])),
                f"rank {video['rank']:,.0f} in the video, probability {video['probability']:.4f}",
                name,
            )
        st.markdown("**Most confident false positives**")
        for video in per_label.top_false_positives(run_scores, label, LISTED).to_dict("records"):
            video_id = videos.id(int(run_scores.videos[int(video["row"])]))
            _video_link(video_id, f"probability {video['probability']:.4f}", name)
        st.caption("Some may be true: data sets miss labels.")
        if run_scores.is_sample:
            st.caption(sample_note(run_scores))


def _video_link(video: str, detail: str, label: str) -> None:
    st.page_link(
        "views/predictions/page.py",
        label=f"**{plain(video)}** {detail}",
        icon=":material/play_circle:",
        query_params=_link(video=video, label=label),
    )


def _link(**query: str | list[str]) -> dict[str, str | list[str]]:
    """Return the query of a link to another page: run and data set of the sidebar, and more."""
    kept = {name: st.session_state[name] for name in ("run", "data") if st.session_state.get(name)}
    return {**kept, **query}
