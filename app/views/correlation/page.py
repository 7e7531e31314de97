"""Correlation: which labels occur together in the data and in a run's scores (section 2.4 of the paper)."""

import streamlit as st

from cache import loaders, scores
from components.link import accept_old_values, linked
from components.selectors import label_picker, show_demo_link, show_provenance
from components.sidebar import open_run
from components.text import plain
from context import PageContext, current_page
from views.correlation.label_processing import show_calibration, show_weights
from views.correlation.matrix import (
    ALL_LABELS,
    AROUND,
    CALIBRATION,
    FREQUENT,
    LABEL_PROCESSING,
    OLD_VIEWS,
    PAIRS,
    VIEW_KEY,
    WINDOW,
    show_overview,
    show_window,
)
from views.correlation.pair_tables import MODEL_MATRIX, ModelMatrix, Selection, show_pairs
from yt8m_core.labels import cooccurrence

VIEWS = {
    WINDOW: show_window,
    ALL_LABELS: show_overview,
    PAIRS: show_pairs,
    CALIBRATION: show_calibration,
    LABEL_PROCESSING: show_weights,
}


def select_model_matrix(page: PageContext, num_classes: int) -> ModelMatrix | None:
    """Select a matrix of the run; where there is none, say why."""
    from yt8m_core.analysis.learned_correlation import MATRIX_KINDS, uses_correlation_matrix

    if not page.has_run:
        st.info("This measure needs a trained run, and there is none yet.", icon=":material/info:")
        show_demo_link()
        return None
    run = page.run
    if not uses_correlation_matrix(run.experiment.label_processing):
        st.info(
            f"Run {plain(run.name)} has no matrix M_c: its label processing is "
            f"{plain(str(run.experiment.label_processing))}. Choose a run with label processing `correlation` and "
            "β or γ above 0, or another measure.",
            icon=":material/info:",
        )
        with st.container(horizontal=True):
            for key, other in page.workspace.runs.items():
                if (
                    uses_correlation_matrix(other.experiment.label_processing)
                    and other.facts.num_classes == num_classes
                ):
                    st.button(
                        f"Use run {plain(key)}",
                        on_click=open_run,
                        args=(page.workspace, key),
                        icon=":material/model_training:",
                    )
        return None
    if run.facts.num_classes != num_classes:
        st.info(
            f"Run {plain(run.name)} scores {run.facts.num_classes:,} labels, but this data set has {num_classes:,}. "
            "Choose the run's own data set.",
            icon=":material/info:",
        )
        return None
    matrices = scores.model_matrices(run)
    kind = linked(
        st.segmented_control,
        "Matrix of the run",
        matrices.kinds,
        key="own_matrix",
        default=matrices.kinds[-1],
        required=True,
    )
    meaning = MATRIX_KINDS[kind]
    st.caption(
        f"{plain(meaning[0].upper() + meaning[1:])}. A cell is the weight, times β or γ, of the column's score in the "
        "row's score."
    )
    if matrices.trained is not None and matrices.counted is None:
        st.caption("The change by training is not available: the training labels of the run are gone.")
    if matrices.trained is None:
        st.caption("The run has γ = 0, so it trained no matrix.")
    return ModelMatrix(run, matrices, kind)


def follow_label(label: int | None) -> None:
    """Show the neighborhood of a label that was just selected, and the most frequent labels without one."""
    before = st.session_state.get("label of the window", label)
    st.session_state["label of the window"] = label
    if label != before:
        st.session_state["window"] = FREQUENT if label is None else AROUND


page = current_page()
show_provenance(page, run=page.run if page.has_run else None, videos=page.videos)
labels = page.labels
accept_old_values(VIEW_KEY, OLD_VIEWS)
with st.container(horizontal=True, vertical_alignment="bottom"):
    view = linked(st.segmented_control, "View", list(VIEWS), key=VIEW_KEY, first=WINDOW, required=True, wrap=True)
    label = label_picker("Label", labels.vocabulary)
    follow_label(label)
    support = linked(
        st.number_input,
        "Minimum support (videos)",
        1,
        None,
        3,
        key="support",
        width=200,
        help="Pairs in fewer videos are left out: rare pairs have large values by chance.",
    )


def select_measure() -> Selection | None:
    """Select a measure; None where the run has no matrix to show."""
    measure = linked(
        st.segmented_control,
        "Measure",
        [*cooccurrence.MEASURES, MODEL_MATRIX],
        key="measure",
        default="conditional",
        required=True,
        help="\n".join(f"- {name}: {plain(meaning)}." for name, meaning in cooccurrence.MEASURES.items()),
    )
    model_matrix = None
    if measure == MODEL_MATRIX:
        model_matrix = select_model_matrix(page, labels.vocabulary.num_classes)
        if model_matrix is None:
            return None
    return selection(measure, model_matrix)


def selection(measure: str = "phi", model_matrix: ModelMatrix | None = None) -> Selection:
    """Return what is selected on the page."""
    pairs = loaders.cooccurrence(page.data)
    return Selection(page, labels, pairs, measure, int(support), label, model_matrix)


if view in (CALIBRATION, LABEL_PROCESSING):
    VIEWS[view](selection())
elif (selected := select_measure()) is not None:
    VIEWS[view](selected)
