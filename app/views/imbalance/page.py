"""How unequally labels are spread (section 1 of the paper), what it does to a run, and what adaptive noise answers."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders as state
from components.label_card import label_card
from components.label_tables import show_chart, show_table
from components.selectors import chosen_data, label_picker, provenance, scale_words
from views.imbalance.adaptive_noise import show_noise
from views.imbalance.run_comparison import show_precision, show_two_runs
from yt8m_core import figures
from yt8m_core.labels import statistics

LOOKS = {
    "frequency": "How often each label occurs.",
    "precision": "How well the run finds each label, against how often it occurs.",
    "two runs": "Which labels a second run finds better or worse, and whether frequent or rare ones gain.",
    "adaptive noise": "How much noise the paper's adaptive noise would add to the frames of each label.",
}


def show_frequency(below: DeltaGenerator) -> None:
    """Rank against count, bands, Gini, and every label."""
    table = labels.table
    drawn = st.segmented_control(
        "Draw", ["videos", "cumulative share"], key="draw", bind="query-params", default="videos", required=True
    )
    chart, words = st.columns([5, 3], gap="large")
    with chart:
        if drawn == "videos":
            figure, told = figures.rank_frequency, "Videos with each label against its rank, both on log axes"
        else:
            figure, told = figures.cumulative_share, "Share of all labels given that the labels down to a rank hold"
        scale = scale_words(data, videos)
        show_chart(figure(table, scale=scale, chosen=label), labels.vocabulary, name="frequency", alt=told)
    spread = statistics.imbalance(table["count"])
    with words:
        st.markdown(
            f"The most frequent **5%** of the labels hold **{spread['top_5_percent_share']:.0%}** of all "
            f"{spread['pairs']:,.0f} labels given to videos."
        )
        st.markdown(
            f"- **Head**: {spread['head_labels']:,.0f} labels hold {spread['head_share']:.0%}\n"
            f"- **Mid**: {spread['mid_labels']:,.0f} labels hold {spread['mid_share']:.0%}\n"
            f"- **Tail**: {spread['tail_labels']:,.0f} labels hold {spread['tail_share']:.0%}\n"
        )
        st.caption(
            "Head labels are the fewest that hold half of all labels given, head and mid together the fewest that hold "
            f"90%. The tail includes the labels that occur in no video here, {spread['unseen_labels']:,.0f} of "
            f"{spread['labels']:,.0f}; they are not drawn."
        )
        st.markdown(f"Gini coefficient: **{spread['gini']:.2f}**")
        st.caption("0 where all labels are equally frequent, toward 1 where one label has all the videos.")
    columns = ["rank", "name", "vertical", "count", "cumulative_share", "band", "label"]
    with below:
        st.subheader("Every label", anchor=False)
        alt = "Every label with its rank, topic, number of videos and band"
        show_table(table, labels.vocabulary, columns, name="labels", alt=alt)


data = chosen_data()
videos = state.videos(data)
provenance(data=(data, videos))
labels = state.labels(data)
run = state.find_all_runs()[0].get(st.session_state.get("run", ""))

with st.container(horizontal=True, vertical_alignment="bottom"):
    look = st.segmented_control(
        "Look at", list(LOOKS), key="look", bind="query-params", default="frequency", required=True, wrap=True
    )
    label = label_picker("Look up a label", labels.vocabulary)
st.caption(f"{LOOKS[look]} Choose a label by its name, by a click on its point or by its row, and its card opens.")
# The card lies between chart and table: a click on a point leaves the chart where it is.
chart, card, below = st.container(), st.container(), st.container()
if label is not None:
    with card:
        label_card(data, label, run)
with chart:
    if look == "frequency":
        show_frequency(below)
    elif look == "precision":
        show_precision(data, label, below)
    elif look == "two runs":
        show_two_runs(data, label, below)
    else:
        show_noise(data, label, run, below)
