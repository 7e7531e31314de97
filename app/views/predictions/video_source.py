"""Predictions page: selection of a video from the data set or from an uploaded file."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cache import loaders
from cache.loaders import DataSet
from components.selectors import require_run_videos, show_provenance
from components.text import plain
from components.video_filters import ALL_VIDEOS, VideoFilters
from components.video_selection import pick_selected_video
from context import PageContext
from yt8m_core.data.features import EXTENSIONS, MAX_BYTES, UploadedVideo
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.inference.prediction import Prediction


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
        filters: Filters of Previous and Next.
    """

    id: str
    true_labels: tuple[int, ...] | None
    frames: NDArray[Any]
    digest: str
    prediction: "Prediction"
    scale: str
    position: int | None = None
    main_scene: list[tuple[int, int]] | None = None
    filters: VideoFilters = ALL_VIDEOS

    @property
    def is_upload(self) -> bool:
        """Whether the video is from an uploaded file."""
        return self.position is None


def select_video(page: PageContext, provenance: DeltaGenerator) -> SelectedVideo:
    """Select a video of the data set."""
    videos = require_run_videos(page)
    with provenance:
        show_provenance(page, run=page.run, videos=videos)
    position, filters = pick_selected_video(page, videos, picks_label=False)
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
