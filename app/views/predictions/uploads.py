"""Predictions page: videos of uploaded files.

One video opens at once. Several are listed in a table first; a file that cannot be read has a row with its error.
"""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders, scores
from cache.loaders import DataSet
from components.page_end import end_page
from components.selection import on_selection
from components.selectors import download_csv, show_provenance
from components.text import plain, show_error
from context import PageContext
from upload_budget import SESSION_BYTES, check_budget
from views.predictions.feature_check import GRADES
from views.predictions.video_source import SelectedVideo
from yt8m_core.data.features import MAX_BYTES, UploadedVideo
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from yt8m_core.inference.prediction import Prediction

MAX_FILES = 16
MAX_PREDICTED = 50  # videos of the table with predictions; the others are predicted when they are opened
TOP_LABELS = 3


@dataclass(frozen=True)
class Upload:
    """A video of an uploaded file, or the error of a file.

    Attributes:
        file: Name of the file.
        digest: Digest of its content.
        number: Position of the video in the file.
        video: The video; None for a file that cannot be read.
        error: Why the file cannot be read.
    """

    file: str
    digest: str
    number: int
    video: UploadedVideo | None
    error: UserError | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the video while other files are added and removed."""
        return self.digest, self.number


def upload_video(page: PageContext, provenance: DeltaGenerator) -> SelectedVideo:
    """Select a video of the uploaded files. Ends the page where there is none."""
    run = page.run
    with provenance:
        show_provenance(page, run=run)
    files = _select_files(run)
    uploads = [upload for file in files for upload in _read_file(run, file)]
    upload = uploads[0] if len(uploads) == 1 else _select_upload(run, uploads)
    if upload is None or upload.video is None:
        if upload is not None and upload.error is not None:
            show_error(upload.error)
        end_page()
    video = upload.video
    for note in video.notes:
        st.caption(f":material/info: {plain(note)}")
    return SelectedVideo(
        video.id,
        _usable_labels(run, video),
        video.frames,
        f"{upload.digest} {upload.number}",
        _predict(run, upload, video),
        f"your file, run of the {SCALE_NAMES.get(run.facts.scale, run.facts.scale)}",
    )


def _select_files(run: Run) -> "list[UploadedFile]":
    """Return the uploaded files. Ends the page without a file."""
    per_second = "seconds, " if run.facts.schema.level == "frame" else ""
    streams = " and ".join(f"{name} [{per_second}{width}]" for name, width in run.facts.schema.streams)
    files = st.file_uploader(
        "Feature files",
        # Any type: the browser would keep the error of a refused file next to the files that follow.
        type=None,
        accept_multiple_files=True,
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help=f"Files are read in memory and not stored: up to {SESSION_BYTES >> 20} MiB in total.",
    )
    st.caption(
        f".npz with {plain(streams)}, .npy with the streams side by side, .tfrecord in YouTube-8M's format, or "
        "features.pb written by MediaPipe."
    )
    if not files:
        with contextlib.suppress(UserError):  # no example without the run's own data
            own = DataSet(run.experiment.data.validation or run.experiment.data.train)
            example = loaders.example_file(loaders.run_videos(run, own), 0)
            st.download_button(
                "Download example file", example, "example.npz", icon=":material/download:", on_click="ignore"
            )
        end_page()
    if len(files) > MAX_FILES:
        st.caption(f":material/info: Only the first {MAX_FILES} of {len(files)} files are read.")
    return files[:MAX_FILES]


def _read_file(run: Run, file: "UploadedFile") -> list[Upload]:
    """Return the videos of a file, or its error."""
    content = file.getvalue()
    digest = loaders.content_digest(content)
    try:
        check_budget(file.name, content)
        videos = loaders.uploaded_videos(run, file.name, digest, content)
    except UserError as error:
        return [Upload(file.name, digest, 0, None, error)]
    return [Upload(file.name, digest, number, video) for number, video in enumerate(videos)]


def _predict(run: Run, upload: Upload, video: UploadedVideo) -> "Prediction":
    return loaders.upload_prediction(run, upload.digest, upload.number, video.frames)


def _select_upload(run: Run, uploads: list[Upload]) -> Upload | None:
    """Select one of several videos, by its name or by a click on its row; None where no file can be read."""
    names = {f"{number}. {upload.video.id}": upload for number, upload in enumerate(uploads, 1) if upload.video}
    table = _upload_table(run, uploads)

    # A table of its own for other files: the first click on a table whose rows changed is ignored.
    key = f"uploads {hash(tuple(upload.digest for upload in uploads))}"

    def keep_open() -> None:
        st.session_state["opened upload"] = names[st.session_state["video_of_file"]].key

    def open_row(cells: list[tuple[int, str]]) -> None:
        st.session_state["opened upload"] = uploads[cells[0][0]].key

    opened, selected = st.session_state.get("opened upload"), st.session_state.get("video_of_file")
    if selected not in names or names[selected].key != opened:  # a file was removed: numbers have changed
        same = [name for name, upload in names.items() if upload.key == opened]
        st.session_state["video_of_file"] = same[0] if same else next(iter(names), None)
    failed = len(uploads) - len(names)
    count = pluralize(len(names), "video") + (f", {pluralize(failed, 'file')} cannot be read" if failed else "")
    st.markdown(f"**{count}**")
    st.dataframe(
        table,
        hide_index=False,
        column_order=["file", "video", "seconds", "top", "features", "error"]
        if failed
        else ["file", "video", "seconds", "top", "features"],
        column_config={
            "file": st.column_config.TextColumn("File", width=140),
            "video": st.column_config.TextColumn("Video", width=120),
            "seconds": st.column_config.NumberColumn("Seconds", width=65),
            "top": st.column_config.TextColumn("Top labels"),
            "features": st.column_config.TextColumn(
                "Features", help="Whether the features resemble those of the training data.", width=90
            ),
            "error": st.column_config.TextColumn("Error", width="large"),
        },
        key=key,
        on_select=on_selection(key, "cells", open_row),
        selection_mode="single-cell",
        height=min(36 * (len(table) + 1), 320),
        placeholder="–",
        alt=f"{len(names)} videos of the uploaded files with their top labels and the check of their features",
    )
    download_csv(table, "uploads")
    if len(uploads) > MAX_PREDICTED:
        st.caption(
            f"Only the first {MAX_PREDICTED} videos have predictions here. The others are predicted when opened."
        )
    if not names:
        return None
    name = st.selectbox(
        "Video", list(names), key="video_of_file", on_change=keep_open, width=340, help="Or click a row."
    )
    st.session_state["opened upload"] = names[name].key
    return names[name]


def _upload_table(run: Run, uploads: list[Upload]) -> pd.DataFrame:
    """Describe each video, the first ones with their top labels and the verdict of the feature check."""
    rows: list[dict[str, Any]] = []
    for upload in uploads:
        row: dict[str, Any] = {"file": upload.file, "error": str(upload.error) if upload.error else None}
        if upload.video is not None:
            row |= {"video": upload.video.id, "seconds": len(upload.video.frames)}
            if len(rows) < MAX_PREDICTED:
                row |= _describe(run, upload, upload.video)
        rows.append(row)
    columns = ["file", "video", "seconds", "top", "features", "error"]
    table = pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(1, len(rows) + 1))
    return table.astype({"seconds": "Int64"})


def _describe(run: Run, upload: Upload, video: UploadedVideo) -> dict[str, str]:
    """Return the top labels of a video and the grade of its features; a feature that is not checked has none."""
    p = _predict(run, upload, video).probabilities
    top = np.argsort(-p, kind="stable")[:TOP_LABELS].tolist()
    check = scores.feature_check(run, f"{upload.digest} {upload.number}", video.frames)
    return {
        "top": ", ".join(f"{run.vocabulary.name(label)} {p[label]:.3f}" for label in top),
        "features": GRADES[check.grade] if check else "not checked",
    }


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
