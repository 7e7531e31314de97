"""Map page: all videos in two dimensions; a lasso selects videos."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cache import videos as video_cache
from components.charts import figure_code, provenance_text, show_chart
from components.link import linked
from components.page_end import end_page
from components.selectors import label_picker, require_run, require_run_videos, sample_note, show_provenance
from components.text import plain
from components.vector_picker import vector_picker
from components.video_filters import THRESHOLD
from context import PageContext, current_page
from views.map.selection import selected_positions, show_selection
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize

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


def projection_code(method: str, kind: str, *, is_labeled: bool) -> str:
    """Return Python code of the points of the map, ``points``, of its projection and of the rows of their scores."""
    vectors = "vectors.score_vectors(view.scores)"
    if kind == video_cache.POOLED:
        vectors = "vectors.pooled_vectors(load_pooled(view.model, view.run_videos))"
    positions = "view.scores.videos" if is_labeled else "np.arange(len(view.run_videos))"
    precision = 'per_video.video_difficulty(view.scores)["ap"].to_numpy()[rows]' if is_labeled else "np.nan"
    return "\n".join(
        [
            "import numpy as np",
            "import pandas as pd",
            "from yt8m_core.analysis import per_video, projection, vectors",
            *(["from yt8m_core.inference.pooled_cache import load_pooled"] if kind == video_cache.POOLED else []),
            f"positions = {positions}",
            f"result = projection.{method.lower()}({vectors}, positions)",
            "rows = np.searchsorted(positions, result.videos)",
            'points = pd.DataFrame({"video": result.videos, "x": result.points[:, 0], "y": result.points[:, 1]})',
            'points["id"] = [view.run_videos.id(video) for video in result.videos]',
            f'points["ap"] = {precision}',
        ]
    )


def draw_map(
    page: PageContext, method: str, kind: str, color: str, label: int | None, threshold: float
) -> tuple[go.Figure, pd.DataFrame, pd.DataFrame, str]:
    """Return the map, the table of its videos, as ``cache.videos.video_table``, its points, and its code."""
    from yt8m_core.analysis.video_table import outcome_of_label

    result = video_cache.projection(page, method, kind)
    is_labeled = bool(page.run_videos.is_labeled.any())
    every = video_cache.video_table(page) if is_labeled else video_cache.unlabeled_table(page).assign(ap=np.nan)
    rows = np.searchsorted(every["video"], result.videos)
    table = every.iloc[rows]
    points = table[["video", "id", "ap"]].assign(x=result.points[:, 0], y=result.points[:, 1])
    options: dict[str, Any] = {
        "method": method,
        "sampled_from": result.num_videos if result.is_sample else None,
    }
    setup = projection_code(method, kind, is_labeled=is_labeled)
    if color == PRECISION or label is None:
        name = "video_map_by_precision"
        figure = figures.video_map_by_precision(points, explained=result.explained, scale=page.scale, **options)
    else:
        outcome = outcome_of_label(page.scores, label, threshold)[rows]
        table = table.assign(outcome=outcome, score=page.scores.probabilities[:, label][rows])
        points = points.assign(outcome=outcome)
        name, options["label"] = "video_map_by_outcome", page.run.vocabulary.name(label)
        figure = figures.video_map_by_outcome(points, explained=result.explained, scale=page.scale, **options)
        setup += (
            "\nfrom yt8m_core.analysis.video_table import outcome_of_label\n"
            f'points["outcome"] = outcome_of_label(view.scores, {label}, {threshold})[rows]'
        )
    code = figure_code(page, name, "points", "explained=result.explained", setup=setup, **options)
    return figure.update_layout(dragmode="lasso"), table, points, f'{code}.update_layout(dragmode="lasso")'


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
    end_page()
try:
    figure, table, points, code = draw_map(page, method, kind, color, label, threshold)
except UserError as error:  # UMAP is not installed, or there are too few videos for it
    if method == "PCA":
        raise
    st.info(plain(str(error)), icon=":material/info:")
    end_page()
chart, selection = st.columns([5, 2], gap="medium")
with chart:
    event = show_chart(
        figure,
        key="map",
        height=HEIGHT,
        provenance=provenance_text(page),
        data=points,
        code=code,
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        alt=f"Map of {pluralize(len(table), 'video')} by {method} of their {kind}, colored by {color}",
    )
with selection:
    show_selection(page, table, selected_positions(event), kind)
if is_labeled and page.scores.is_sample:
    st.caption(sample_note(page.scores))
