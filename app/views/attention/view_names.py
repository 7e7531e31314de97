"""Attention page: its views, and the view that a link of an older version meant."""

import streamlit as st

VIEW_KEY = "see"
WHERE, EFFECT, SECOND, ALL_VIDEOS = "Where", "Does it matter", "One second", "All videos"
VIEWS = (WHERE, EFFECT, SECOND, ALL_VIDEOS)
# Older versions showed everything below each other. A control in their links names the part that was looked at.
OLD_LINKS = {"many": ALL_VIDEOS, "second": SECOND, "share": EFFECT, "width": EFFECT, "sharpness": WHERE}


def accept_old_links() -> None:
    """Make a link without a view select the view of its controls; call it before the view is drawn."""
    if VIEW_KEY not in st.session_state and VIEW_KEY not in st.query_params:
        views = [view for key, view in OLD_LINKS.items() if key in st.query_params]
        if views:
            st.session_state[VIEW_KEY] = views[0]
