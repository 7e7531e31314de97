"""An ensemble of runs (section 3.3 of the paper): its GAP, its members, and how similar these are."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cache import scores
from components.columns import GAP_HELP
from components.link import linked
from components.selectors import download_csv
from components.text import metric_change, plain, show_error
from context import PageContext
from yt8m_core.errors import UserError

if TYPE_CHECKING:  # imports torch, which this page does not need without members
    from yt8m_core.analysis.ensembling import EnsembleResult


def show_ensemble(page: PageContext) -> None:
    """Select members, and show the ensemble and how the members differ."""
    st.subheader("Ensemble", anchor=False)
    st.caption("The unweighted average of several runs is often better than each of them.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        keys = linked(
            st.multiselect,
            "Members",
            list(page.workspace.runs),
            key="members",
            placeholder="Choose at least two",
            width=600,
        )
        kind = linked(
            st.segmented_control,
            "Average of",
            ["probability", "logit"],
            key="average",
            default="probability",
            required=True,
            help="Average probabilities, or log-odds, which gives confident members more weight.",
        )
    if len(keys) < 2:
        st.info("Choose at least two runs.", icon=":material/info:")
        return
    members, errors = scores.compatible_members(tuple((key, page.with_run(key)) for key in keys))
    for key, error in errors:
        st.warning(f"Run **{plain(key)}** is left out. {plain(str(error))}", icon=":material/warning:")
    if len(members) < 2:
        st.info(
            "Fewer than two of these runs can score this data set. Choose other runs, or another data set in the "
            "sidebar.",
            icon=":material/info:",
        )
        return
    try:
        answer = scores.ensemble(members, kind)
    except UserError as error:
        show_error(error)
        return
    show_gap(answer, num_videos=scores.run_scores(members[0][1]).num_videos)
    left, right = st.columns(2, gap="large")
    with left:
        show_members(answer.members)
    with right:
        show_similarity(answer.pairs)
    st.caption("Dissimilar members gain the most from averaging; a weak member can cost more than it adds.")


def show_gap(answer: "EnsembleResult", *, num_videos: int) -> None:
    """Show the GAP of the ensemble and of its best member; ``num_videos`` is that of the whole data set."""
    best = answer.members.sort_values("gap").iloc[-1]
    with st.container(horizontal=True):
        st.metric(
            "GAP@20 of the ensemble",
            f"{answer.gap:.4f}",
            help=GAP_HELP,
            border=True,
            **metric_change(answer.gap - best["gap"], 4),
        )
        st.metric(f"Best member: {plain(best['member'])}", f"{best['gap']:.4f}", border=True, height="stretch")
    if answer.videos < num_videos:
        st.caption(f"Measured on a random sample of {answer.videos:,} of {num_videos:,} videos.")


def show_members(members: pd.DataFrame) -> None:
    """Show the GAP of each member."""
    st.dataframe(
        members.sort_values("gap", ascending=False),
        hide_index=True,
        column_config={
            "member": st.column_config.TextColumn("Member", pinned=True),
            "weight": None,
            "gap": st.column_config.NumberColumn("GAP", format="%.4f", help=GAP_HELP),
        },
        alt="GAP of each member",
    )
    download_csv(members, "members")


def show_similarity(pairs: pd.DataFrame) -> None:
    """Show how much each pair of members agrees."""
    st.dataframe(
        pairs,
        hide_index=True,
        column_config={
            "member_a": st.column_config.TextColumn("Member A"),
            "member_b": st.column_config.TextColumn("Member B"),
            "overlap": st.column_config.NumberColumn(
                "Top-20 overlap",
                format="percent",
                help="Of the labels in the top 20 of either member, the share in the top 20 of both.",
            ),
            "same_best": st.column_config.NumberColumn(
                "Same top label", format="percent", help="Share of videos with the same most probable label."
            ),
            "correlation": st.column_config.NumberColumn(
                "Correlation", format="%.2f", help="Correlation of the scores; 1 where both are equal."
            ),
        },
        alt="Similarity of each pair of members",
    )
    download_csv(pairs, "pairs")
