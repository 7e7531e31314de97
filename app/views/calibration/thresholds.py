"""Calibration page: a threshold per label, with precision, recall and F1 on other videos."""

import html
import shlex

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import label_quality, scores
from components.charts import figure_code, provenance_text, show_chart
from components.columns import LABEL_COLUMNS
from components.link import linked
from components.page_links import LABEL_PAGE, label_option, show_links
from components.selectors import download_csv
from components.text import plain
from context import PageContext
from views.calibration.reliability import Scope
from yt8m_core import figures
from yt8m_core.analysis.thresholds import ThresholdMetrics
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.metrics.f1 import MIN_POSITIVES
from yt8m_core.runs.calibration_file import CALIBRATION

BEST_F1, TARGET, STORED = "best F1", "target precision", CALIBRATION
HEIGHT = 360  # pixels
COLUMNS = {
    "name": LABEL_COLUMNS["name"],
    "threshold": st.column_config.NumberColumn("Threshold", format="%.3f"),
    "f1": st.column_config.NumberColumn("F1", format="%.3f", help="Harmonic mean of precision and recall."),
    "low": st.column_config.NumberColumn("CI low", format="%.3f", help="Lower bound of the 95% CI of F1."),
    "high": st.column_config.NumberColumn("CI high", format="%.3f", help="Upper bound of the 95% CI of F1."),
    "precision": st.column_config.NumberColumn("Precision", format="%.3f"),
    "recall": st.column_config.NumberColumn("Recall", format="%.3f"),
    "positives": st.column_config.NumberColumn(
        "Support", help="Number of measured videos with the label.", format="localized"
    ),
    "predicted": st.column_config.NumberColumn(
        "Predicted", help="Number of measured videos at or above the threshold.", format="localized"
    ),
}


def show_thresholds(page: PageContext, scope: Scope, controls: DeltaGenerator) -> None:
    """Show the thresholds of some labels as a table, and the curve of all of them or of one."""
    with controls:
        target = _select_rule()
    try:
        table = label_quality.stored_thresholds(page) if target is None else label_quality.thresholds(page, target)
    except UserError as error:
        st.info(f"No threshold per label: {plain(str(error))}", icon=":material/info:")
        _show_command(page)
        return
    names = page.labels.table[["label", "name"]]
    chosen = table[table["label"].isin(scope.labels)].merge(names, on="label")
    numbers, chart = st.columns([2, 5], gap="large")
    with numbers:
        _show_summary(page, chosen, target)
    with chart:
        _show_curve(page, scope, chosen)
    shown = chosen[chosen["positives"] > 0].sort_values("positives", ascending=False, kind="stable")
    if hidden := len(chosen) - len(shown):
        st.caption(f"Not listed: {pluralize(hidden, 'label')} without a measured video.")
    show_links(
        shown,
        LABEL_PAGE,
        lambda row: {"label": label_option(row.label, page.labels.vocabulary)},
        columns=COLUMNS,
        key="thresholds",
        alt="Threshold of each label with F1, precision and recall, most frequent labels first",
    )
    download_csv(chosen, f"thresholds-{page.run.name}")
    _show_command(page)


def _select_rule() -> float | None:
    """Select how thresholds are chosen. Returns the target precision, 0 for the best F1, None for stored ones."""
    rule = linked(
        st.segmented_control,
        "Thresholds",
        [BEST_F1, TARGET, STORED],
        key="rule",
        default=BEST_F1,
        required=True,
        help=f"- {BEST_F1}: highest F1 of each label\n- {TARGET}: highest recall at this precision\n"
        f"- {STORED}: stored in the run by `yt8m calibrate`",
    )
    if rule == TARGET:
        precision: float = linked(
            st.number_input, "Precision", 0.01, 1.0, 0.9, 0.05, key="precision", width=140, format="%.2f"
        )
        return precision
    return None if rule == STORED else 0


def _show_summary(page: PageContext, table: pd.DataFrame, target: float | None) -> None:
    """Show micro averages over the labels, and on which videos thresholds are chosen and measured."""
    predicted, positives = int(table["predicted"].sum()), int(table["positives"].sum())
    hits = int((table["precision"].fillna(0) * table["predicted"]).round().sum())
    metrics = ThresholdMetrics(float("nan"), predicted, hits, positives)
    for title, value in (("F1", metrics.f1), ("Precision", metrics.precision), ("Recall", metrics.recall)):
        st.metric(f"{title}, micro average", "–" if value != value else f"{value:.3f}")
    choosing = label_quality.choosing_half(page)
    first, second = int(choosing.sum()), int((~choosing).sum())
    if target is None:
        calibration = page.run.calibration
        measured = second if calibration.data == page.data.path else len(choosing)
        st.caption(f"{plain(calibration.description)}; measured here on {pluralize(measured, 'video')}.")
        return
    st.caption(
        f"Chosen on {pluralize(first, 'video')}, measured on the other {second:,}. Labels with fewer than "
        f"{MIN_POSITIVES} videos to choose on share one threshold."
    )


def _show_curve(page: PageContext, scope: Scope, table: pd.DataFrame) -> None:
    """Show precision, recall and F1 against the threshold: of the label, or the micro average of all labels."""
    title = "All labels" if scope.label is None else html.escape(scope.name)
    # Of several labels, most share one threshold.
    threshold = float(table["threshold"].mode().iloc[0])
    curve = scores.threshold_counts(page).curve(scope.label)
    of_label = "" if scope.label is None else str(scope.label)
    show_chart(
        figures.threshold_curve(curve, threshold, title=title, scale=page.scale),
        height=HEIGHT,
        key="threshold curve",
        provenance=provenance_text(page),
        data=curve,
        code=figure_code(
            page, "threshold_curve", f"view.threshold_counts.curve({of_label})", repr(threshold), title=title
        ),
        alt="Precision, recall and F1 on all scored videos against the threshold; the vertical line is "
        + ("the most frequent threshold" if scope.label is None else "the threshold of the label"),
    )


def _show_command(page: PageContext) -> None:
    with st.expander(f"Store thresholds as {CALIBRATION}", icon=":material/terminal:"):
        st.caption("Temperatures and thresholds for `yt8m predict --threshold calibrated`:")
        command = f"yt8m calibrate {shlex.quote(str(page.run.path))} {shlex.quote(page.data.path)}"
        st.code(command, language="bash", wrap_lines=True)
