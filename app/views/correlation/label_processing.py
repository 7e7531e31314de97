"""What a run makes of label correlation: pairs as it expects them, and GAP with other weights α, β and γ."""

import html
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from cache import loaders as state
from cache import scores as answers
from components.selectors import GAP, chosen_run, download_csv, fault, fragment, plain, videos_for
from views.correlation.matrix import window_labels
from views.correlation.pair_tables import Look, in_words, pairs_table
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run

MOST_PAIRS = 2000  # strongest pairs that are compared with a run
STRONGEST, WINDOW = "the strongest", "those of a window"
WEIGHTS = {"alpha": ("α", 1.5), "beta": ("β", 0.5), "gamma": ("γ", 0.5)}  # key → sign, largest value
PLAIN = (1.0, 0.0, 0.0)  # the scores as they are; the sliders stand there at first, whatever the run: links stay true
BETAS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3)  # of the curve; those of Table 3, and some between

EXPECTED = (
    "**Expected** is what the run's probabilities add up to: for each video the probability of A times that of B, "
    "summed over the videos. It is the number of videos with both if every probability were right and the labels of a "
    "video were independent once the run has seen it. A pair that stands below the dashed line is together more often "
    "than that: the run is unsure of both in the same videos, or does not know that the one brings the other along. A "
    "pair above it is predicted together, and is not."
)


def scored_run(look: Look) -> Run:
    """The run of the sidebar, where it scores this data set. Says so and ends the page where it does not."""
    run = chosen_run()
    videos_for(run, look.data)
    if (scored := answers.scored(run, look.data)).sampled:
        st.caption(f"Of a random sample of {len(scored.videos):,} of the {scored.of:,} videos.")
    return run


@fragment
def show_truth(look: Look) -> None:
    """Pairs of labels in the data against what the run expects of them."""
    try:
        run = scored_run(look)
        _show_truth(look, run)
    except UserError as error:
        fault(error)


def _show_truth(look: Look, run: Run) -> None:
    st.markdown(EXPECTED)
    which = st.segmented_control(
        "Pairs", [STRONGEST, WINDOW], key="pairs_of", bind="query-params", persist_state="session",
        default=STRONGEST, required=True,
        help=f"The strongest: up to {MOST_PAIRS:,} by φ, in at least so many videos as chosen above, and with the "
        "label above if there is one. Those of a window: every pair of its labels, together in the data or not.",
    )  # fmt: skip
    if which == WINDOW:
        chosen = window_labels(look)
        first, second = (chosen[index] for index in np.triu_indices(len(chosen), 1))
    else:
        table = state.strongest_pairs(look.data, "phi", look.support)
        if look.label is not None:
            table = table[(table["label_a"] == look.label) | (table["label_b"] == look.label)]
        first, second = (table[f"label_{side}"].to_numpy(np.int64)[:MOST_PAIRS] for side in "ab")
    if len(first) == 0:
        st.info("No pair to compare. Lower the minimum above, or choose other labels.", icon=":material/info:")
        return
    table = answers.against_truth(run, look.data, first.tobytes(), second.tobytes())
    left, right = st.columns([5, 2], gap="large")
    with left:
        event: Any = st.plotly_chart(
            figures.against_truth(
                look.named(table), title=f"Labels together, and as {html.escape(run.name)} expects", scale=look.scale
            ),
            key="truth",
            on_select="rerun",
            selection_mode="points",
            alt=f"{len(table)} pairs of labels: videos with both against the number that the run expects",
        )
    with right:
        st.subheader("A pair in words", anchor=False)
        points = event["selection"]["points"]
        if points and "customdata" in points[0]:
            in_words(look, *(int(points[0]["customdata"][side]) for side in (0, 1)))
        else:
            st.caption("Click a pair in the picture.")
        st.markdown(
            f"In all, **{table['observed'].sum():,}** times a pair is in a video, and the run expects "
            f"**{table['expected'].sum():,.0f}**."
        )
    st.subheader("More often together than the run expects", anchor=False)
    pairs_table(
        look,
        table.sort_values("surprise", ascending=False, ignore_index=True),
        "underestimated_pairs",
        "Pairs of labels that the run underestimates most",
    )
    st.subheader("Less often together than the run expects", anchor=False)
    pairs_table(
        look,
        table.sort_values("surprise", ascending=True, ignore_index=True),
        "overestimated_pairs",
        "Pairs of labels that the run overestimates most",
    )


def set_weights(alpha: float, beta: float, gamma: float) -> None:
    """Move the sliders."""
    for key, value in zip(WEIGHTS, (alpha, beta, gamma), strict=True):
        st.session_state[key] = value


@fragment
def show_weights(look: Look) -> None:
    """GAP of the run's scores with other α, β and γ."""
    try:
        run = scored_run(look)
        _show_weights(look, run)
    except UserError as error:
        fault(error)


def _show_weights(look: Look, run: Run) -> None:
    from yt8m_core.analysis.learned_correlation import own_weights, weighs

    st.markdown(
        "Label processing (section 2.4 of the paper) adds to each label's score those of the labels that go with it: "
        "**O = α · own score + β · M_c · scores + γ · M'_c · scores**. M_c is counted over the training labels; M'_c "
        "starts as M_c and is trained. Here the weights are applied **after** the training, to scores that are kept: "
        "the paper trains with them, so a run of its own may come out better."
    )
    own = own_weights(run.experiment.label_processing)
    start = own or PLAIN
    if own is None:
        st.caption(
            f"This run's label processing, {plain(str(run.experiment.label_processing))}, is another one: what is "
            "weighed here are its scores before that."
        )
    elif not weighs(run.experiment.label_processing) or answers.trained_matrix(run) is None:
        st.caption("This run has trained no M'_c: γ weighs M_c, as β does.")
    chosen = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for (key, (sign, most)), value in zip(WEIGHTS.items(), PLAIN, strict=True):
            chosen.append(
                st.slider(
                    sign, 0.0, most, float(value), 0.01, key=key, bind="query-params", persist_state="session",
                    width=220,
                )
            )  # fmt: skip
        st.button("Reset", key="reset_weights", icon=":material/restart_alt:", on_click=set_weights, args=start,
                  help=f"To {_triple(start)}, this run's own.")  # fmt: skip
    alpha, beta, gamma = chosen
    base = answers.mixture_gap(run, look.data, *start)
    here = answers.mixture_gap(run, look.data, alpha, beta, gamma)
    with st.container(horizontal=True):
        st.metric(
            f"GAP@20 at {_triple(chosen)}",
            f"{here:.4f}",
            f"{here - base:+.4f}" if f"{here:.4f}" != f"{base:.4f}" else None,
            help=GAP,
            width=260,
        )
        st.metric(
            f"The run's own, at {_triple(start)}" if own else "Without label processing",
            f"{base:.4f}",
            help="Of the same videos of the chosen data set.",
            width=260,
        )
    left, right = st.columns(2, gap="large")
    with left:
        curve = pd.DataFrame(
            {"beta": BETAS, "gap": [answers.mixture_gap(run, look.data, 1.0, value, 0.0) for value in BETAS]}
        )
        st.plotly_chart(
            figures.gap_by_weight(
                curve, here=(beta, here), base=answers.mixture_gap(run, look.data, *PLAIN), scale=look.scale
            ),
            alt="GAP of the run's scores against β, with the chosen weights",
        )
    with right:
        show_table_3(look, run)


def show_table_3(look: Look, run: Run) -> None:
    """The rows of the paper's Table 3: what they come to here, and a button that sets the weights."""
    rows = []
    for row in TABLES["label_processing"].rows:
        options = {"alpha": 1.0, "beta": 0.0, "gamma": 0.0, **row.label_processing.options}
        alpha, beta, gamma = (float(options[key]) for key in WEIGHTS)
        here = answers.mixture_gap(run, look.data, alpha, beta, gamma)
        rows.append({"alpha": alpha, "beta": beta, "gamma": gamma, "paper": row.gap, "here": here})
    table = pd.DataFrame(rows)
    st.markdown("**Table 3 of the paper**")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            **{key: st.column_config.NumberColumn(sign, format="%.2f") for key, (sign, _) in WEIGHTS.items()},
            "paper": st.column_config.NumberColumn(
                "Paper", format="%.3f", help="GAP@20 of models trained with these weights, on the paper's test videos."
            ),
            "here": st.column_config.NumberColumn(
                "Here", format="%.4f", help="GAP@20 of this run's scores with these weights, on the chosen data set."
            ),
        },
        alt="Rows of Table 3 of the paper with its GAP and the GAP of this run's scores",
    )
    st.caption("Try one of them:")
    with st.container(horizontal=True):
        for number, weights in enumerate(table[list(WEIGHTS)].to_numpy(np.float64).tolist()):
            st.button(_triple(weights), key=f"table_3_{number}", on_click=set_weights, args=tuple(weights))
    download_csv(table, f"{run.name} label processing")


def _triple(weights: Any) -> str:
    return "(" + ", ".join(f"{weight:g}" for weight in weights) + ")"
