"""Label pairs: what the sections of the correlation page share, the selected pair, and tables of pairs."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cache import loaders
from components.selectors import download_csv, fragment
from components.text import plain, signed
from context import PageContext
from yt8m_core.analysis.data_labels import Labels, name_pairs
from yt8m_core.figures.style import pluralize
from yt8m_core.labels import clustering, cooccurrence
from yt8m_core.labels.cooccurrence import most_asymmetric_pairs
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.analysis.learned_correlation import CorrelationMatrices

MAX_ROWS = 200  # of a table of pairs
MODEL_MATRIX = "model's M_c"


@dataclass(frozen=True)
class ModelMatrix:
    """A matrix of the run, shown in place of a measure."""

    run: Run
    matrices: "CorrelationMatrices"
    kind: str


@dataclass(frozen=True)
class Selection:
    """What the controls of the page select."""

    page: PageContext
    labels: Labels
    pairs: csr_array  # videos of each pair, [C, C]
    measure: str
    support: int  # minimum number of videos of a pair
    label: int | None
    model_matrix: ModelMatrix | None

    @property
    def measure_name(self) -> str:
        """The name of the values in the matrix."""
        return f"M_c, {self.model_matrix.kind}" if self.model_matrix else self.measure

    @property
    def measure_key(self) -> str:
        """The measure in code: the kind of the run's matrix, or a measure of ``cooccurrence``."""
        return self.model_matrix.kind if self.model_matrix else self.measure

    def name(self, label: int) -> str:
        """Return the name of a label."""
        return self.labels.vocabulary.name(label)

    def window(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the matrix of some labels [n, n], NaN for pairs below the minimum support."""
        values = (
            self.model_matrix.matrices.entries(self.model_matrix.kind, *np.ix_(labels, labels))
            if self.model_matrix
            else cooccurrence.measure(self.pairs, self.labels.num_videos, self.measure, labels)
        )
        return clustering.mask_unsupported(values, self.pairs, labels, self.support)

    def of_label(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the pairs of a table that have the selected label, or all without one."""
        if self.label is None:
            return table
        return table[(table["label_a"] == self.label) | (table["label_b"] == self.label)]

    def partners(self, table: pd.DataFrame) -> pd.DataFrame:
        """Name the other label of each pair of the selected label, and the shares seen from that label."""
        if self.label is None:
            raise ValueError("no label is selected")
        is_first = table["label_a"] == self.label
        partner = table["label_b"].where(is_first, table["label_a"])
        table = table.assign(partner=[self.name(label) for label in partner.tolist()], partner_label=partner)
        if "p_b_given_a" not in table:
            return table
        given_a, given_b = table["p_b_given_a"], table["p_a_given_b"]
        return table.assign(share=given_a.where(is_first, given_b), share_of_partner=given_b.where(is_first, given_a))

    def with_names(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the names of the labels to a table of pairs."""
        return name_pairs(table, self.labels.vocabulary)


def show_pair(selection: Selection, first: int, second: int) -> None:
    """Describe how two labels occur together."""
    a, b = (f"**{plain(selection.name(label))}**" for label in (first, second))
    N = selection.labels.num_videos
    value = {name: cooccurrence.measure(selection.pairs, N, name, [first, second]) for name in cooccurrence.MEASURES}
    count = value["count"].astype(int)
    if first == second or not count.diagonal().all():
        for name, number in dict(zip((a, b), count.diagonal(), strict=True)).items():
            st.markdown(f"{name} is in {number:,} of {pluralize(N, 'video')}.")
        return
    st.markdown(
        f"{count[0, 1]:,} of {pluralize(N, 'video')} with both.\n"
        f"- Of {pluralize(count[0, 0], 'video')} with {a}, {value['conditional'][0, 1]:.0%} have {b} too.\n"
        f"- Of {pluralize(count[1, 1], 'video')} with {b}, {value['conditional'][1, 0]:.0%} have {a} too.\n"
        f"- Lift {value['lift'][0, 1]:.2f}: together {value['lift'][0, 1]:.2f} times as often as independent labels.\n"
        f"- φ {value['phi'][0, 1]:.2f}, Jaccard {value['jaccard'][0, 1]:.2f}."
    )
    if own := selection.model_matrix:
        b_to_a, a_to_b = own.matrices.entries(own.kind, [first, second], [second, first]).tolist()
        st.markdown(
            f"- Model matrix ({own.kind}): {signed(b_to_a, 4)} of the score of {b} is added to {a}, and "
            f"{signed(a_to_b, 4)} of the score of {a} to {b}."
        )


COLUMNS: dict[str, Any] = {
    "partner": st.column_config.TextColumn("Partner", help="The other label of the pair.", pinned=True),
    "a": st.column_config.TextColumn("Label A", help="The rarer label.", pinned=True),
    "b": st.column_config.TextColumn("Label B"),
    "count": st.column_config.NumberColumn("Videos", help=cooccurrence.MEASURES["count"], format="localized"),
    "share": st.column_config.ProgressColumn(
        "P(partner | label)", help="Share of the videos with the selected label that have the partner too."
    ),
    "share_of_partner": st.column_config.ProgressColumn(
        "P(label | partner)", help="Share of the partner's videos that have the selected label too."
    ),
    "p_b_given_a": st.column_config.ProgressColumn("P(B | A)", help="Share of A's videos that have B too."),
    "p_a_given_b": st.column_config.ProgressColumn("P(A | B)", help="Share of B's videos that have A too."),
    "lift": st.column_config.NumberColumn("Lift", help=cooccurrence.MEASURES["lift"], format="%.2f"),
    "phi": st.column_config.NumberColumn("φ", help=cooccurrence.MEASURES["phi"], format="%.2f"),
    "jaccard": st.column_config.NumberColumn("Jaccard", help=cooccurrence.MEASURES["jaccard"], format="%.2f"),
    "b_to_a": st.column_config.NumberColumn("M[A, B]", help="Weight of B's score in the score of A.", format="%.4f"),
    "a_to_b": st.column_config.NumberColumn("M[B, A]", help="Weight of A's score in the score of B.", format="%.4f"),
    "observed": st.column_config.NumberColumn("Observed", help="Videos with both labels.", format="localized"),
    "expected": st.column_config.NumberColumn(
        "Expected", help="Sum over videos of the product of both probabilities.", format="%.1f"
    ),
    "surprise": st.column_config.NumberColumn(
        "Deviation",
        help="Observed minus expected, in approximate standard deviations; beyond ±3 is more than chance.",
        format="%+.1f",
    ),
}
OF_TWO_LABELS = ("a", "b", "p_b_given_a", "p_a_given_b")  # columns that a partner column replaces


def show_pair_table(selection: Selection, table: pd.DataFrame, key: str, alt: str) -> None:
    """Show the first pairs of a table, describe the selected one, and offer all as a file."""
    columns = list(COLUMNS)
    named = selection.with_names(table[:MAX_ROWS])
    if selection.label is not None:
        named = selection.partners(named)
        columns = [column for column in columns if column not in OF_TWO_LABELS]
    event: Any = st.dataframe(
        named,
        hide_index=True,
        column_order=[column for column in columns if column in named],
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        height=320,
        alt=alt,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(named):
        show_pair(selection, int(named["label_a"].iloc[rows[0]]), int(named["label_b"].iloc[rows[0]]))
    else:
        st.caption("Click a row to describe the pair.")
    download_csv(selection.with_names(table), key, f"Download {pluralize(len(table), 'pair')} as CSV")


@fragment
def show_pairs(selection: Selection) -> None:
    """Show the strongest and the most one-sided pairs, or the partners of the selected label."""
    own = selection.model_matrix
    is_ranked_by_phi = own is not None or selection.label is not None  # a rare pair has large values by chance
    pairs = selection.of_label(
        loaders.strongest_pairs(
            selection.page.data, "phi" if is_ranked_by_phi else selection.measure, selection.support
        )
    )
    pairs = pairs[pairs["phi"] > 0]
    suffix = f" with {plain(selection.name(selection.label))}" if selection.label is not None else ""
    if pairs.empty:
        st.info(f"No correlated pair{suffix} has the minimum support. Lower it above.", icon=":material/info:")
        return
    st.subheader(f"Strongest pairs{suffix}", anchor=False)
    if own:
        strongest = own.matrices.rank_pairs(own.kind, pairs)
        st.caption(f"Sorted by the larger absolute value of M[A, B] and M[B, A] ({own.kind}).")
    else:
        strongest = pairs
        name = "P(B | A)" if selection.measure == "conditional" else cooccurrence.MEASURES[selection.measure]
        rank = "φ" if is_ranked_by_phi else f"{plain(name)}. A is the rarer label"
        st.caption(f"Pairs that occur together more often than by chance, sorted by {rank}.")
    show_pair_table(
        selection, strongest, "strongest_pairs", f"Pairs of labels by {selection.measure_name}, strongest first"
    )
    one_sided = most_asymmetric_pairs(pairs)
    if one_sided.empty:
        return
    st.subheader(f"Most one-sided pairs{suffix}", anchor=False)
    st.caption(
        "A implies B: P(B | A) is near 1, and few videos with B have A. Often B is the broader term, as vehicle is of "
        "car. Sorted by P(B | A) − P(A | B)."
    )
    show_pair_table(replace(selection, label=None), one_sided, "one_sided_pairs", "Pairs of labels where A implies B")
