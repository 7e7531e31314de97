"""Predictions page: the selected video, and its selection from the data set."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cache import loaders
from components.charts import MAX_KEY_LENGTH, figure_code, provenance_text
from components.selectors import require_run_videos, show_provenance
from components.video_filters import ALL_VIDEOS, VideoFilters
from components.video_selection import pick_selected_video
from context import PageContext
from yt8m_core.figures.style import shorten_names

if TYPE_CHECKING:
    from yt8m_core.inference.prediction import Prediction

DATA_SET = "data set"  # the source of videos that are not uploaded


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

    def title(self, start: str) -> str:
        """Return a figure title that ends with the video's id."""
        return f"{start} video {html.escape(self.id)}"

    def provenance(self, page: PageContext, *, with_run: bool = True) -> str:
        """Return the run, unless the chart names its runs, and the data set, or that the video is from a file."""
        if not self.is_upload:
            return provenance_text(page, with_run=with_run)
        (run,) = shorten_names([page.run_key], MAX_KEY_LENGTH)
        return f"run {run} · {self.scale}" if with_run else self.scale

    def code(self, page: PageContext, figure: str, *arguments: str, setup: str = "", **options: Any) -> str:
        """Return Python code that draws a figure of the video, which its arguments may call ``video``.

        Empty for an uploaded video, which no data set has. Arguments as in ``figure_code``.
        """
        if self.is_upload:
            return ""
        lines = "\n".join([f"video = view.video({self.id!r})", *([setup] if setup else [])])
        return figure_code(page, figure, *arguments, setup=lines, **options)


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
