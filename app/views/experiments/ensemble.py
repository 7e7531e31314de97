"""An average of runs: what it comes to, beside its members, and how alike these are."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cache import loaders as state
from cache import scores as answers
from components.selectors import GAP, download_csv, fault, plain
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

if TYPE_CHECKING:  # brings torch along, which a page that averages nothing does without
    from yt8m_core.analysis.ensembling import EnsembleAnswer


def average(runs: dict[str, Run], data: state.DataSet) -> None:
    """Members of an average, what it comes to, and how they differ."""
    st.subheader("An average of runs", anchor=False)
    st.markdown(
        "Several models that err in different places are better together than each alone. Choose the members; all "
        "count alike."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        members = st.multiselect(
            "Members", list(runs), key="members", bind="query-params", placeholder="Choose at least two", width=600
        )
        kind = st.segmented_control(
            "Average of",
            ["probability", "logit"],
            key="average",
            bind="query-params",
            default="probability",
            required=True,
            help="The probabilities themselves, or their log odds, by which a very sure member counts more.",
        )
    if len(members) < 2:
        st.info("Choose two runs or more to see what their average comes to.", icon=":material/info:")
        return
    fitting, faults = answers.that_fit(tuple((name, runs[name]) for name in members), data)
    for name, error in faults:
        st.warning(f"Run **{plain(name)}** is left out. {plain(str(error))}", icon=":material/warning:")
    if len(fitting) < 2:
        st.info(
            "Fewer than two of these runs can score this data set: choose other runs, or another data set in the "
            "sidebar.",
            icon=":material/info:",
        )
        return
    try:
        answer = answers.average(fitting, data, kind=kind)
    except UserError as error:
        fault(error)
        return
    what_it_comes_to(answer, every=answers.scored(fitting[0][1], data).of)
    left, right = st.columns(2, gap="large")
    with left:
        alone(answer.members)
    with right:
        how_alike(answer.pairs)
    st.caption(
        "The less alike two members are, the more their average may gain; a weak member may cost more than it adds."
    )


def what_it_comes_to(answer: "EnsembleAnswer", *, every: int) -> None:
    """The GAP of the average beside that of its best member; ``every``: the videos of the data set."""
    best = answer.members.sort_values("gap").iloc[-1]
    with st.container(horizontal=True):
        st.metric(
            "GAP@20 of the average", f"{answer.gap:.4f}", f"{answer.gap - best['gap']:+.4f}", help=GAP, border=True
        )
        st.metric(f"Its best member, {plain(best['member'])}", f"{best['gap']:.4f}", border=True, height="stretch")
    if answer.videos < every:
        st.caption(f"Of a sample of {answer.videos:,} of the {every:,} videos.")


def alone(members: pd.DataFrame) -> None:
    """What each member comes to without the others."""
    st.dataframe(
        members.sort_values("gap", ascending=False),
        hide_index=True,
        column_config={
            "member": st.column_config.TextColumn("Member", pinned=True),
            "weight": None,
            "gap": st.column_config.NumberColumn("GAP alone", format="%.4f", help=GAP),
        },
        alt="GAP of each member alone",
    )
    download_csv(members, "members")


def how_alike(pairs: pd.DataFrame) -> None:
    """How much each two members agree."""
    st.dataframe(
        pairs,
        hide_index=True,
        column_config={
            "member_a": st.column_config.TextColumn("Member"),
            "member_b": st.column_config.TextColumn("and"),
            "overlap": st.column_config.NumberColumn(
                "Same 20",
                format="percent",
                help="Of the labels that either has among its 20 best of a video, how many both have.",
            ),
            "same_best": st.column_config.NumberColumn(
                "Same best", format="percent", help="Videos of which both hold the same label most probable."
            ),
            "correlation": st.column_config.NumberColumn(
                "Correlation", format="%.2f", help="Of their scores: 1 where both always say the same."
            ),
        },
        alt="How alike each pair of members is",
    )
    download_csv(pairs, "pairs")
