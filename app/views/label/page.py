"""Label page: precision, calibration and threshold of one label, labels related to it, and its hardest videos."""

import streamlit as st

from cache import scores
from components.charts import figure_code, provenance_text
from components.label_card import show_facts
from components.label_tables import show_chart
from components.selectors import label_picker, sample_note, show_provenance
from components.text import plain
from context import PageContext, current_page
from views.label.measures import show_measures
from views.label.related_labels import show_confusions, show_correlated
from views.label.segments import show_best_segments
from views.label.videos import show_videos
from yt8m_core import figures
from yt8m_core.errors import UserError


def show_choice(page: PageContext) -> None:
    """Offer all labels, by frequency."""
    st.info("Choose a label by its name or a point.", icon=":material/info:")
    show_chart(
        figures.rank_frequency(page.labels.table, scale=page.scale),
        page.labels.vocabulary,
        name="labels",
        provenance=provenance_text(page, with_run=False),
        data=page.labels.table,
        code=figure_code(page, "rank_frequency", "view.label_counts", with_run=False),
        alt="Number of videos against rank of each label, both on log axes",
    )


def show_label(page: PageContext, label: int) -> None:
    """Show a label. Without a run, or with one that does not fit the data: its frequency and correlated labels."""
    show_facts(page, label)
    message = "Precision, confusions and videos are shown once there is a trained run."
    run_scores = None
    if page.has_run:
        try:
            run_scores = page.scores
        except UserError as error:
            message = f"Precision, confusions and videos are not available here. {plain(str(error))}"
    if run_scores is None:
        st.caption(message)
        show_correlated(page, label)
        return
    if run_scores.is_sample:
        st.caption(sample_note(run_scores))
    threshold = show_measures(page, label)
    correlated, above, mistaken = st.columns([5, 6, 6], gap="medium")  # all columns of the tables fit
    with correlated:
        show_correlated(page, label)
    show_confusions(page, label, threshold, above, mistaken)
    show_videos(page, label, scores.true_ranks(page))
    show_best_segments(page, label)


page = current_page()
show_provenance(page, run=page.run if page.has_run else None, videos=page.videos)
label = label_picker("Label", page.labels.vocabulary)
if label is None:
    show_choice(page)
else:
    show_label(page, label)
