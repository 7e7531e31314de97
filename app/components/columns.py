"""Column configurations and help texts that several pages share."""

from typing import Any

import streamlit as st

GAP_HELP = (
    "GAP@20, global average precision: the top 20 labels of all videos are sorted by probability in one list, and the "
    "average precision of that list is computed. 1 where all true labels rank before all wrong ones, 0 where no true "
    "label is in the list."
)
AP_HELP = (
    "Average precision of a label: all videos are sorted by their probability of the label. 1 where all videos with "
    "the label rank first; random probabilities give the share of videos with the label."
)
GAP_COLUMNS = {
    "gap": st.column_config.NumberColumn("GAP", format="%.3f", help=GAP_HELP),
    "gap_low": st.column_config.NumberColumn("CI low", format="%.3f", help="Lower bound of the 95% CI of GAP."),
    "gap_high": st.column_config.NumberColumn("CI high", format="%.3f", help="Upper bound of the 95% CI of GAP."),
    "paper_gap": st.column_config.NumberColumn(
        "Paper's GAP",
        format="%.3f",
        help="Measured on the 2017 Kaggle test set, which is no longer available: compare the order of rows, not the "
        "values.",
    ),
}
LABEL_COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", help="1 is the most frequent label.", format="localized"),
    "name": st.column_config.TextColumn("Label", width="medium", pinned=True),
    "vertical": st.column_config.TextColumn("Topic", help="The first topic of the label in the vocabulary."),
    "count": st.column_config.NumberColumn("Videos", help="Number of videos with this label.", format="localized"),
    "cumulative_share": st.column_config.ProgressColumn(
        "Cumulative share", help="Share of all label assignments held by this label and the more frequent ones."
    ),
    "band": st.column_config.TextColumn(
        "Band",
        help="Head: the fewest labels that hold 50% of all label assignments. Head and mid: the fewest that hold 90%. "
        "Tail: all others.",
    ),
    "label": st.column_config.NumberColumn("Number", help="Number of the label in the data files.", format="%d"),
    "positives": st.column_config.NumberColumn(
        "Scored videos", help="Number of scored videos with the label, on which AP is measured.", format="%d"
    ),
    "ap": st.column_config.NumberColumn("AP", help=AP_HELP, format="%.3f"),
    "ap_b": st.column_config.NumberColumn("AP of second run", help=AP_HELP, format="%.3f"),
    "gain": st.column_config.NumberColumn(
        "Difference", help="AP of the second run minus AP of the first.", format="%+.3f"
    ),
    "alone": st.column_config.NumberColumn(
        "γ alone", help="Noise strength of a video with this label only.", format="%.2g"
    ),
    "together": st.column_config.NumberColumn(
        "γ of its videos", help="Median over the videos with the label; their other labels count too.", format="%.2g"
    ),
    "alone_length": st.column_config.NumberColumn(
        "Noise alone", help="γ√D: norm of the noise; a frame has norm 1.", format="%.3g"
    ),
    "together_length": st.column_config.NumberColumn(
        "Noise of its videos", help="γ√D at the median γ of its videos.", format="%.3g"
    ),
}


def probability_column(title: str) -> Any:
    """A number with four digits."""
    return st.column_config.NumberColumn(title, format="%.4f")


def true_column(width: int = 60) -> Any:
    """Whether a label is a true one."""
    return st.column_config.CheckboxColumn("True", width=width)
