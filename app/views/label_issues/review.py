"""Label issues page: review of one candidate at a time, with buttons and keys that store a decision and go on."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import label_issues
from components.columns import probability_column
from components.link import linked
from components.selectors import download_csv
from components.text import plain, show_error
from context import PageContext
from views.label_issues.evidence import show_evidence
from yt8m_core.analysis.label_decisions import add_decisions, decide, remove_decision
from yt8m_core.errors import UserError

UNDECIDED, ANY = "undecided", "all"
BUTTONS = {  # decision: title, icon, key (Streamlit reserves R), what it means
    "accept": ("Accept", ":material/check:", "A", "The label is missing."),
    "reject": ("Reject", ":material/close:", "X", "The video does not have the label."),
    "unsure": ("Unsure", ":material/help:", "U", "The evidence does not suffice."),
}
FILTERS = (UNDECIDED, *BUTTONS, ANY)
COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", format="localized", width=60),
    "decision": st.column_config.TextColumn("Decision", width=90),
    "id": st.column_config.TextColumn("Video", width=90),
    "name": st.column_config.TextColumn("Label"),
    "score": st.column_config.NumberColumn(
        "Score", format="%.3f", help="Estimated probability that the data set lists the label."
    ),
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
    is_decided = (table["decision"] != "").to_numpy()
    options = table["option"].tolist()
    first = options[int(np.argmin(is_decided))]  # undecided, if any is
    with st.container(horizontal=True, vertical_alignment="bottom"):
        option = linked(
            st.selectbox, "Candidate", options, None, first=first, key="candidate", placeholder="Type a name", width=380
        )
        shown = linked(
            st.segmented_control, "Show", FILTERS, key="decided", default=UNDECIDED, required=True, wrap=True
        )
    matches = _matches(table, shown)
    st.progress(
        float(is_decided.mean()), f"{is_decided.sum():,} of {len(table):,} decided; {matches.sum():,} shown: {shown}"
    )
    if option is None:
        st.info("Choose a candidate.", icon=":material/info:")
    else:
        current = options.index(option)
        _show_buttons(page, table, matches, current)
        show_evidence(page, table.iloc[current])
    _show_table(table[matches])
    _show_file(page, decisions)


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
    matches: NDArray[np.bool_] = (table["decision"] == ("" if shown == UNDECIDED else shown)).to_numpy(bool)
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


def _show_buttons(page: PageContext, table: pd.DataFrame, matches: NDArray[np.bool_], current: int) -> None:
    """Show the buttons. Each stores its decision and goes to the next candidate without one."""
    row = table.iloc[current]
    file = label_issues.decision_file(page.data)
    undecided = (table["decision"] == "").to_numpy(bool)

    def go(position: int) -> None:
        st.session_state["candidate"] = table["option"].iloc[position]

    def store(decision: str) -> None:
        try:
            add_decisions(file, [decide(row["id"], int(row["label"]), row["name"], decision)])
        except UserError as error:
            show_error(error)
            return
        st.session_state["last decision"] = str(file), row["id"], int(row["label"]), row["option"]
        go(step(undecided, current, 1))

    def undo() -> None:
        _, video, label, option = st.session_state["last decision"]
        try:
            remove_decision(file, video, label)
        except UserError as error:
            show_error(error)
            return
        del st.session_state["last decision"]
        st.session_state["candidate"] = option

    last = st.session_state.get("last decision")
    with st.container(horizontal=True):
        for decision, (title, icon, shortcut, meaning) in BUTTONS.items():
            st.button(
                title,
                icon=icon,
                help=meaning,
                on_click=store,
                args=(decision,),
                shortcut=shortcut,
                type="primary" if row["decision"] == decision else "secondary",
            )
        st.button(
            "Undo",
            icon=":material/undo:",
            help="Removes the last decision of this session.",
            on_click=undo,
            shortcut="Z",
            disabled=last is None or last[0] != str(file) or last[3] not in set(table["option"]),
        )
        with st.container(horizontal=True, width="content"):  # stay together on a narrow screen
            back, ahead = step(matches, current, -1), step(matches, current, 1)
            st.button("Previous", icon=":material/chevron_left:", on_click=go, args=(back,), shortcut="P")
            st.button("Next", icon=":material/chevron_right:", on_click=go, args=(ahead,), shortcut="N")


def _show_table(table: pd.DataFrame) -> None:
    def select_candidate() -> None:
        if cells := st.session_state["candidates"]["selection"]["cells"]:
            st.session_state["candidate"] = table["option"].iloc[cells[0][0]]

    st.dataframe(
        table,
        hide_index=True,
        column_order=list(COLUMNS),
        column_config=COLUMNS,
        key="candidates",
        on_select=select_candidate,
        selection_mode="single-cell",
        alt="Candidates for missing labels with their evidence and decisions, most probable first",
    )
    st.caption("Click a row to open its candidate.")


def _show_file(page: PageContext, decisions: pd.DataFrame) -> None:
    """Show where the decisions are stored, and offer them as a file."""
    file = label_issues.decision_file(page.data)
    st.caption(f"Decisions are stored in {plain(str(file))}; the data are not changed.")
    if len(decisions):
        download_csv(decisions, "label-decisions", f"Download {len(decisions):,} decisions as CSV")
