"""The video that the page of predictions shows: one of the data set, in an order of one's choice, or out of a file."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders as state
from cache import scores as answers
from components.selectors import (
    chosen_data,
    download_csv,
    label_names,
    plain,
    provenance,
    scale_words,
    video_picker,
    videos_for,
)
from yt8m_core.analysis.outcomes import VERDICTS
from yt8m_core.analysis.per_video import ORDERS, in_order
from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.data.upload import ENDINGS, MAX_BYTES, UploadedVideo
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.inference.prediction import Prediction

THRESHOLD = 0.5  # at first
WITH = ("a miss", "a false alarm", "the chosen label")


@dataclass(frozen=True)
class Shown:
    """The video of the page, and what the run says of it."""

    video_id: str
    true_labels: tuple[int, ...] | None
    frames: NDArray[Any]
    digest: str  # of the frames
    prediction: "Prediction"
    scale: str
    data: state.DataSet | None = None  # where it is of one
    labeled: bool = False  # whether that one has any labels
    video: int = 0  # its place there
    walked_by: tuple[str, ...] = ()  # what its neighbors are chosen by, of ``WITH``


def of_data_set(run: Run, where: Any) -> Shown:
    """A video of the data set."""
    data = chosen_data()
    videos = videos_for(run, data)
    with where:
        provenance(run=run, data=(data, videos))
    labeled = bool(videos.labeled.any())
    listed, only = _listed(run, data) if labeled else (None, ())
    if listed is not None and listed.empty:
        st.info(f"No video has {' and '.join(only)}. Previous and next go through all.", icon=":material/info:")
        listed = None
    if st.session_state.pop("first of the list", False) and listed is not None:
        st.session_state["video"] = videos.id(int(listed["video"].iloc[0]))
    video = video_picker(videos, None if listed is None else listed["video"].to_numpy(np.int64))
    if listed is not None:
        _show(videos, listed, video, answers.scored(run, data).sampled)
    frames = videos.frames(video)
    return Shown(
        videos.id(video),
        tuple(videos.labels(video).tolist()) if videos.labeled[video] else None,
        frames,
        state.digest(frames.tobytes()),
        state.prediction(run, data, video),
        scale_words(data, videos),
        data,
        labeled,
        video,
        only,
    )


def _listed(run: Run, data: state.DataSet) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """The videos that previous and next go through, None for all as they come, and what all of them have."""

    def start_anew() -> None:
        st.session_state["first of the list"] = True

    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.segmented_control(
            "In the order of",
            ORDERS,
            key="order",
            bind="query-params",
            default=ORDERS[0],
            required=True,
            on_change=start_anew,
            help="Hard is a video whose true labels stand low in its ranking: by the average precision of the ranking.",
        )
        only = st.pills(
            "Only videos with",
            WITH,
            selection_mode="multi",
            key="only",
            bind="query-params",
            on_change=start_anew,
            help=f"A miss: {VERDICTS['miss']}. A false alarm: {VERDICTS['false alarm']}. The chosen label: the one "
            "under “Why this label?”, where the data give it to the video.",
        )
    label = label_names(run.vocabulary).get(st.session_state.get("label") or "")
    if order == ORDERS[0] and not only:
        return None, ()
    listed = answers.video_list(run, data, st.session_state.get("threshold", THRESHOLD))
    for name, column in (("a miss", "misses"), ("a false alarm", "false_alarms")):
        if name in only:
            listed = listed[listed[column] > 0]
    if WITH[2] in only:
        if label is None:
            st.caption(":material/info: No label is chosen yet: choose one under “Why this label?”.")
        else:
            listed = listed[answers.scored(run, data).truth[listed.index][:, [label]].toarray().ravel() > 0]
    return in_order(listed, order), tuple(only)


def _show(videos: Videos, listed: pd.DataFrame, video: int, sampled: bool) -> None:
    """Where the video stands in the list, and the list."""
    rows = np.flatnonzero(listed["video"] == video)
    place = f"Video {rows[0] + 1:,} of {len(listed):,}" if len(rows) else f"Not among the {len(listed):,} videos"
    note = f" Out of a random sample of the {len(videos):,} videos of the data set." if sampled else ""
    st.caption(f"{place} chosen above.{note}")
    with st.expander("See the list", icon=":material/list:", key="list", on_change="rerun") as opened:
        if not opened.open:
            return
        table = listed.assign(id=[videos.id(number) for number in listed["video"].tolist()])

        def take() -> None:
            if cells := st.session_state["videos listed"]["selection"]["cells"]:
                st.session_state["video"] = table["id"].iloc[cells[0][0]]

        st.caption("Click a video to see it.")
        st.dataframe(
            table,
            hide_index=True,
            column_order=["id", "ap", "labels", "worst_rank", "misses", "false_alarms"],
            column_config={
                "id": st.column_config.TextColumn("Video", pinned=True),
                "ap": st.column_config.ProgressColumn(
                    "Average precision", help="Of the video's own ranking: 1 where its labels stand before all others."
                ),
                "labels": st.column_config.NumberColumn("True labels"),
                "worst_rank": st.column_config.NumberColumn("Last true label at rank", format="localized"),
                "misses": st.column_config.NumberColumn("Misses", help=f"Labels {VERDICTS['miss']}."),
                "false_alarms": st.column_config.NumberColumn("False alarms", help=f"{VERDICTS['false alarm']}."),
            },
            key="videos listed",
            on_select=take,
            selection_mode="single-cell",
            alt="The chosen videos with the average precision of each one's ranking, misses and false alarms",
        )
        download_csv(table, "videos")


def of_file(run: Run, where: Any) -> Shown:
    """A video of one's own."""
    with where:
        provenance(run=run)
    digest, number, mine = _read_file(run)
    for note in mine.notes:
        st.caption(f":material/info: {plain(note)}")
    return Shown(
        mine.id,
        _labels_that_fit(run, mine),
        mine.frames,
        f"{digest} {number}",
        state.prediction_of_upload(run, digest, number, mine.frames),
        f"your file, run of the {SCALE_WORDS.get(run.facts.scale, run.facts.scale)}",
    )


def _read_file(run: Run) -> tuple[str, int, UploadedVideo]:
    """The video of one's own: what its file is known by, and which of its videos it is. Ends the page without one."""
    per_second = "seconds, " if run.facts.schema.level == "frame" else ""
    streams = " and ".join(f"{name} [{per_second}{width}]" for name, width in run.facts.schema.streams)
    file = st.file_uploader(
        f"An .npz with {plain(streams)}, an .npy with them side by side, a .tfrecord in YouTube-8M's format, or the "
        "features.pb that MediaPipe's extractor writes",
        [ending.removeprefix(".") for ending in ENDINGS],
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help="The file is read in memory and kept nowhere.",
    )
    if file is None:
        with contextlib.suppress(UserError):  # the run's own data are gone: no example, then
            example = state.example_file(state.videos_for(run, state.DataSet(run.experiment.data.validation)), 0)
            st.download_button(
                "Download an example file", example, "example.npz", icon=":material/download:", on_click="ignore"
            )
        st.stop()
    content = file.getvalue()
    digest = state.digest(content)
    found = state.uploaded(run, file.name, digest, content)
    number = 0
    if len(found) > 1:
        ids = [f"{number}. {video.id}" for number, video in enumerate(found, 1)]
        number = ids.index(st.selectbox(f"Video of the {len(found):,} in the file", ids, key="video_of_file"))
    return digest, number, found[number]


def _labels_that_fit(run: Run, mine: UploadedVideo) -> tuple[int, ...] | None:
    """The file's labels, where they can be the run's; says what is to be known of them."""
    given = ", ".join(map(str, mine.labels or ()))
    known = run.vocabulary.num_classes
    if any(label >= known for label in mine.labels or ()):
        st.warning(
            f"The file and the run have different sets of labels: the file gives {given}, and the run knows 0 to "
            f"{known - 1}. The predictions are in the run's labels; which are true is not known.",
            icon=":material/warning:",
        )
        return None
    if mine.labels and run.facts.scale == "demo" and not state.of_demo_world(run, mine.id):
        st.warning(
            f"The file and the run have different sets of labels: the run knows the {known} made-up "
            f"labels of the demo world, and the file, whose labels are {given}, is no video of it. The predictions are "
            "in the run's labels; which are true is not known.",
            icon=":material/warning:",
        )
        return None
    if mine.labels:
        st.caption(
            f":material/info: The numbers of the file's labels, {given}, are taken as the run numbers its labels. If "
            "the file has another set of labels, they mean something else."
        )
    return mine.labels
