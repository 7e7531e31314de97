"""Label issues page: review of one candidate at a time, with a filter, a table and a file of the decisions."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import label_issues
from components.columns import probability_column
from components.link import accept_old_values, linked
from components.selection import on_selection
from components.selectors import download_csv
from components.text import plain
from context import PageContext
from views.label_issues.buttons import show_buttons
from views.label_issues.evidence import SCORE_HELP, show_evidence
from yt8m_core.analysis.label_decisions import Decision
from yt8m_core.figures.style import pluralize

STATES = {"undecided": "", "accepted": "accept", "rejected": "reject", "unsure": "unsure"}  # state: decision
ANY = "all"
COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", format="localized", width=60),
    "decision": st.column_config.TextColumn("Decision", width=90),
    "id": st.column_config.TextColumn("Video", width=90),
    "name": st.column_config.TextColumn("Label"),
    "score": st.column_config.NumberColumn("Score", format="%.3f", help=SCORE_HELP),
    "probability": probability_column("Probability"),
    "evidence_name": st.column_config.TextColumn("Evidence", help="Listed label that makes the candidate most likely."),
    "evidence_probability": st.column_config.NumberColumn(
        "P(label | evidence)", format="%.3f", help="Share of the other videos with the evidence that have the label."
    ),
    "evidence_videos": st.column_config.NumberColumn("With both", help="Videos with both.", format="localized"),
    "listed_labels": st.column_config.TextColumn("Listed labels", width="large"),
}


def show_review(page: PageContext, candidates: pd.DataFrame, decisions: pd.DataFrame) -> None:
    """Show a candidate with its evidence, the buttons to decide about it, and the table of all candidates.

    Args:
        page: The page.
        candidates: Candidates with the columns of ``candidate_ranking.COLUMNS``.
        decisions: Result of ``label_decisions.read_decisions``.
    """
    table = _join(candidates, decisions)
    options = table["option"].tolist()

    def open_match() -> None:
        """Open the first candidate that the chosen filter shows, unless it shows the current one."""
        matches = _matches(table, st.session_state["decided"])
        if st.session_state["candidate"] not in set(table["option"][matches]) and matches.any():
            st.session_state["candidate"] = options[int(matches.argmax())]

    accept_old_values("decided", {"accept": "accepted", "reject": "rejected"})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = linked(
            st.segmented_control,
            "Show",
            (*STATES, ANY),
            key="decided",
            default="undecided",
            required=True,
            wrap=True,
            on_change=open_match,
        )
        matches = _matches(table, shown)
        first = options[int(matches.argmax())]
        option = linked(
            st.selectbox, "Candidate", options, None, first=first, key="candidate", placeholder="Type a name", width=380
        )
    is_decided = (table["decision"] != "").to_numpy()
    listed = f"{matches.sum():,} {shown}" if shown in STATES else f"all {len(table):,}"
    st.progress(float(is_decided.mean()), f"{is_decided.sum():,} of {len(table):,} decided. Listed: {listed}")
    if option is None:
        st.info("Choose a candidate.", icon=":material/info:")
    else:
        _show_candidate(page, table, matches, options.index(option), decisions)
    _show_table(table[matches], shown)
    _show_file(page, table, decisions)


def _show_candidate(
    page: PageContext, table: pd.DataFrame, matches: NDArray[np.bool_], current: int, decisions: pd.DataFrame
) -> None:
    """Show a candidate, its decision, and the buttons to decide about it."""
    row, options = table.iloc[current], table["option"].tolist()
    is_own = (decisions["video"] == row["id"]) & (decisions["label"] == row["label"])
    stored = next((Decision(*own) for own in decisions[is_own].itertuples(index=False, name=None)), None)
    buttons = st.container()
    if stored is not None:
        time = stored.time.replace("T", " ").replace("Z", " UTC")
        st.caption(f"Stored decision: {stored.decision}, {time}.")
    show_evidence(page, row)
    with buttons:  # drawn last, so that they never stand above the evidence for another candidate
        show_buttons(
            label_issues.decision_file(page.data),
            row,
            stored,
            options,
            previous=options[step(matches, current, -1)],
            following=options[step(matches, current, 1)],
        )


def _join(candidates: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Add to each candidate its option of the select box, and its decision, empty where there is none."""
    stored = decisions[["video", "label", "decision"]].rename(columns={"video": "id"})
    table = candidates.merge(stored, on=["id", "label"], how="left")
    options = [f"{row.id} · {row.name} · {row.label}" for row in table[["id", "name", "label"]].itertuples(index=False)]
    return table.assign(decision=table["decision"].fillna(""), option=options)


def _matches(table: pd.DataFrame, shown: str) -> NDArray[np.bool_]:
    """Return which candidates the filter shows."""
    if shown == ANY:
        return np.ones(len(table), bool)
    matches: NDArray[np.bool_] = (table["decision"] == STATES[shown]).to_numpy(bool)
    return matches


def step(matches: NDArray[np.bool_], current: int, direction: int) -> int:
    """Return the next candidate that the filter shows, after the last one the first; ``current`` if it shows no other.

    >>> matches = np.array([True, False, True, True])
    >>> step(matches, 0, 1), step(matches, 3, 1), step(matches, 0, -1), step(np.array([True]), 0, 1)
    (2, 0, 3, 0)
    """
    positions = np.flatnonzero(matches)
    others = positions[positions != current]
    if not len(others):
        return current
    ahead = others[others > current] if direction > 0 else others[others < current][::-1]
    return int(ahead[0] if len(ahead) else others[0 if direction > 0 else -1])


def _show_table(table: pd.DataFrame, shown: str) -> None:
    """Show the candidates that the filter shows."""
    if table.empty:
        st.info(f"No candidate is {shown}.", icon=":material/info:")
        return

    def select_candidate(cells: list[tuple[int, str]]) -> None:
        st.session_state["candidate"] = table["option"].iloc[cells[0][0]]

    st.dataframe(
        table,
        hide_index=True,
        column_order=list(COLUMNS),
        column_config=COLUMNS,
        key="candidates",
        on_select=on_selection("candidates", "cells", select_candidate),
        selection_mode="single-cell",
        alt="Candidates for missing labels with their evidence and decisions, most probable first",
    )
    st.caption("Click a row to open its candidate.")


def _show_file(page: PageContext, table: pd.DataFrame, decisions: pd.DataFrame) -> None:
    """Show where the decisions are stored, and offer them as a file."""
    file = label_issues.decision_file(page.data)
    st.caption(f"Decisions are stored in {plain(str(file))}; the data are not changed.")
    if not len(decisions):
        return
    others = len(decisions) - int((table["decision"] != "").sum())
    note = f" ({others:,} {'is' if others == 1 else 'are'} not in this list)" if others else ""
    count = f"{'all ' if len(decisions) > 1 else ''}{pluralize(len(decisions), 'decision')}"
    download_csv(decisions, "label-decisions", f"Download {count} for this data set as CSV{note}")
