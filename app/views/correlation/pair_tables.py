"""What the parts of the correlation page share: what is looked at, a pair in words, and tables of pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cache import loaders as state
from components.selectors import download_csv, fragment, plain
from yt8m_core.labels import clustering, statistics
from yt8m_core.labels.statistics import most_one_sided
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.analysis.learned_correlation import OwnMatrices

PAIRS = 200  # rows of a table at most
OWN = "model's M_c"


@dataclass(frozen=True)
class Own:
    """A run's own matrix in place of a measure."""

    run: Run
    matrices: "OwnMatrices"
    kind: str


@dataclass(frozen=True)
class Look:
    """What is looked at."""

    data: state.DataSet
    labels: state.Labels
    pairs: csr_array
    measure: str
    support: int
    label: int | None
    scale: str
    own: Own | None

    @property
    def shown(self) -> str:
        """What the cells of a matrix are called."""
        return f"M_c, {self.own.kind}" if self.own else self.measure

    def name(self, label: int) -> str:
        """What a label is called."""
        return self.labels.vocabulary.name(label)

    def window(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """The matrix of chosen labels; NaN for pairs with too little support."""
        values = (
            self.own.matrices.at(self.own.kind, *np.ix_(chosen, chosen))
            if self.own
            else statistics.measure(self.pairs, self.labels.num_videos, self.measure, chosen)
        )
        return clustering.supported_window(values, self.pairs, chosen, self.support)

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of pairs with the labels' names."""
        sides = pd.DataFrame(
            {side: [self.name(label) for label in table[f"label_{side}"].tolist()] for side in "ab"}, table.index
        )
        return pd.concat([sides, table], axis=1)


def in_words(look: Look, first: int, second: int) -> None:
    """Say how two labels go together."""
    one, other = (f"**{plain(look.name(label))}**" for label in (first, second))
    N = look.labels.num_videos
    value = {name: statistics.measure(look.pairs, N, name, [first, second]) for name in statistics.MEASURES}
    count = value["count"].astype(int)
    if first == second or not count.diagonal().all():
        for name, number in dict(zip((one, other), count.diagonal(), strict=True)).items():
            st.markdown(f"{name} is in {number:,} of {N:,} videos.")
        return
    st.markdown(
        f"{count[0, 1]:,} of {N:,} videos have both.\n"
        f"- Of the {count[0, 0]:,} videos with {one}, {value['conditional'][0, 1]:.0%} have {other} too.\n"
        f"- Of the {count[1, 1]:,} videos with {other}, {value['conditional'][1, 0]:.0%} have {one} too.\n"
        f"- They are together {value['lift'][0, 1]:.2f} times as often as if each came by itself (lift).\n"
        f"- φ {value['phi'][0, 1]:.2f}, Jaccard {value['jaccard'][0, 1]:.2f}."
    )
    if look.own:
        taken, back = look.own.matrices.at(look.own.kind, [first, second], [second, first]).tolist()
        st.markdown(
            f"- In the model's matrix ({look.own.kind}), {one} takes {taken:+.4f} of the score of {other}, and "
            f"{other} takes {back:+.4f} of the score of {one}."
        )


COLUMNS: dict[str, Any] = {
    "a": st.column_config.TextColumn("Label A", help="The rarer of the two.", pinned=True),
    "b": st.column_config.TextColumn("Label B"),
    "count": st.column_config.NumberColumn("Videos", help=statistics.MEASURES["count"], format="localized"),
    "p_b_given_a": st.column_config.ProgressColumn("P(B | A)", help="Share of A's videos that have B too."),
    "p_a_given_b": st.column_config.ProgressColumn("P(A | B)", help="Share of B's videos that have A too."),
    "lift": st.column_config.NumberColumn("Lift", help=statistics.MEASURES["lift"], format="%.2f"),
    "phi": st.column_config.NumberColumn("φ", help=statistics.MEASURES["phi"], format="%.2f"),
    "jaccard": st.column_config.NumberColumn("Jaccard", help=statistics.MEASURES["jaccard"], format="%.2f"),
    "b_to_a": st.column_config.NumberColumn("M: A takes of B", help="Row A, column B of the matrix.", format="%.4f"),
    "a_to_b": st.column_config.NumberColumn("M: B takes of A", help="Row B, column A of the matrix.", format="%.4f"),
    "observed": st.column_config.NumberColumn("Videos", help="Those that have both.", format="localized"),
    "expected": st.column_config.NumberColumn("Expected", help="By the run's scores, as told above.", format="%.1f"),
    "surprise": st.column_config.NumberColumn(
        "Surprise",
        help="How far videos and expectation are apart, about in standard deviations: beyond ±3 is more than chance.",
        format="%+.1f",
    ),
}


def pairs_table(look: Look, table: pd.DataFrame, key: str, alt: str) -> None:
    """Show the first of some pairs, tell the one whose row is chosen in words, and offer all of them."""
    named = look.named(table[:PAIRS])
    event: Any = st.dataframe(
        named,
        hide_index=True,
        column_order=[column for column in COLUMNS if column in named],
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        height=320,
        alt=alt,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(named):
        in_words(look, int(named["label_a"].iloc[rows[0]]), int(named["label_b"].iloc[rows[0]]))
    else:
        st.caption("Choose a row to read the pair in words.")
    download_csv(look.named(table), key, f"Download all {len(table):,} pairs as CSV")


@fragment
def show_pairs(look: Look) -> None:
    """The strongest pairs, and the most one-sided ones."""
    every = state.strongest_pairs(look.data, "count" if look.own else look.measure, look.support)
    if look.label is not None:
        every = every[(every["label_a"] == look.label) | (every["label_b"] == look.label)]
    whose = f" with {plain(look.name(look.label))}" if look.label is not None else ""
    if every.empty:
        st.info(f"No pair of labels{whose} is in so many videos. Lower the minimum above.", icon=":material/info:")
        return
    st.subheader(f"The strongest pairs{whose}", anchor=False)
    if look.own:
        strongest = look.own.matrices.rank(look.own.kind, every)
        st.caption(f"By the model's matrix ({look.own.kind}), the larger of both ways first, whatever its sign.")
    else:
        strongest = every
        by = "P(B | A)" if look.measure == "conditional" else statistics.MEASURES[look.measure]
        st.caption(f"By {plain(by)}. A is the rarer label of the two.")
    pairs_table(look, strongest, "strongest_pairs", f"Pairs of labels by {look.shown}, strongest first")
    st.subheader(f"The most one-sided pairs{whose}", anchor=False)
    st.caption(
        "A implies B: nearly all videos with A have B too, P(B | A) near 1, and few of those with B have A. Often B is "
        "the broader term, as a vehicle is of a car. Sorted by P(B | A) − P(A | B)."
    )
    pairs_table(look, most_one_sided(every), "one_sided_pairs", "Pairs of labels in which A implies B")
