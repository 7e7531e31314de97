"""Predictions page: selection of a video from the data set or from an uploaded file."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cache import loaders, scores
from cache.loaders import DataSet
from components.link import linked
from components.selectors import (
    download_csv,
    label_names,
    require_run_videos,
    show_provenance,
    state_setter,
    video_picker,
)
from components.text import plain
from context import PageContext
from yt8m_core.analysis.outcomes import OUTCOMES
from yt8m_core.analysis.per_video import SORT_ORDERS, sort_videos
from yt8m_core.data.features import EXTENSIONS, MAX_BYTES, UploadedVideo
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.inference.prediction import Prediction

THRESHOLD = 0.5  # default
OUTCOME_COLUMNS = {"false negative": "false_negatives", "false positive": "false_positives"}
SELECTED_LABEL = "selected label"
FILTERS = (*OUTCOME_COLUMNS, SELECTED_LABEL)
# Filter values in links made by older versions.
OLD_FILTERS = {"a miss": "false negative", "a false alarm": "false positive", "the chosen label": SELECTED_LABEL}


@dataclass(frozen=True)
class SelectedVideo:
    """The selected video, and the run's prediction for it.

    Attributes:
        id: Id of the video.
        true_labels: The true labels, None if unknown.
        frames: [T, D] as stored.
        digest: Cache key of the frames.
        prediction: Prediction of the run.
        scale: The data behind the prediction, for figure subtitles.
        position: Position in the data set; None for an uploaded video.
        main_scene: The true main scene as intervals of frames, None if unknown.
        filters: Active filters of Previous and Next, from ``FILTERS``.
    """

    id: str
    true_labels: tuple[int, ...] | None
    frames: NDArray[Any]
    digest: str
    prediction: "Prediction"
    scale: str
    position: int | None = None
    main_scene: list[tuple[int, int]] | None = None
    filters: tuple[str, ...] = ()

    @property
    def is_upload(self) -> bool:
        """Whether the video is from an uploaded file."""
        return self.position is None


def select_video(page: PageContext, provenance: DeltaGenerator) -> SelectedVideo:
    """Select a video of the data set."""
    videos = require_run_videos(page)
    with provenance:
        show_provenance(page, run=page.run, videos=videos)
    table, filters = _filter_videos(page) if videos.is_labeled.any() else (None, ())
    if table is not None and table.empty:
        st.info(f"No video matches: {', '.join(filters)}. Previous and Next use all videos.", icon=":material/info:")
        table = None
    if st.session_state.pop("go to first", False) and table is not None:
        st.session_state["video"] = videos.id(int(table["video"].iloc[0]))
    position = video_picker(videos, None if table is None else table["video"].to_numpy(np.int64))
    if table is not None:
        _show_list(page, table, position)
    video_id, frames = videos.id(position), videos.frames(position)
    return SelectedVideo(
        video_id,
        tuple(videos.labels(position).tolist()) if videos.is_labeled[position] else None,
        frames,
        loaders.content_digest(frames.tobytes()),
        loaders.prediction(page, position),
        page.scale,
        position,
        loaders.main_scene(page.data, video_id, len(frames)),
        filters,
    )


def _filter_videos(page: PageContext) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Return the videos that Previous and Next visit, None for all in data set order, and the active filters."""
    _accept_old_filters()
    go_to_first = state_setter("go to first", True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = linked(
            st.segmented_control,
            "Sort by",
            SORT_ORDERS,
            key="order",
            default=SORT_ORDERS[0],
            required=True,
            on_change=go_to_first,
            help="Difficulty is the average precision of a video: hard videos rank their true labels low.",
        )
        filters = linked(
            st.pills,
            "Videos with",
            FILTERS,
            selection_mode="multi",
            key="only",
            on_change=go_to_first,
            help="\n".join(
                [
                    *(f"- {outcome}: {OUTCOMES[outcome]}" for outcome in OUTCOME_COLUMNS),
                    f"- {SELECTED_LABEL}: the label under “Label explanation” is true",
                ]
            ),
        )
    if order == SORT_ORDERS[0] and not filters:
        return None, ()
    table = scores.video_outcomes(page, st.session_state.get("threshold", THRESHOLD))
    for outcome, column in OUTCOME_COLUMNS.items():
        if outcome in filters:
            table = table[table[column] > 0]
    if SELECTED_LABEL in filters:
        label = label_names(page.run.vocabulary).get(st.session_state.get("label") or "")
        if label is None:
            st.caption(":material/info: No label is selected. Select one under “Label explanation”.")
        else:
            table = table[page.scores.truth[table.index][:, [label]].toarray().ravel() > 0]
    return sort_videos(table, order), tuple(filters)


def _accept_old_filters() -> None:
    """Translate the filters of a link made by an older version."""
    values = st.query_params.get_all("only")
    if "only" not in st.session_state and set(values) & set(OLD_FILTERS):
        st.session_state["only"] = [OLD_FILTERS.get(value, value) for value in values]


def _show_list(page: PageContext, table: pd.DataFrame, position: int) -> None:
    """Show the rank of the video in the list, and the list."""
    rows = np.flatnonzero(table["video"] == position)
    rank = f"Video {rows[0] + 1:,} of {len(table):,}" if len(rows) else f"Not one of the {len(table):,} videos"
    videos = page.run_videos
    sample = ""
    if page.scores.is_sample:
        sample = f" These are from a random sample of the {len(videos):,} videos of the data set."
    st.caption(f"{rank} selected above.{sample}")
    with st.expander("Video list", icon=":material/list:", key="list", on_change="rerun") as expander:
        if not expander.open:
            return
        table = table.assign(id=[videos.id(video) for video in table["video"].tolist()])

        def open_video() -> None:
            if cells := st.session_state["videos listed"]["selection"]["cells"]:
                st.session_state["video"] = table["id"].iloc[cells[0][0]]

        st.caption("Click a video to open it.")
        st.dataframe(
            table,
            hide_index=True,
            column_order=["id", "ap", "labels", "worst_rank", "false_negatives", "false_positives"],
            column_config={
                "id": st.column_config.TextColumn("Video", pinned=True),
                "ap": st.column_config.ProgressColumn(
                    "Average precision", help="1 if all true labels of the video rank above all others."
                ),
                "labels": st.column_config.NumberColumn("True labels"),
                "worst_rank": st.column_config.NumberColumn("Lowest true rank", format="localized"),
                "false_negatives": st.column_config.NumberColumn(
                    "False negatives", help=f"Number of {OUTCOMES['false negative']}."
                ),
                "false_positives": st.column_config.NumberColumn(
                    "False positives", help=f"Number of {OUTCOMES['false positive']}."
                ),
            },
            key="videos listed",
            on_select=open_video,
            selection_mode="single-cell",
            alt="Selected videos with average precision, false negatives and false positives",
        )
        download_csv(table, "videos")


def upload_video(page: PageContext, provenance: DeltaGenerator) -> SelectedVideo:
    """Select a video of an uploaded file. Ends the page without a file."""
    run = page.run
    with provenance:
        show_provenance(page, run=run)
    digest, number, video = _read_upload(run)
    for note in video.notes:
        st.caption(f":material/info: {plain(note)}")
    return SelectedVideo(
        video.id,
        _usable_labels(run, video),
        video.frames,
        f"{digest} {number}",
        loaders.upload_prediction(run, digest, number, video.frames),
        f"your file, run of the {SCALE_NAMES.get(run.facts.scale, run.facts.scale)}",
    )


def _read_upload(run: Run) -> tuple[str, int, UploadedVideo]:
    """Return the digest of the uploaded file, and the position and content of the selected video in it."""
    per_second = "seconds, " if run.facts.schema.level == "frame" else ""
    streams = " and ".join(f"{name} [{per_second}{width}]" for name, width in run.facts.schema.streams)
    file = st.file_uploader(
        "Feature file",
        [ending.removeprefix(".") for ending in EXTENSIONS],
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help="The file is read in memory and not stored.",
    )
    st.caption(
        f".npz with {plain(streams)}, .npy with the streams side by side, .tfrecord in YouTube-8M's format, or "
        "features.pb written by MediaPipe."
    )
    if file is None:
        with contextlib.suppress(UserError):  # no example without the run's own data
            own = DataSet(run.experiment.data.validation or run.experiment.data.train)
            example = loaders.example_file(loaders.run_videos(run, own), 0)
            st.download_button(
                "Download example file", example, "example.npz", icon=":material/download:", on_click="ignore"
            )
        st.stop()
    content = file.getvalue()
    digest = loaders.content_digest(content)
    videos = loaders.uploaded_videos(run, file.name, digest, content)
    number = 0
    if len(videos) > 1:
        ids = [f"{number}. {video.id}" for number, video in enumerate(videos, 1)]
        number = ids.index(st.selectbox(f"Video ({len(videos):,} in the file)", ids, key="video_of_file"))
    return digest, number, videos[number]


def _usable_labels(run: Run, video: UploadedVideo) -> tuple[int, ...] | None:
    """Return the file's labels if they can be the run's labels, and show what is assumed about them."""
    labels = ", ".join(map(str, video.labels or ()))
    num_classes = run.vocabulary.num_classes
    if any(label >= num_classes for label in video.labels or ()):
        st.warning(
            f"The file and the run use different label sets: the file has {labels}, and the run has 0 to "
            f"{num_classes - 1}. Predictions use the run's labels; the true ones are unknown.",
            icon=":material/warning:",
        )
        return None
    if video.labels and run.facts.scale == "demo" and not loaders.is_demo_video(run, video.id):
        st.warning(
            f"The file and the run use different label sets: the run has the {num_classes} synthetic labels of the "
            f"demo world, and the file, with labels {labels}, is not a demo video. Predictions use the run's labels; "
            "the true ones are unknown.",
            icon=":material/warning:",
        )
        return None
    if video.labels:
        st.caption(
            f":material/info: The file's label numbers ({labels}) are read as the run's label numbers. If the file "
            "uses another label set, they do not apply."
        )
    return video.labels
