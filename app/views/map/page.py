"""Map page: all videos in two dimensions; a lasso selects videos."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cache import videos as video_cache
from components.link import linked
from components.selectors import label_picker, require_run, require_run_videos, sample_note, show_provenance
from components.text import plain
from components.vector_picker import vector_picker
from components.video_filters import THRESHOLD
from context import PageContext, current_page
from views.map.selection import selected_positions, show_selection
from yt8m_core import figures
from yt8m_core.errors import UserError

OUTCOME, PRECISION = "outcome", "AP"
METHODS = {
    "PCA": "The two directions of largest variance, linear.",
    "UMAP": "Near videos stay near; distances between far groups have no meaning. Takes minutes.",
}
HEIGHT = 500  # pixels


def select_color(page: PageContext, *, is_labeled: bool) -> tuple[str, int | None, float]:
    """Select color, label and threshold. Without labels, the color is that of videos without true labels."""
    threshold = st.session_state.get("threshold", THRESHOLD)
    if not is_labeled:
        return PRECISION, None, threshold
    color = linked(st.segmented_control, "Color", [OUTCOME, PRECISION], key="color", default=PRECISION, required=True)
    label = label_picker("Label", page.run.vocabulary, width=180)
    if color == OUTCOME:
        threshold = linked(st.slider, "Threshold", 0.0, 1.0, THRESHOLD, 0.01, key="threshold", width=110)
        if label is None:
            st.caption("Select a label to color by its outcome.")
    return (color if label is not None else PRECISION), label, threshold


def draw_map(
    page: PageContext, method: str, kind: str, color: str, label: int | None, threshold: float
) -> tuple[go.Figure, pd.DataFrame]:
    """Return the map, and the table of its videos, as ``cache.videos.video_table``."""
    from yt8m_core.analysis.video_table import outcome_of_label

    result = video_cache.projection(page, method, kind)
    is_labeled = bool(page.run_videos.is_labeled.any())
    every = video_cache.video_table(page) if is_labeled else video_cache.unlabeled_table(page).assign(ap=np.nan)
    rows = np.searchsorted(every["video"], result.videos)
    table = every.iloc[rows]
    points = table[["video", "id", "ap"]].assign(x=result.points[:, 0], y=result.points[:, 1])
    options: dict[str, Any] = {
        "method": method,
        "explained": result.explained,
        "sampled_from": result.num_videos if result.is_sample else None,
        "scale": page.scale,
    }
    if color == PRECISION or label is None:
        figure = figures.video_map_by_precision(points, **options)
    else:
        outcome = outcome_of_label(page.scores, label, threshold)[rows]
        table = table.assign(outcome=outcome, score=page.scores.probabilities[:, label][rows])
        name = page.run.vocabulary.name(label)
        figure = figures.video_map_by_outcome(points.assign(outcome=outcome), label=name, **options)
    return figure.update_layout(height=HEIGHT, dragmode="lasso"), table


page = current_page()
run = require_run(page)
videos = require_run_videos(page)
show_provenance(page, run=run, videos=videos)
is_labeled = bool(videos.is_labeled.any())
with st.container(horizontal=True, vertical_alignment="bottom"):
    method = linked(
        st.segmented_control,
        "Method",
        list(METHODS),
        key="projection",
        first="PCA",
        required=True,
        help="\n".join(f"- {name}: {meaning}" for name, meaning in METHODS.items()),
    )
    kind = vector_picker(page, "vectors")
    color, label, threshold = select_color(page, is_labeled=is_labeled)
if kind is None:
    st.stop()
try:
    figure, table = draw_map(page, method, kind, color, label, threshold)
except UserError as error:  # UMAP is not installed, or there are too few videos for it
    if method == "PCA":
        raise
    st.info(plain(str(error)), icon=":material/info:")
    st.stop()
chart, selection = st.columns([5, 2], gap="medium")
with chart:
    event = st.plotly_chart(
        figure,
        key="map",
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        alt=f"Map of {len(table)} videos by {method} of their {kind}, colored by {color}",
    )
with selection:
    show_selection(page, table, selected_positions(event), kind)
if is_labeled and page.scores.is_sample:
    st.caption(sample_note(page.scores))
