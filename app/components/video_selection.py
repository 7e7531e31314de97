"""The selected videos: those that pass the filters, in their order, or that were selected in a chart.

Filters stand in the address. Videos that were selected in a chart are a list of positions, which no link can hold: they
stay in the session, for the data set that they belong to, until they are cleared.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from cache import scores
from cache import videos as video_cache
from components.link import link_values, mark_in_address, switch_page
from components.selectors import sample_note, video_picker
from components.text import plain
from components.video_filters import ANY, SCORE_RANGE, VideoFilters, video_filters
from context import PageContext
from yt8m_core.analysis.per_video import SORT_ORDERS, possible_orders, sort_videos
from yt8m_core.data.dataset import Videos
from yt8m_core.figures.style import pluralize


@dataclass(frozen=True)
class ChartSelection:
    """Videos that were selected in a chart.

    Attributes:
        data: Cache key of the data set.
        positions: Positions of the videos in the data set.
        source: How they were selected, as in "412 videos ``source``"; Markdown.
    """

    data: tuple[Any, ...]
    positions: NDArray[np.int64]
    source: str


@dataclass(frozen=True)
class VideoSelection:
    """The selected videos.

    Attributes:
        table: One row per selected video, in order: the columns of ``cache.videos.video_table``, false_negatives,
            false_positives and errors; with a label, its score and outcome; with a second run, its disagreement.
            Without labels, only video, id and num_frames.
        num_videos: Number of videos that were filtered.
        filters: The filters.
    """

    table: pd.DataFrame
    num_videos: int
    filters: VideoFilters


def open_videos(page: PageContext, positions: ArrayLike, source: str) -> NoReturn:
    """Open the page Videos with videos that were selected in a chart.

    Args:
        page: The page.
        positions: Positions of the videos in the data set.
        source: How they were selected, as in "412 videos ``source``"; Markdown.
    """
    st.session_state["chart selection"] = ChartSelection(page.data.cache_key, np.asarray(positions, np.int64), source)
    switch_page("views/videos/page.py")


def offer_label_videos(page: PageContext, labels: list[int], *, require_all: bool) -> None:
    """Offer to open the videos that have one of some labels, or all of them; nothing without a label.

    Args:
        page: The page, whose data set has labels.
        labels: The labels.
        require_all: Whether a video must have all of the labels.
    """
    if not labels:
        return
    counts = np.asarray(page.labels.matrix[:, labels].sum(axis=1)).ravel()
    rows = np.flatnonzero(counts >= (len(labels) if require_all else 1))
    positions = np.flatnonzero(page.videos.is_labeled)[rows]
    names = [f"**{plain(page.labels.vocabulary.name(label))}**" for label in labels]
    if len(names) > 3:
        source = f"with {'all' if require_all else 'one'} of {len(names):,} labels"
    else:
        source = f"with {(' and ' if require_all else ' or ').join(names)}"
    text = f"Open {pluralize(len(positions), 'video')} {source}"
    if st.button(text, icon=":material/video_library:", disabled=not len(rows)):
        open_videos(page, positions, source)


def show_chart_selection(page: PageContext) -> NDArray[np.int64] | None:
    """Show the videos that were selected in a chart, with a button that clears them. Returns their positions."""
    selection: ChartSelection | None = st.session_state.get("chart selection")
    linked_count = link_values().pop("selected", None)
    if selection is None:
        if linked_count is not None:
            st.info(
                f"This link was made with {plain(linked_count[-1][:20])} videos selected in a chart. Links do not hold "
                "such a selection: select the videos again.",
                icon=":material/info:",
            )
        return None
    text = f"**{pluralize(len(selection.positions), 'video')}** {selection.source}"
    if selection.data != page.data.cache_key:
        del st.session_state["chart selection"]
        st.info(f"{text} were selected in another data set: the selection is cleared.", icon=":material/info:")
        return None
    mark_in_address("selected", str(len(selection.positions)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/gesture_select: {text}", width="content", help="This selection is not part of links.")
        st.button("Clear", on_click=_clear_chart_selection, icon=":material/close:", key="clear selection")
    return selection.positions


def _clear_chart_selection() -> None:
    st.session_state.pop("chart selection", None)


def select_videos(page: PageContext, filters: VideoFilters, positions: NDArray[np.int64] | None) -> VideoSelection:
    """Apply filters, and keep only the videos at ``positions`` unless that is None.

    Raises:
        UserError: The data do not fit the run, or the second run.
    """
    if page.run_videos.is_labeled.any():
        table, keep = _filter_by_scores(page, filters)
    else:
        table = video_cache.unlabeled_table(page)
        keep = np.ones(len(table), bool)
    if filters.text:
        keep &= table["id"].str.contains(filters.text, case=False, regex=False).to_numpy(bool)
    if filters.seconds:
        keep &= table["num_frames"].between(*filters.seconds).to_numpy(bool)
    if positions is not None:
        keep &= table["video"].isin(positions).to_numpy(bool)
    order = filters.order if filters.order in possible_orders(list(map(str, table))) else SORT_ORDERS[0]
    return VideoSelection(sort_videos(table[keep], order), len(table), filters)


def _filter_by_scores(page: PageContext, filters: VideoFilters) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the table of all scored videos, and which of them pass the filters by scores and labels."""
    from yt8m_core.analysis import video_table as filtering

    scored, table = page.scores, video_cache.video_table(page)
    errors = scores.video_outcomes(page, filters.threshold)[["false_negatives", "false_positives"]]
    table = table.assign(**errors, errors=errors.sum(axis=1))
    keep = np.ones(len(table), bool)
    for error in filters.errors:
        keep &= table[f"{error.replace(' ', '_')}s"].to_numpy() > 0
    if filters.bands:
        keep &= filtering.filter_by_band(scored, video_cache.label_bands(page), filters.bands)
    if filters.ap != SCORE_RANGE:
        keep &= filtering.in_range(table["ap"], *filters.ap)
    if filters.label is not None:
        table = table.assign(
            score=scored.probabilities[:, filters.label],
            outcome=filtering.outcome_of_label(scored, filters.label, filters.threshold),
        )
        if filters.has != ANY:
            keep &= np.isin(table["outcome"], filtering.LABEL_FILTERS[filters.has])
        if filters.score != SCORE_RANGE:
            keep &= filtering.filter_by_probability(scored, filters.label, *filters.score)
    if filters.other is not None:
        difference = video_cache.disagreement(page, filters.other)
        table = table.assign(disagreement=difference["disagreement"], disputed_name=difference["disputed_name"])
        if filters.disagreement > 0:
            keep &= filtering.in_range(table["disagreement"], filters.disagreement)
    return table, keep


def show_missing_choices(page: PageContext, selection: VideoSelection) -> None:
    """Say which filters have no effect yet, and that the videos are a sample."""
    filters = selection.filters
    if filters.uses_label and filters.label is None:
        st.caption(":material/info: No label is selected: filters and order by its score have no effect.")
    if filters.order == "largest disagreement" and filters.other is None:
        st.caption(":material/info: No second run is selected: the order has no effect.")
    videos = page.run_videos
    if videos.is_labeled.any() and page.scores.is_sample:
        st.caption(sample_note(page.scores))


def pick_selected_video(page: PageContext, videos: Videos, *, picks_label: bool) -> tuple[int, VideoFilters]:
    """Select a video of the data set; Previous and Next visit the selected videos.

    Args:
        page: The page.
        videos: The data set.
        picks_label: Whether the filters include label and threshold, which the page does not have elsewhere.

    Returns:
        Position of the video, and the filters.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picker = st.container(width="content")
        with st.popover("Filter", icon=":material/filter_alt:", width="content"):
            filters = video_filters(page, is_labeled=bool(videos.is_labeled.any()), picks_label=picks_label)
            st.page_link("views/videos/page.py", label="Open as table", icon=":material/table_view:")
    positions = show_chart_selection(page)
    is_moved = st.session_state.pop("go to first", False)
    order = None
    if positions is not None or filters.is_active:
        selection = select_videos(page, filters, positions)
        show_missing_choices(page, selection)
        order = selection.table["video"].to_numpy(np.int64)
        if not len(order):
            st.info("No video matches the filters. Previous and Next visit all videos.", icon=":material/info:")
            order = None
        elif is_moved:
            st.session_state["video"] = videos.id(int(order[0]))
    status = st.container()
    with picker:
        video = video_picker(videos, order)
    if order is not None:
        rank = np.flatnonzero(order == video)
        text = f"Video {rank[0] + 1:,} of {len(order):,}" if len(rank) else f"Not one of the {len(order):,} videos"
        status.caption(f"{text} selected by the filters.")
    return video, filters
