"""Label page: average precision, threshold and calibration of the run for one label."""

import html

import numpy as np
import pandas as pd
import streamlit as st

from cache import comparisons, label_quality, scores
from components.charts import figure_code, provenance_text, show_chart
from components.columns import AP_HELP
from components.label_card import compare_with_similar, label_row
from components.page_links import label_option, page_link
from components.text import plain
from context import PageContext
from yt8m_core import figures
from yt8m_core.analysis.run_differences import MIN_POSITIVES
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.metrics.f1 import MIN_POSITIVES as CHOOSING_POSITIVES

DEFAULT = 0.5  # threshold where none can be chosen
HEIGHT = 330  # pixels
ECE_HELP = (
    "Expected calibration error: the mean difference between the probability and the share of true labels, over bins "
    "of similar probability. “If calibrated” is its value by chance alone."
)


def show_measures(page: PageContext, label: int) -> float:
    """Show the measures as numbers and a chart. Returns the threshold that is chosen for the label."""
    chosen, error = _choose_threshold(page, label)
    threshold = DEFAULT if chosen is None else float(chosen["threshold"])
    numbers, chart = st.columns([2, 3], gap="large")
    with numbers:
        _show_precision(page, label)
        if chosen is None:
            st.caption(f"No threshold can be chosen here. {plain(error)}")
        else:
            _show_threshold(chosen)
        _show_calibration(page, label)
    origin = "where none can be chosen" if chosen is None else "chosen on one half of them"
    with chart:
        curve = scores.threshold_counts(page).curve(label)
        title = html.escape(page.labels.vocabulary.name(label))
        show_chart(
            figures.threshold_curve(curve, threshold, title=title, scale=page.scale),
            height=HEIGHT,
            key="curve of label",
            provenance=provenance_text(page),
            data=curve,
            code=figure_code(
                page, "threshold_curve", f"view.threshold_counts.curve({label})", repr(threshold), title=title
            ),
            alt="Precision, recall and F1 of the label on all scored videos against the threshold; the vertical line "
            f"is the threshold {threshold:.3f}, {origin}",
        )
    return threshold


def _choose_threshold(page: PageContext, label: int) -> tuple[pd.Series | None, str]:
    """Return the row of the label in the table of thresholds, or why there is none."""
    try:
        return label_quality.thresholds(page, 0).iloc[label], ""
    except UserError as error:
        return None, str(error)


def _show_precision(page: PageContext, label: int) -> None:
    measured = label_row(page, label)
    if pd.isna(measured["ap"]):
        st.caption("No scored video has this label, so its average precision is undefined.")
        return
    estimate = comparisons.label_difference(page, page, label).first
    interval = f"95% CI [{estimate.low:.3f}, {estimate.high:.3f}]"
    if measured["positives"] < MIN_POSITIVES:
        interval = f"no interval below {MIN_POSITIVES} videos"
    st.metric(
        f"Average precision of {plain(page.run.name)}",
        f"{measured['ap']:.3f}",
        interval,
        delta_color="off",
        delta_arrow="off",
        help=AP_HELP,
    )
    st.caption(
        f"Measured on {pluralize(int(measured['positives']), 'video')} with the label. "
        f"{compare_with_similar(page, measured)}"
    )


def _show_threshold(row: pd.Series) -> None:
    f1 = "undefined" if pd.isna(row["f1"]) else f"{row['f1']:.3f} [{row['low']:.3f}, {row['high']:.3f}] (95% CI)"
    ratios = ", ".join(
        f"{name} {'undefined' if pd.isna(row[name]) else format(row[name], '.3f')}" for name in ("precision", "recall")
    )
    st.markdown(
        f"Threshold **{row['threshold']:.3f}**, chosen on one half of the videos; on the other half F1 {f1}, {ratios}.",
        help=f"It has the best F1 in its half. The other half has {pluralize(int(row['positives']), 'video')} with the "
        f"label. Labels with fewer than {CHOOSING_POSITIVES} videos to choose on share one threshold.",
    )


def _show_calibration(page: PageContext, label: int) -> None:
    """Compare the mean probability with the frequency."""
    result = label_quality.reliability(page, np.array([label], np.int64).tobytes())
    bins, error = result.bins, result.error
    mean, share = (np.average(bins[column], weights=bins["pairs"]) for column in ("confidence", "frequency"))
    st.markdown(
        f"Mean probability **{mean:.4f}**, share of videos **{share:.4f}**; "
        f"calibration error {error.ece:.4f} [{error.low:.4f}, {error.high:.4f}] (95% CI), if calibrated "
        f"{error.if_calibrated:.4f}.",
        help=ECE_HELP,
    )
    option = label_option(label, page.labels.vocabulary)
    page_link("views/calibration/page.py", "Open in Calibration", ":material/target:", label=option, scope="label")
