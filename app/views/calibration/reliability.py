"""Calibration page: reliability diagram, calibration error, and the videos in a bin."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cache import label_quality
from components.charts import figure_code, provenance_text, show_chart
from components.columns import probability_column
from components.link import linked
from components.page_links import PREDICTIONS, label_option, show_links
from components.selection import on_selection
from components.selectors import download_csv
from components.text import plain
from context import PageContext
from yt8m_core import figures
from yt8m_core.figures.style import pluralize
from yt8m_core.labels.statistics import BANDS

HEIGHT = 460  # pixels
ECE_HELP = (
    "Expected calibration error (ECE): the mean difference between the probability and the share of true pairs, over "
    "bins of pairs with similar probability. It is small where nearly all probabilities are close to 0, so compare it "
    "with its value if the run were calibrated, which is above 0 by chance."
)


@dataclass(frozen=True)
class Scope:
    """The labels whose calibration is shown.

    Attributes:
        name: A band, all, or the name of the label.
        labels: int64 [L].
        label: The label, if it is one; None for a band or all.
    """

    name: str
    labels: NDArray[np.int64]
    label: int | None = None

    @property
    def code(self) -> str:
        """Python code of the labels."""
        if self.label is not None:
            return f"[{self.label}]"
        band = f'[view.label_counts["band"] == {self.name!r}]' if self.name in BANDS else ""
        return f'sorted(view.label_counts{band}["label"])'


def show_reliability(page: PageContext, scope: Scope, controls: DeltaGenerator) -> None:
    """Show the reliability diagram of some labels, with the calibration error, and the videos in the selected bin."""
    labels = scope.labels.tobytes()
    error, bins = label_quality.reliability(page, labels)
    options = _bin_options(bins)

    def select_bin(points: list[dict[str, Any]]) -> None:
        if points[0].get("customdata") is not None:
            st.session_state["bin"] = options[int(points[0]["customdata"][3])]

    if st.session_state.get("bin") not in (None, *options):
        st.session_state["bin"] = None  # a bin of the labels that were shown before
    with controls:
        selected = linked(
            st.selectbox, "Probability bin", options, index=None, key="bin", placeholder="Click a point", width=220
        )
    numbers, chart = st.columns([2, 5], gap="large")
    with chart:
        show_chart(
            figures.reliability_diagram(bins.assign(band=scope.name), scale=page.scale),
            height=HEIGHT,
            key="reliability",
            provenance=provenance_text(page),
            data=bins,
            code=figure_code(
                page,
                "reliability_diagram",
                f"bins.assign(band={scope.name!r})",
                setup="import numpy as np\n"
                "from yt8m_core.analysis.label_calibration import label_reliability\n"
                f"bins = label_reliability(view.scores, np.array({scope.code})).bins",
            ),
            on_select=on_selection("reliability", "points", select_bin),
            selection_mode="points",
            alt="Share of true pairs against the mean probability of each bin, with 95% CIs, both on log axes",
        )
    with numbers:
        _show_error(scope, error.ece, error.low, error.high, error.if_calibrated)
        _show_totals(bins)
        st.caption("Click a point to list the videos of its bin.")
    if selected is not None:
        _show_bin(page, scope, bins.iloc[options.index(selected)])
    download_csv(bins, f"reliability-{scope.name}")


def _bin_options(bins: pd.DataFrame) -> list[str]:
    upper = [f"below {value:.3g}" if value <= 1 else "1" for value in bins["upper"]]
    ranges = zip(bins["lower"], upper, strict=True)
    return [f"{number}. {low:.3g} to {high}" for number, (low, high) in enumerate(ranges, 1)]


def _show_error(scope: Scope, ece: float, low: float, high: float, if_calibrated: float) -> None:
    subject = "all labels" if scope.name == "all" else f"band {scope.name}"
    if scope.label is not None:
        subject = plain(scope.name)
    st.metric(
        f"Calibration error, {subject}",
        f"{ece:.2g}",
        f"95% CI [{low:.2g}, {high:.2g}]",
        delta_color="off",
        delta_arrow="off",
        help=ECE_HELP,
    )
    st.caption(f"{if_calibrated:.2g} if the run were calibrated, by chance. {pluralize(len(scope.labels), 'label')}.")


def _show_totals(bins: pd.DataFrame) -> None:
    """Compare the number of true pairs that the run expects with the number that there is."""
    expected, true = (float((bins["pairs"] * bins[column]).sum()) for column in ("confidence", "frequency"))
    st.markdown(
        f"The run expects **{expected:,.0f}** true pairs of a video and a label, and there are **{true:,.0f}**, of "
        f"{pluralize(int(bins['pairs'].sum()), 'pair')}."
    )


def _show_bin(page: PageContext, scope: Scope, row: pd.Series) -> None:
    """List the pairs in a bin with the largest errors: those that are true, and those that are not."""
    vocabulary = page.run.vocabulary
    table = label_quality.pairs_in_bin(page, scope.labels.tobytes(), float(row["lower"]), float(row["upper"]))
    table = table.assign(name=[vocabulary.name(label) for label in table["label"].tolist()])
    st.markdown(
        f"**{pluralize(int(row['pairs']), 'pair')}** in this bin: mean probability {row['confidence']:.4f}, true "
        f"**{row['frequency']:.4f}** [{row['low']:.4f}, {row['high']:.4f}] (95% CI). The {len(table):,} with the "
        "largest errors are listed; click a row to open its video."
    )
    columns = {
        "id": st.column_config.TextColumn("Video", pinned=True),
        "name": st.column_config.TextColumn("Label"),
        "probability": probability_column("Probability"),
    }
    sides = (("The video has the label", table[table["true"]]), ("It does not have it", table[~table["true"]]))
    for column, (title, rows) in zip(st.columns(2, gap="large"), sides, strict=True):
        with column:
            st.markdown(f"**{title}**: {pluralize(len(rows), 'pair')}")
            show_links(
                rows,
                PREDICTIONS,
                lambda pair: {"video": pair.id, "label": label_option(pair.label, vocabulary)},
                columns=columns,
                key=f"pairs {title}",
                alt=f"{title}: videos and labels in the bin, largest error first",
            )
