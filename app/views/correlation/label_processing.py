"""Label processing (section 2.4 of the paper): calibration of label pairs, and GAP with other weights α, β and γ."""

import html
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders, scores
from components.charts import figure_code, provenance_text, show_chart
from components.columns import GAP_HELP
from components.link import accept_old_values, linked
from components.selectors import download_csv, fragment, require_scores
from components.text import metric_change, plain, show_error
from context import PageContext
from views.correlation.matrix import window_labels
from views.correlation.pair_tables import Selection, show_pair, show_pair_table
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run

MAX_PAIRS = 2000  # strongest pairs compared with a run
STRONGEST, WINDOW = "strongest", "window"
OLD_SOURCES = {"those+of+a+window": WINDOW, "the+strongest": STRONGEST}
WEIGHTS = {"alpha": ("α", 1.5), "beta": ("β", 0.5), "gamma": ("γ", 0.5)}  # key → symbol, maximum
UNCHANGED = (1.0, 0.0, 0.0)  # initial weights, the same for every run so that links keep their meaning
BETAS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3)  # of the curve: those of Table 3, and some between

EXPECTED = (
    "**Expected** is the sum over videos of P(A) · P(B), the number of videos with both labels if the probabilities "
    "were right and the labels independent given the video. A pair below the dashed line occurs together more often "
    "than the run expects, a pair above it less often."
)


@fragment
def show_calibration(selection: Selection) -> None:
    """Show observed against expected counts of label pairs."""
    try:
        require_scores(selection.page)
        _show_calibration(selection)
    except UserError as error:
        show_error(error)


class ComparedPairs(NamedTuple):
    """Pairs of labels that are compared with the run, and the selection whose label they have."""

    selection: Selection
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    code: str  # that selects ``first`` and ``second`` in a notebook


def _select_pairs(selection: Selection) -> ComparedPairs:
    """Select the strongest pairs, or those of a window."""
    accept_old_values("pairs_of", OLD_SOURCES)
    source = linked(
        st.segmented_control,
        "Pairs",
        [STRONGEST, WINDOW],
        key="pairs_of",
        default=STRONGEST,
        required=True,
        help=f"Strongest: up to {MAX_PAIRS:,} by φ, with the minimum support and the label selected above. Window: all "
        "pairs of its labels.",
    )
    if source == WINDOW:
        labels = window_labels(selection)
        first, second = (labels[index] for index in np.triu_indices(len(labels), 1))
        code = f"from itertools import combinations\nfirst, second = zip(*combinations({labels.tolist()}, 2))"
        # The pairs of a window need not have the selected label.
        return ComparedPairs(replace(selection, label=None), first, second, code)
    table = selection.of_label(loaders.strongest_pairs(selection.page.data, "phi", selection.support))
    first, second = (table[f"label_{side}"].to_numpy(np.int64)[:MAX_PAIRS] for side in "ab")
    label = "" if selection.label is None else f", {selection.label}"
    code = (
        f'pairs = view.strongest_pairs("phi", {selection.support}{label})[:{MAX_PAIRS}]\n'
        'first, second = pairs["label_a"], pairs["label_b"]'
    )
    return ComparedPairs(selection, first, second, code)


def _show_calibration(selection: Selection) -> None:
    left, right = st.columns([5, 3], gap="large")
    with right:
        pairs = _select_pairs(selection)
    if len(pairs.first) == 0:
        st.info("No pair to compare. Lower the minimum support, or select other labels.", icon=":material/info:")
        return
    table = scores.pair_calibration(selection.page, pairs.first.tobytes(), pairs.second.tobytes())
    title = f"Observed and expected pairs, {html.escape(selection.page.run.name)}"
    named = selection.with_names(table)
    with left:
        event: Any = show_chart(
            figures.expected_vs_observed(named, title=title, scale=selection.page.scale),
            key="truth",
            provenance=provenance_text(selection.page),
            data=named,
            file_name="pair calibration",
            code=figure_code(
                selection.page,
                "expected_vs_observed",
                "view.pair_calibration(first, second)",
                setup=pairs.code,
                title=title,
            ),
            on_select="rerun",
            alt=f"{len(table)} pairs of labels: observed against expected number of videos with both",
        )
    with right:
        st.subheader("Selected pair", anchor=False)
        points = event["selection"]["points"]
        if points and "customdata" in points[0]:
            show_pair(selection, *(int(points[0]["customdata"][side]) for side in (0, 1)))
        else:
            st.caption("Click a point of the figure.")
        st.markdown(
            f"All pairs: **{table['observed'].sum():,}** observed, **{table['expected'].sum():,.0f}** expected."
        )
        st.caption(EXPECTED)
    _list_deviations(pairs.selection, table)


def _list_deviations(selection: Selection, table: pd.DataFrame) -> None:
    """List the pairs that occur more often than the run expects, and those that occur less often."""
    from yt8m_core.analysis.run_differences import split_by_sign

    overestimated, underestimated = split_by_sign(table, "surprise")
    for verb, often, pairs in (("underestimate", "more", underestimated), ("overestimate", "fewer", overestimated)):
        st.subheader(f"{verb.capitalize()}d pairs", anchor=False)
        if pairs.empty:
            st.caption(f"No pair is {verb}d.")
            continue
        st.caption(f"{pluralize(len(pairs), 'pair')} in {often} videos than the run expects.")
        show_pair_table(selection, pairs, f"{verb}d_pairs", f"Pairs of labels that the run {verb}s most")


def set_weights(alpha: float, beta: float, gamma: float) -> None:
    """Move the sliders."""
    for key, value in zip(WEIGHTS, (alpha, beta, gamma), strict=True):
        st.session_state[key] = value


@fragment
def show_weights(selection: Selection) -> None:
    """Show the GAP of the run's scores with other α, β and γ."""
    try:
        require_scores(selection.page)
        _show_weights(selection.page)
    except UserError as error:
        show_error(error)


def _show_weights(page: PageContext) -> None:
    run = page.run
    st.markdown(
        "**O = α · own score + β · M_c · scores + γ · M'_c · scores** (section 2.4 of the paper). M_c is counted on "
        "the training labels; M'_c starts as M_c and is trained. Here, the weights are applied **after** training; the "
        "paper trains with them, so results may differ."
    )
    correlation_weights = _own_weights(run)
    reset_weights = correlation_weights or UNCHANGED
    chosen = _select_weights(reset_weights)
    gap = scores.mixture_gap(page, *chosen)
    _show_gap(page, chosen, gap, reset_weights, is_trained=correlation_weights is not None)
    left, right = st.columns(2, gap="large")
    with left:
        curve = pd.DataFrame({"beta": BETAS, "gap": [scores.mixture_gap(page, 1.0, beta, 0.0) for beta in BETAS]})
        alpha, beta, gamma = chosen
        show_chart(
            figures.gap_by_weight(
                curve, selected=(beta, gap), baseline=scores.mixture_gap(page, *UNCHANGED), scale=page.scale
            ),
            key="gap by beta",
            alt="GAP of the run's scores against β, with the selected weights",
            provenance=provenance_text(page),
            data=curve,
            code=figure_code(
                page,
                "gap_by_weight",
                f"terms.gap_by_beta({BETAS})",
                f"selected=({beta!r}, terms.gap({alpha!r}, {beta!r}, {gamma!r}))",
                "baseline=terms.gap(1.0, 0.0, 0.0)",
                setup="terms = view.mixing_terms",
            ),
        )
    with right:
        show_table_3(page)


def _select_weights(reset_weights: tuple[float, float, float]) -> list[float]:
    """Select α, β and γ; a button sets those of the run."""
    chosen = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for (key, (symbol, maximum)), value in zip(WEIGHTS.items(), UNCHANGED, strict=True):
            chosen.append(linked(st.slider, symbol, 0.0, maximum, value, 0.01, key=key, width=220))
        st.button(
            "Reset",
            key="reset_weights",
            icon=":material/restart_alt:",
            on_click=set_weights,
            args=reset_weights,
            help=f"Set the weights of this run, {_triple(reset_weights)}.",
        )
    return chosen


def _show_gap(
    page: PageContext,
    chosen: list[float],
    gap: float,
    reset_weights: tuple[float, float, float],
    *,
    is_trained: bool,
) -> None:
    """Show GAP with the chosen weights next to that with the weights of the run."""
    own_gap = scores.mixture_gap(page, *reset_weights)
    with st.container(horizontal=True):
        st.metric(
            f"GAP@20 at {_triple(chosen)}",
            f"{gap:.4f}",
            help=GAP_HELP,
            width=260,
            **(metric_change(gap - own_gap, 4) if f"{gap:.4f}" != f"{own_gap:.4f}" else {}),
        )
        st.metric(
            f"Weights of the run: {_triple(reset_weights)}" if is_trained else "No label processing",
            f"{own_gap:.4f}",
            help="Measured on the same videos.",
            width=260,
        )


def _own_weights(run: Run) -> tuple[float, float, float] | None:
    """Return α, β and γ of the run, None for another label processing; say where γ has no matrix of its own."""
    from yt8m_core.analysis.learned_correlation import correlation_weights, uses_correlation_matrix

    weights = correlation_weights(run.experiment.label_processing)
    if weights is None:
        st.caption(
            f"The label processing of this run is {plain(str(run.experiment.label_processing))}. The weights are "
            "applied to its input scores."
        )
    elif not uses_correlation_matrix(run.experiment.label_processing) or scores.trained_matrix(run) is None:
        st.caption("This run trained no M'_c: γ weights M_c, as β does.")
    return weights


def show_table_3(page: PageContext) -> None:
    """Show the weights of the paper's Table 3 with their GAP on this run's scores, and buttons that set them."""
    rows = []
    for row in TABLES["label_processing"].rows:
        options = {"alpha": 1.0, "beta": 0.0, "gamma": 0.0, **row.label_processing.options}
        alpha, beta, gamma = (float(options[key]) for key in WEIGHTS)
        gap = scores.mixture_gap(page, alpha, beta, gamma)
        rows.append({"alpha": alpha, "beta": beta, "gamma": gamma, "paper": row.gap, "here": gap})
    table = pd.DataFrame(rows)
    st.markdown("**Table 3 of the paper**")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            **{key: st.column_config.NumberColumn(symbol, format="%.2f") for key, (symbol, _) in WEIGHTS.items()},
            "paper": st.column_config.NumberColumn(
                "Paper's GAP", format="%.3f", help="Of models trained with these weights, on the paper's test set."
            ),
            "here": st.column_config.NumberColumn(
                "GAP", format="%.4f", help="Of this run's scores with these weights, on the selected data set."
            ),
        },
        alt="Rows of Table 3 with the paper's GAP and the GAP of this run's scores",
    )
    st.caption("Set weights:")
    with st.container(horizontal=True):
        for number, weights in enumerate(table[list(WEIGHTS)].to_numpy(np.float64).tolist()):
            st.button(_triple(weights), key=f"table_3_{number}", on_click=set_weights, args=tuple(weights))
    download_csv(table, f"{page.run.name} label processing")


def _triple(weights: Any) -> str:
    return "(" + ", ".join(f"{weight:g}" for weight in weights) + ")"
