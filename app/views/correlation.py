"""Which labels go together (section 2.4 of the paper): a matrix of chosen labels, and the strongest of all pairs."""

from typing import Any

import numpy as np
import streamlit as st

import state
from parts import chosen_data, label_names, label_picker, plain, provenance, scale_words
from yt8m_core import figures
from yt8m_core import label_statistics as statistics

SHOWN = 30  # labels in the matrix at first
PAIRS = 200  # rows of the table at most

data = chosen_data()
videos = state.videos(data)
provenance(data=(data, videos))
labels = state.labels(data)
numbers = label_names(labels.vocabulary)
names = list(numbers)
pairs = state.cooccurrence(data)

measures = list(statistics.MEASURES)
measure = st.segmented_control(
    "Measure", measures, key="measure", bind="query-params", default="conditional", required=True
)
st.caption(f"{plain(statistics.MEASURES[measure])}.")
picked = st.multiselect(
    "Labels in the matrix",
    names,
    [names[label] for label in labels.table["label"][:SHOWN]],
    key="labels",
    bind="query-params",
    max_selections=figures.LARGEST_WINDOW,
    help="The most frequent ones at first. Type a part of a name to find others.",
    wrap=False,
)


def in_words(first: int, second: int) -> None:
    """Say how two labels go together."""
    one, other = (f"**{plain(labels.vocabulary.name(label))}**" for label in (first, second))
    value = {name: statistics.measure(pairs, labels.num_videos, name, [first, second]) for name in measures}
    count = value["count"].astype(int)
    if first == second or not count.diagonal().all():
        for name, number in dict(zip((one, other), count.diagonal(), strict=True)).items():
            st.markdown(f"{name} is in {number:,} of {labels.num_videos:,} videos.")
        return
    st.markdown(
        f"{count[0, 1]:,} of {labels.num_videos:,} videos have both.\n"
        f"- Of the {count[0, 0]:,} videos with {one}, {value['conditional'][0, 1]:.0%} have {other} too.\n"
        f"- Of the {count[1, 1]:,} videos with {other}, {value['conditional'][1, 0]:.0%} have {one} too.\n"
        f"- They are together {value['lift'][0, 1]:.2f} times as often as if each came by itself (lift).\n"
        f"- φ {value['phi'][0, 1]:.2f}, Jaccard {value['jaccard'][0, 1]:.2f}."
    )


if picked:
    chosen = np.array([numbers[name] for name in picked])
    # By φ whatever is shown, so that the labels keep their places when the measure is switched.
    chosen = chosen[statistics.cluster_order(statistics.measure(pairs, labels.num_videos, "phi", chosen))]
    left, right = st.columns([5, 2], gap="large")
    with left, st.grid(1, min_column_width=660, wrap=False):  # a narrow screen scrolls: its names need their width
        figure = figures.correlation(
            statistics.measure(pairs, labels.num_videos, measure, chosen),
            [labels.vocabulary.name(label) for label in chosen.tolist()],
            measure,
            scale=scale_words(data, videos),
        )
        event: Any = st.plotly_chart(
            figure,
            key="matrix",
            on_select="rerun",
            selection_mode="points",
            alt=f"Matrix of {len(chosen)} labels with the {measure} of each pair",
        )
    with right:
        st.subheader("A pair in words", anchor=False)
        st.caption("Click a cell of the matrix. Labels that go together stand next to each other.")
        if points := event["selection"]["points"]:
            in_words(int(chosen[round(points[0]["y"])]), int(chosen[round(points[0]["x"])]))
else:
    st.info("Choose labels to see their matrix.", icon=":material/info:")

st.subheader("The strongest pairs", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    support = st.number_input(
        "In at least so many videos",
        1,
        None,
        10,
        key="support",
        bind="query-params",
        width=240,
        help="Rare pairs have large values by chance.",
    )
    label = label_picker("Only pairs with", labels.vocabulary)
table = state.strongest_pairs(data, measure, int(support))
if label is not None:
    table = table[(table["label_a"] == label) | (table["label_b"] == label)]
table = table[:PAIRS]
if table.empty:
    st.info("No pair of labels is in so many videos.", icon=":material/info:")
    st.stop()
st.dataframe(
    table.assign(**{side: [labels.vocabulary.name(n) for n in table[f"label_{side}"]] for side in "ab"}),
    hide_index=True,
    column_order=["a", "b", "count", "p_b_given_a", "p_a_given_b", "lift", "phi", "jaccard"],
    column_config={
        "a": st.column_config.TextColumn("Label A", help="The rarer of the two.", pinned=True),
        "b": st.column_config.TextColumn("Label B"),
        "count": st.column_config.NumberColumn("Videos", help=statistics.MEASURES["count"], format="localized"),
        "p_b_given_a": st.column_config.ProgressColumn("P(B | A)", help="Share of A's videos that have B too."),
        "p_a_given_b": st.column_config.ProgressColumn("P(A | B)", help="Share of B's videos that have A too."),
        "lift": st.column_config.NumberColumn("Lift", help=statistics.MEASURES["lift"], format="%.2f"),
        "phi": st.column_config.NumberColumn("φ", help=statistics.MEASURES["phi"], format="%.2f"),
        "jaccard": st.column_config.NumberColumn("Jaccard", help=statistics.MEASURES["jaccard"], format="%.2f"),
    },
    alt=f"Pairs of labels by {measure}, strongest first",
)
