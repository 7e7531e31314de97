"""Cached loading of runs, data sets, models and predictions.

Each cache key holds a stamp of the files behind the value, so a retrained run and a replaced shard show at the next
rerun. A stamp is computed once per script run. Cached values are shared by all pages and sessions: do not modify them.
"""

import contextlib
import hashlib
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cache.addresses import check_named, remote_stamp
from yt8m_core.analysis.data_labels import Labels, count_labels
from yt8m_core.data.checks import DataCheck, check_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.scale import find_demo_world
from yt8m_core.data.schema import Streams
from yt8m_core.data.shards import find_shards
from yt8m_core.data.vocabulary import find_vocabulary
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.labels import cooccurrence as label_pairs
from yt8m_core.runs.data_paths import advise_relocation
from yt8m_core.runs.run import Run
from yt8m_core.storage.address import is_address
from yt8m_core.storage.file_state import FileState

# torch takes seconds to import. Import what needs it inside functions: the first page works without.
if TYPE_CHECKING:
    from context import PageContext
    from yt8m_core.data.features import UploadedVideo
    from yt8m_core.inference.prediction import Prediction
    from yt8m_core.models.classifier import VideoClassifier

MAX_FRAMES = 300  # of a data set that is opened without a run
# Files of a run whose content is cached with the run; others have stamps of their own.
RUN_FILES = (
    "config.json", "vocabulary.csv", "metrics.json", "model.safetensors", "predictions.parquet",
    "label_precision.parquet",
)  # fmt: skip
READING = "Reading the data set. The first time, every record is checked…"


def file_stamp(files: Iterable[Path]) -> str:
    """Return a digest of the paths and states of the files that exist."""
    digest = hashlib.sha256()
    for file in files:
        # The file may be missing, or the path invalid.
        with contextlib.suppress(OSError, ValueError):
            state = "\0".join(map(str, astuple(FileState.of(file.stat()))))
            digest.update(f"{file}\0{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def run_stamp(path: Path) -> str:
    """Return the stamp of a run folder."""
    return file_stamp(path / name for name in RUN_FILES)


@dataclass(frozen=True)
class StampedRun(Run):
    """A run with the stamp that its folder had when it was listed."""

    stamp: str = ""

    @property
    def cache_key(self) -> tuple[str, ...]:
        """What identifies the run in a cache."""
        return str(self.path), self.stamp


def _data_stamp(path: str, named_vocabulary: str) -> str:
    try:
        shards = find_shards(path)
    except UserError:
        return ""
    vocabulary = named_vocabulary or find_vocabulary(path)
    return file_stamp([*shards, *([Path(vocabulary)] if vocabulary else [])])


@dataclass(frozen=True)
class DataSet:
    """A data set that can be opened."""

    path: str
    vocabulary: str = ""  # path of the vocabulary that a run names for it
    streams: Streams = ()
    owner: Run | None = field(default=None, compare=False)  # whose data these are, for advice where they are missing

    @cached_property
    def stamp(self) -> str:
        """Stamp of the shards and the vocabulary; empty where there are no shards, which ``videos`` reports."""
        return remote_stamp(self.path) if is_address(self.path) else _data_stamp(self.path, self.vocabulary)

    @property
    def cache_key(self) -> tuple[Any, ...]:
        """What identifies the data set in a cache."""
        return self.path, self.vocabulary, self.streams, self.stamp

    @cached_property
    def truth_file(self) -> tuple[Path, str] | None:
        """Folder and stamp of the ground truth of a demo data set; None for any other data set."""
        world = find_demo_world(self.path)
        return None if world is None else (world, file_stamp([world / "truth.parquet"]))


def training_data(run: Run) -> DataSet:
    """Return the training data of a run."""
    data = run.experiment.data
    return DataSet(data.train, data.vocabulary, data.streams, run)


def _cache_key(value: "StampedRun | DataSet | PageContext") -> tuple[Any, ...]:
    return value.cache_key


HASH_FUNCS: dict[str | type[Any], Any] = {
    StampedRun: _cache_key,
    DataSet: _cache_key,
    "context.PageContext": _cache_key,
}


@st.cache_resource(max_entries=4, show_spinner=READING, hash_funcs=HASH_FUNCS)
def _open_videos(data: DataSet, streams: Streams, max_frames: int) -> Videos:
    return open_videos(data.path, max_frames=max_frames, streams=streams or None)


def videos(data: DataSet) -> Videos:
    """Open the videos of a data set."""
    check_named(data.path, data.vocabulary)
    with contextlib.nullcontext() if data.owner is None else advise_relocation(data.owner, data.path):
        return _open_videos(data, data.streams, MAX_FRAMES)


def run_videos(run: Run, data: DataSet) -> Videos:
    """Open the videos of a data set as a run reads them.

    Raises:
        UserError: Features or labels are not those of the run.
    """
    from yt8m_core.inference.evaluation import check_run_data

    check_named(data.path, data.vocabulary)
    with advise_relocation(data.owner or run, data.path):
        opened = _open_videos(data, run.experiment.data.streams, run.experiment.data.max_frames)
    check_run_data(run, opened, data.path)
    return opened


@st.cache_resource(max_entries=16, show_spinner="Checking the data set…", hash_funcs=HASH_FUNCS)
def data_checks(data: DataSet) -> tuple[DataCheck, ...]:
    """Check a data set for faults that no single record shows."""
    return check_videos(videos(data))


@st.cache_resource(max_entries=16, show_spinner="Checking the data set…", hash_funcs=HASH_FUNCS)
def scale_check(run: Run, data: DataSet) -> tuple[DataCheck, ...]:
    """Check whether a data set with the streams of a run has features of the same scale."""
    from yt8m_core.data.feature_check.scale import check_scale

    return check_scale(videos(data), run.facts.feature_norms)


def with_run_streams(data: DataSet, run: Run) -> DataSet:
    """Return a data set with the streams of a run where its own are neither named nor recognized."""
    streams = run.experiment.data.streams
    if streams and not data.streams:
        try:
            videos(data)
        except UserError:
            return replace(data, streams=streams)
    return data


@st.cache_resource(max_entries=4, show_spinner="Counting labels…", hash_funcs=HASH_FUNCS)
def labels(data: DataSet) -> Labels:
    """Count the labels of a data set.

    Raises:
        UserError: No video has labels.
    """
    check_named(data.path, data.vocabulary)
    return count_labels(videos(data), data.path, data.vocabulary or None)


@st.cache_resource(max_entries=2, show_spinner="Counting label pairs…", hash_funcs=HASH_FUNCS)
def cooccurrence(data: DataSet) -> csr_array:
    """Count the videos of each pair of labels: [C, C]."""
    return label_pairs.count_pairs(labels(data).matrix)


@st.cache_resource(max_entries=4, show_spinner="Ranking label pairs…", hash_funcs=HASH_FUNCS)
def strongest_pairs(data: DataSet, measure: str, minimum_support: int) -> pd.DataFrame:
    """Rank all pairs of labels with a minimum number of videos, strongest first."""
    pairs = cooccurrence(data)
    return label_pairs.strongest_pairs(pairs, labels(data).num_videos, measure, minimum_support, limit=pairs.nnz)


@st.cache_resource(max_entries=2, show_spinner="Loading the model…", hash_funcs=HASH_FUNCS)
def model(run: Run) -> "VideoClassifier":
    """Load the trained model of a run."""
    return run.load_model()


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def has_attention(run: Run) -> bool:
    """Return whether the pooling of a run weights the frames."""
    from yt8m_core.inference.prediction import has_attention as pooling_has_attention

    return pooling_has_attention(run.experiment.pooling, run.facts.schema.width)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def prediction(page: "PageContext", video: int) -> "Prediction":
    """Predict the labels of one video of the data set."""
    from yt8m_core.inference.prediction import predict_video

    return predict_video(page.model, page.run_videos.frames(video))


def ratings(data: DataSet, video: int, label: int) -> list[tuple[int, bool]]:
    """Return the ratings of a label in the segments of a video: (start, whether it is present) each."""
    found = videos(data).column("ratings")[video].as_py() or []
    return [(rating["start"], rating["is_present"]) for rating in found if rating["label"] == label]


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_truth(world: Path, stamp: str) -> pd.DataFrame:
    return demo.read_truth(world)


def demo_truth(data: DataSet) -> pd.DataFrame | None:
    """Return the ground truth of a demo data set by video id; None for any other data set."""
    return None if data.truth_file is None else _read_truth(*data.truth_file)


def is_demo_video(run: Run, video_id: str) -> bool:
    """Return whether a video is one of the demo world that a run was trained on."""
    truth = demo_truth(training_data(run))
    return truth is not None and video_id in truth.index


def main_scene(data: DataSet, video_id: str, num_frames: int) -> list[tuple[int, int]] | None:
    """Return the true main scene of a demo video as intervals of frames; None for any other video."""
    truth = demo_truth(data)
    return None if truth is None else demo.main_scene(truth, video_id, num_frames)


def content_digest(content: bytes) -> str:
    """Return a digest that identifies some content in a cache."""
    return hashlib.sha256(content).hexdigest()


@st.cache_resource(max_entries=16, show_spinner="Reading the file…", hash_funcs=HASH_FUNCS)
def uploaded_videos(run: Run, name: str, digest: str, _content: bytes) -> "list[UploadedVideo]":
    """Read the videos of an uploaded file for a run.

    Raises:
        UserError: The file cannot be used.
    """
    from yt8m_core.data.features import read_upload

    return read_upload(name, _content, run.facts.schema, max_frames=run.experiment.data.max_frames)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def upload_prediction(run: Run, digest: str, number: int, _frames: NDArray[Any]) -> "Prediction":
    """Predict the labels of one video of an uploaded file."""
    from yt8m_core.inference.prediction import predict_video

    return predict_video(model(run), _frames)


def example_file(videos: Videos, video: int) -> bytes:
    """Return a video as an .npz file that can be uploaded."""
    names, widths = zip(*videos.schema.streams, strict=True)
    columns = np.split(videos.frames(video), np.cumsum(widths)[:-1], axis=1)
    arrays: dict[str, NDArray[Any]] = dict(zip(names, columns, strict=True))
    file = io.BytesIO()
    np.savez_compressed(file, **arrays, labels=videos.labels(video), id=np.array(videos.id(video)))  # type: ignore[arg-type]
    return file.getvalue()
