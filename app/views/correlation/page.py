"""Which labels go together (section 2.4 of the paper): in the data, in all of the labels, and in a run's scores."""

import streamlit as st

from cache import loaders as state
from cache import scores as answers
from components.selectors import choose, chosen_data, label_picker, plain, provenance, scale_words
from views.correlation.label_processing import show_truth, show_weights
from views.correlation.matrix import TAB_KEY, TABS, show_overview, show_window
from views.correlation.pair_tables import OWN, Look, Own, show_pairs
from yt8m_core.labels import statistics
from yt8m_core.runs.run import Run


def run_of_sidebar() -> Run | None:
    """The run of the sidebar, if there is any."""
    return state.find_all_runs()[0].get(st.session_state.get("run", ""))


def own_matrix(num_classes: int) -> Own | None:
    """The run's own matrix, of the kind chosen; says why where there is none."""
    from yt8m_core.analysis.learned_correlation import KINDS, weighs

    run = run_of_sidebar()
    if run is None:
        st.info("A matrix of its own is what a trained model has, and there is no trained run yet.")
        st.page_link(
            "views/welcome/page.py", label="Build the demo world and its runs", icon=":material/rocket_launch:"
        )
        return None
    if not weighs(run.experiment.label_processing):
        st.info(
            f"Run {plain(run.name)} has no matrix M_c of its own: its label processing, "
            f"{plain(str(run.experiment.label_processing))}, adds nothing of one label to another. Choose a run with "
            "label processing `correlation` and a β or γ above 0, or another measure.",
            icon=":material/info:",
        )
        with st.container(horizontal=True):
            for key, other in state.find_all_runs()[0].items():
                if weighs(other.experiment.label_processing) and other.facts.num_classes == num_classes:
                    st.button(f"Use run {plain(key)}", on_click=choose("run", key), icon=":material/model_training:")
        return None
    if run.facts.num_classes != num_classes:
        st.info(
            f"Run {plain(run.name)} scores {run.facts.num_classes:,} labels, and this data set has {num_classes:,}: "
            "its matrix is of other labels. Choose the run's own data set.",
            icon=":material/info:",
        )
        return None
    matrices = answers.own_matrices(run)
    kind = st.segmented_control(
        "Matrix of the run", matrices.kinds, key="own_matrix", bind="query-params", persist_state="session",
        default=matrices.kinds[-1], required=True,
    )  # fmt: skip
    st.caption(
        f"{plain(KINDS[kind][0].upper() + KINDS[kind][1:])}. A row takes from a column: the row label's score gets the "
        "column label's, times the cell (and times β or γ)."
    )
    if matrices.trained is not None and matrices.counted is None:
        st.caption("What training changed is not shown: the labels that the run was trained with are gone.")
    if matrices.trained is None:
        st.caption("The run has β alone, so nothing of its matrix was trained.")
    return Own(run, matrices, kind)


data = chosen_data()
videos = state.videos(data)
provenance(run=run_of_sidebar(), data=(data, videos))
labels = state.labels(data)
with st.container(horizontal=True, vertical_alignment="bottom"):
    label = label_picker("A label to look at", labels.vocabulary)
    support = st.number_input(
        "In at least so many videos",
        1,
        None,
        3,
        key="support",
        bind="query-params",
        width=240,
        help="Pairs of labels that fewer videos have are left out: rare pairs have large values by chance.",
    )
tabs = dict(zip(TABS, st.tabs(TABS, key=TAB_KEY, bind="query-params"), strict=True))


def look() -> Look | None:
    """Choose a measure; None where the model has none of its own."""
    measure = st.segmented_control(
        "Measure", [*statistics.MEASURES, OWN], key="measure", bind="query-params", persist_state="session",
        default="conditional", required=True,
    )  # fmt: skip
    own = None
    if measure == OWN:
        own = own_matrix(labels.vocabulary.num_classes)
        if own is None:
            return None
    else:
        st.caption(f"{plain(statistics.MEASURES[measure])}.")
    return looked(measure, own)


def looked(measure: str = "phi", own: Own | None = None) -> Look:
    """At the chosen data."""
    pairs = state.cooccurrence(data)
    return Look(data, labels, pairs, measure, int(support), label, scale_words(data, videos), own)


for tab, show in zip(TABS, (show_window, show_overview, show_pairs), strict=False):
    if tabs[tab].open:
        with tabs[tab]:
            if (chosen := look()) is not None:
                show(chosen)
for tab, show in zip(TABS[3:], (show_truth, show_weights), strict=True):
    if tabs[tab].open:
        with tabs[tab]:
            show(looked())
