"""Predictions page: the videos of the data set that are most similar to the selected one."""

from typing import Any

import pandas as pd
import streamlit as st

from cache import videos as video_cache
from components.selection import fresh_key, on_fresh_selection
from components.text import plain, show_error
from components.vector_picker import vector_picker
from context import PageContext
from views.predictions.video_source import DATA_SET, SelectedVideo
from yt8m_core.data.dataset import Videos
from yt8m_core.errors import UserError

LIMIT = 20  # videos
COLUMNS: dict[str, Any] = {
    "id": st.column_config.TextColumn("Video", pinned=True, width=80),
    "similarity": st.column_config.NumberColumn(
        "Similarity", format="%.3f", help="Cosine of the two vectors: 1 if they have the same direction.", width=75
    ),
    "rank": st.column_config.NumberColumn(
        "Label rank", help="Rank of the explained label in the similar video.", format="localized", width=80
    ),
    "shared": st.column_config.TextColumn("Shared labels", help="True labels of both videos.", width=220),
    "only_video": st.column_config.TextColumn("Only this video", help="True labels of the selected video only."),
    "only_neighbor": st.column_config.TextColumn("Only that video", help="True labels of the similar video only."),
}


def show_similar_videos(page: PageContext, video: SelectedVideo, label: int) -> None:
    """Show the section, which computes nothing until it is opened.

    Args:
        page: The page.
        video: The selected video, of the data set or of a file.
        label: The explained label, whose rank is listed.
    """
    with st.expander(
        "Similar videos", icon=":material/join_inner:", key="similar videos", on_change="rerun"
    ) as section:
        if section.open:
            try:
                _show_table(page, video, label)
            except UserError as error:  # for example, a file for a run whose data are gone
                show_error(error)


def _show_table(page: PageContext, video: SelectedVideo, label: int) -> None:
    videos = page.run_videos
    kind = vector_picker(page, "similar_by")
    if kind is None:
        return
    table = _similar_videos(page, video, kind, label)
    if table.empty:
        st.info("There is no other video in this data set.", icon=":material/info:")
        return
    name = plain(page.run.vocabulary.name(label))
    st.caption(
        f"The {len(table)} nearest of {len(videos):,} videos of {plain(page.data_key)}, by cosine similarity of "
        f"{kind}. Label rank is that of **{name}**. Click a row to open the video."
    )
    has_labels = video.true_labels is not None
    columns = [name for name in COLUMNS if name in table and (has_labels or name not in ("shared", "only_video"))]
    config = COLUMNS | ({} if has_labels else {"only_neighbor": st.column_config.TextColumn("True labels")})

    table_name = (
        f"similar table {video.id} {kind}"  # of its own: the first click on a table whose rows changed is ignored
    )

    def open_row(cells: list[tuple[int, str]]) -> None:
        st.session_state["from"] = DATA_SET
        st.session_state["video"] = table["id"].iloc[cells[0][0]]

    st.dataframe(
        table[columns],
        hide_index=True,
        column_config=config,
        key=fresh_key(table_name),
        on_select=on_fresh_selection(table_name, "cells", open_row),
        selection_mode="single-cell",
        placeholder="–",
        height=320,
        alt=f"{len(table)} videos similar to video {video.id}, with shared and differing labels",
    )


def _similar_videos(page: PageContext, video: SelectedVideo, kind: str, label: int) -> pd.DataFrame:
    """Return the nearest videos: id, similarity, label names and the rank of the label, missing if not scored."""
    from yt8m_core.analysis.neighbors import compare_labels, nearest_videos

    read, positions = video_cache.vectors(page, kind)
    vector = video_cache.video_vector(page, kind, video.frames, video.prediction.probabilities)
    neighbors = nearest_videos(read, positions, vector, exclude=video.position, limit=LIMIT)
    videos = page.run_videos
    table = compare_labels(videos, video.true_labels or (), neighbors)
    for column in ("shared", "only_video", "only_neighbor"):
        table[column] = [_names(page, labels) for labels in table[column]]
    table["id"] = [videos.id(position) for position in table["video"].tolist()]
    table["rank"] = pd.array([_rank(page, videos, position, label) for position in table["video"].tolist()], "Int64")
    return table


def _names(page: PageContext, labels: list[int] | None) -> str | None:
    return None if labels is None else ", ".join(page.run.vocabulary.name(label) for label in labels)


def _rank(page: PageContext, videos: Videos, position: int, label: int) -> int | None:
    """Return the rank of a label in a video, ties by label; None for a video that is not scored."""
    row = page.scores.row(position) if videos.is_labeled.any() else None
    if row is None:
        return None
    p = page.scores.probabilities[row]
    return int((p > p[label]).sum() + (p[:label] == p[label]).sum()) + 1
