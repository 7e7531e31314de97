"""The card of one label: how often it occurs, how well the run finds it, what is near it, and where the run is wrong.

Any page may show it. Without a run, or with one that does not know the data, it shows counts and the nearest labels.
"""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders as state
from cache import scores as answers
from components.label_tables import AP, choose_row
from components.selectors import label_names, plain
from yt8m_core.analysis import per_label
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import Scored

NEAREST = 8  # labels
TOGETHER = 2  # videos that two labels must share to be near: one alone is chance
LISTED = 5  # videos


def label_card(data: state.DataSet, label: int, run: Run | None = None) -> None:
    """Show the card of a label of a data set, whose labels must be known; with a run also what the run makes of it."""
    labels = state.labels(data)
    row = labels.table[labels.table["label"] == label].iloc[0]
    with st.container(border=True):
        st.subheader(plain(row["name"]), anchor=False)
        st.markdown(
            f"**{plain(row['name'])}** is in {row['count']:,} of {labels.num_videos:,} videos with labels "
            f"({row['count'] / labels.num_videos:.2%}): rank {row['rank']:,} of {len(labels.table):,}, a {row['band']} "
            f"label. Topic {plain(row['vertical'] or 'not known')}, number {label}. The labels down to this rank hold "
            f"{row['cumulative_share']:.0%} of all labels given."
        )
        measure, near, videos = st.columns([3, 5, 5], gap="medium")
        with near:
            _nearest(data, labels, label)
        if run is None:
            measure.caption("Once there is a trained run, this card tells how well it finds the label.")
            return
        try:
            _measure(measure, run, data, row)
            _videos(videos, run, data, label)
        except UserError as error:
            measure.caption(f"The run cannot say how well it finds this label here. {plain(str(error))}")


def _measure(place: DeltaGenerator, run: Run, data: state.DataSet, row: pd.Series) -> None:
    """The label's average precision beside that of labels as frequent."""
    measured = answers.measured_labels(run, data)
    of_label = measured[measured["label"] == row["label"]].iloc[0]
    place.markdown(f"**How well {plain(run.name)} finds it**")
    if pd.isna(of_label["ap"]):
        place.caption("No video that the run has scored has this label, so its precision cannot be measured.")
        return
    steps = answers.precision_steps(run, data)
    step = steps[(steps["least"] <= row["count"]) & (row["count"] <= steps["most"])].iloc[0]
    place.metric(
        "AP",
        f"{of_label['ap']:.3f}",
        f"{of_label['ap'] - step['median']:+.3f}",
        help=AP,
    )
    place.caption(
        f"The arrow: against the median {step['median']:.3f} of the {step['labels']:,.0f} labels that are in "
        f"{step['least']:,.0f} to {step['most']:,.0f} videos. Measured on {of_label['positives']:,.0f} videos with the "
        "label; with fewer than about ten, chance decides much of it."
    )


def _nearest(data: state.DataSet, labels: state.Labels, label: int) -> None:
    """The labels that go with it most; a click on one goes on to its card."""
    vocabulary = labels.vocabulary
    table = per_label.nearest_labels(
        state.cooccurrence(data), labels.num_videos, label, minimum_support=TOGETHER, limit=NEAREST
    )
    st.markdown("**Labels that go with it most**")
    if table.empty:
        st.caption("No other label shares two or more videos with it.")
        return
    near = table["label"].tolist()
    st.dataframe(
        table.assign(name=[vocabulary.name(other) for other in near]),
        hide_index=True,
        column_order=["name", "share", "count", "phi"],
        column_config={
            "name": st.column_config.TextColumn("Label", width=125),
            "share": st.column_config.NumberColumn(
                "Share",
                help="Of the videos with the card's label, the share that has this one too.",
                format="percent",
                width=65,
            ),
            "count": st.column_config.NumberColumn("Videos", help="Videos with both.", format="localized", width=65),
            "phi": st.column_config.NumberColumn(
                "φ",
                help="The correlation of the two labels over all videos: 1 where they always come together, 0 where "
                "they do not depend on each other.",
                format="%.2f",
                width=50,
            ),
        },
        key=f"nearest {label}",  # another label's table starts with no row selected
        on_select=choose_row(f"nearest {label}", vocabulary, near),
        selection_mode="single-row",
        height="content",
        alt=f"The {len(table)} labels that go most with {vocabulary.name(label)}",
    )
    st.caption("Select a row to go on to that label.")
    names = list(label_names(vocabulary))
    st.page_link(
        "views/correlation/page.py",
        label="See them in Correlation",
        icon=":material/grid_on:",
        query_params=_link(label=names[label], labels=[names[one] for one in (label, *near)]),
    )


def _videos(place: DeltaGenerator, run: Run, data: state.DataSet, label: int) -> None:
    """The videos that the run gets most wrong, each a link to what it says of them."""
    scored = answers.scored(run, data)
    ids = state.videos(data)
    name = list(label_names(state.labels(data).vocabulary))[label]
    with place:
        st.markdown("**Hardest videos that have it**")
        hardest = per_label.hardest_videos(answers.true_ranks(run, data), label, LISTED)
        if hardest.empty:
            st.caption("No scored video has it.")
        for video in hardest.to_dict("records"):
            _video_link(
                ids.id(int(scored.videos[int(video["row"])])),
                f"at rank {video['rank']:,.0f} in the video, probability {video['probability']:.4f}",
                name,
            )
        st.markdown("**Surest videos that do not have it**")
        for video in per_label.top_false_positives(scored, label, LISTED).to_dict("records"):
            video_id = ids.id(int(scored.videos[int(video["row"])]))
            _video_link(video_id, f"probability {video['probability']:.4f}", name)
        st.caption("Some of these may have it after all: data sets miss labels.")
        if scored.sampled:
            st.caption(sample_words(scored))


def sample_words(scored: "Scored") -> str:
    """That the scores are of a sample."""
    return f"The run scored a random sample of {len(scored.videos):,} of {scored.of:,} videos."


def _video_link(video: str, told: str, label: str) -> None:
    st.page_link(
        "views/predictions/page.py",
        label=f"**{plain(video)}** {told}",
        icon=":material/play_circle:",
        query_params=_link(video=video, label=label),
    )


def _link(**more: str | list[str]) -> dict[str, str | list[str]]:
    """What a link to another page carries along: the run and the data set of the sidebar, and more."""
    kept = {name: st.session_state[name] for name in ("run", "data") if st.session_state.get(name)}
    return {**kept, **more}
