"""Label issues page: candidates for missing labels, one at a time, and the user's decisions about them."""

import pandas as pd
import streamlit as st

from cache import label_issues
from components.page_end import end_page
from components.selectors import require_run, require_run_videos, show_provenance
from context import PageContext, current_page
from views.label_issues.review import show_review
from views.label_issues.source import describe_file, describe_run
from yt8m_core.analysis.label_decisions import read_decisions


def find_candidates(page: PageContext) -> pd.DataFrame:
    """Return the candidates of the data set, and show where they come from. Ends the page where there are none."""
    if (file := label_issues.stored_file(page.data)) is not None:
        candidates = label_issues.read_stored(page.data, file)
        describe_file(page, file, candidates)
    else:
        require_run(page)
        require_run_videos(page)
        describe_run(page)
        candidates = label_issues.scored_candidates(page)
    if candidates.empty:
        st.info("There is no candidate: every video lists every label.", icon=":material/info:")
        end_page()
    return candidates


page = current_page()
_ = page.labels  # raises where no video has labels
show_provenance(page, run=page.run if page.has_run else None, videos=page.videos)
candidates = find_candidates(page)
show_review(page, candidates, read_decisions(label_issues.decision_file(page.data)))
