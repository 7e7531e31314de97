"""Imbalance page: label frequencies (section 1 of the paper), average precision by frequency, and adaptive noise."""

import streamlit as st

from components.label_card import label_card
from components.link import link_values, linked
from components.page_links import page_query
from components.selectors import label_picker, show_provenance
from context import current_page
from views.imbalance.adaptive_noise import show_adaptive_noise
from views.imbalance.label_frequency import show_label_frequency
from views.imbalance.label_precision import show_label_precision

VIEWS = {  # the options are part of links
    "frequency": ("Number of videos with each label.", show_label_frequency),
    "precision": ("Average precision of the run for each label, against label frequency.", show_label_precision),
    "adaptive noise": ("Strength of the paper's adaptive noise for each label.", show_adaptive_noise),
}

OLD_COMPARISON = "two runs"  # a view in links of older versions

page = current_page()
if link_values().get("look") == [OLD_COMPARISON]:
    # The comparison is a page of its own now, with the other controls of the link.
    kept = {key: texts for key, texts in link_values().items() if key != "look"}
    st.switch_page("views/compare/page.py", query_params=page_query(**kept))
provenance = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    option = linked(st.segmented_control, "View", list(VIEWS), key="look", first="frequency", required=True, wrap=True)
    label = label_picker("Label", page.labels.vocabulary)
description, show_view = VIEWS[option]
with provenance:
    of_run = option == "precision" and page.has_run
    show_provenance(page, run=page.run if of_run else None, videos=page.videos)
st.caption(f"{description} Select a label by name, point or row.")
# The card opens below the chart, so a click on a point does not move the chart.
chart, card, below = st.container(), st.container(), st.container()
if label is not None:
    with card:
        label_card(page, label)
with chart:
    show_view(page, label, below)
