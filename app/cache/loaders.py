"""What there is to show, and its contents: loaded once, and kept for as long as the files stay the same.

Every cache is keyed by the sizes and times of the files behind it, so a run that is trained again and a shard that is
replaced show at the next look. What is cached is shared by all pages and sessions: nobody may change it.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import find_shards
from yt8m_core.data.scale import demo_world_of
from yt8m_core.data.schema import Streams
from yt8m_core.data.vocabulary import Vocabulary, find_vocabulary, vocabulary_of
from yt8m_core.demo import world as demo
from yt8m_core.demo.runs import demo_folder, runs_folder
from yt8m_core.errors import UserError
from yt8m_core.labels import statistics
from yt8m_core.runs.run import Run, find_runs
from yt8m_core.storage.atomic import as_text

# torch takes seconds to import: what needs it is imported where a model is needed, and the first page does without.
if TYPE_CHECKING:
    from yt8m_core.data.upload import UploadedVideo
    from yt8m_core.inference.prediction import Prediction
    from yt8m_core.models.classifier import VideoClassifier

Stamp = tuple[tuple[str, int, int], ...]  # path, size and time of files


def stamp_of(files: Iterable[Path]) -> Stamp:
    """Of the files that are there."""
    found = []
    for file in files:
        # It may not be there, or have just gone, or nothing can have its name.
        with contextlib.suppress(OSError, ValueError):
            stat = file.stat()
            found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def run_stamp(path: Path) -> Stamp:
    """Of what makes a run folder what it is."""
    return stamp_of(path / name for name in ("config.json", "vocabulary.csv", "metrics.json", "model.safetensors"))


@dataclass(frozen=True)
class DataSet:
    """A data set that may be opened."""

    path: str
    vocabulary: str = ""  # the file that a run names for it
    streams: Streams = ()

    @cached_property
    def stamp(self) -> Stamp:
        """Of its shards and its vocabulary; empty where there are no shards, of which ``videos`` tells."""
        try:
            shards = find_shards(self.path)
        except UserError:
            return ()
        vocabulary = Path(self.vocabulary) if self.vocabulary else find_vocabulary(Path(self.path))
        return stamp_of([*shards, *([vocabulary] if vocabulary else [])])


@dataclass(frozen=True)
class Labels:
    """The labels of a data set, and how often each occurs."""

    vocabulary: Vocabulary
    num_videos: int  # of those whose labels are known
    matrix: csr_array
    table: pd.DataFrame  # as from rank_frequency


BY_CONTENT: dict[str | type[Any], Any] = {
    Run: lambda run: (str(run.path), run_stamp(run.path)),
    DataSet: lambda data: (data.path, data.vocabulary, data.streams, data.stamp),
}
READING = "Reading the data set. The first time, every record is checked…"


def places() -> tuple[list[Path], list[Path]]:
    """Where runs are looked for, and the data sets that are shown beside those of the runs."""

    def named(variable: str) -> list[Path]:
        return [Path(part).expanduser().absolute() for part in os.environ.get(variable, "").split(os.pathsep) if part]

    world = demo_folder()
    built = [world / "validation", world / "train"] if (world / "world.json").is_file() else []
    return [runs_folder(), *named("YT8M_RUNS")], [*built, *named("YT8M_DATA")]


def run_folders() -> dict[str, Path]:
    """The run folders by a short key."""
    folders, _ = places()
    found = (
        path
        for folder in folders
        for path in ([folder] if os.path.isfile(folder / "config.json") else find_runs(folder))
    )
    return _by_key(found, parts=1)


def find_all_runs() -> tuple[dict[str, Run], dict[str, str]]:
    """The finished runs by a short key, and what is wrong with the others."""
    runs: dict[str, Run] = {}
    faults: dict[str, str] = {}
    for key, path in run_folders().items():
        run = _open_run(path, run_stamp(path))
        if isinstance(run, Run):
            runs[key] = run
        else:
            faults[key] = run
    return runs, faults


def find_all_data(runs: Iterable[Run]) -> dict[str, DataSet]:
    """The data sets by a short key: the demo world's, the runs' own, and those of the environment."""
    own = {
        path: DataSet(path, run.experiment.data.vocabulary, run.experiment.data.streams)
        for run in runs
        for path in (run.experiment.data.validation, run.experiment.data.train)
    }
    _, named = places()
    paths = _by_key([*named, *(Path(path) for path in own)], parts=2)
    return {key: own.get(str(path), DataSet(str(path))) for key, path in paths.items()}


def _by_key(paths: Iterable[Path], parts: int) -> dict[str, Path]:
    """Paths by what links call them: their last parts, with a digest of the whole path where two share those."""
    found: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        key = as_text("/".join(path.parts[-parts:]))
        found[f"{key} {hashlib.sha256(bytes(path)).hexdigest()[:4]}" if key in found else key] = path
    return found


@st.cache_resource(max_entries=4096, show_spinner=False)
def _open_run(path: Path, stamp: Stamp) -> Run | str:
    """A finished and sound run, or what is wrong with it."""
    try:
        run = Run.open(path)
        _ = run.metrics
        named = run.vocabulary.num_classes
    except UserError as error:
        return str(error)
    if named != run.facts.num_classes:
        return f"{path / 'vocabulary.csv'}: names {named} labels, but the run scores {run.facts.num_classes}."
    return run


@st.cache_resource(max_entries=4, show_spinner=READING, hash_funcs=BY_CONTENT)
def videos(data: DataSet) -> Videos:
    """The videos of a data set."""
    return open_videos(data.path, streams=data.streams or None)


@st.cache_resource(max_entries=4, show_spinner=READING, hash_funcs=BY_CONTENT)
def videos_for(run: Run, data: DataSet) -> Videos:
    """The videos of a data set for a run. Raises UserError where they are not what the run knows."""
    from yt8m_core.inference.evaluation import open_data_of

    return open_data_of(run, data.path)


@st.cache_resource(max_entries=4, show_spinner="Counting labels…", hash_funcs=BY_CONTENT)
def labels(data: DataSet) -> Labels:
    """The labels of a data set. Raises UserError where no video has any."""
    opened = videos(data)
    if not opened.labeled.any():
        raise UserError("no video has labels", where=data.path, advice="Choose a data set with labels.")
    vocabulary = vocabulary_of(data.path, data.vocabulary or None, opened.label_values)
    opened.check_labels(vocabulary.num_classes)
    matrix = statistics.label_matrix(opened.label_values, opened.label_offsets, vocabulary.num_classes)
    table = statistics.rank_frequency(statistics.counts(matrix), vocabulary.frame())
    return Labels(vocabulary, int(opened.labeled.sum()), matrix, table)


@st.cache_resource(max_entries=2, show_spinner="Counting pairs of labels…", hash_funcs=BY_CONTENT)
def cooccurrence(data: DataSet) -> csr_array:
    """How many videos have both labels of each pair."""
    return statistics.cooccurrence(labels(data).matrix)


@st.cache_resource(max_entries=4, show_spinner="Ranking pairs of labels…", hash_funcs=BY_CONTENT)
def strongest_pairs(data: DataSet, measure: str, minimum_support: int) -> pd.DataFrame:
    """All pairs of labels in so many videos, strongest first."""
    pairs = cooccurrence(data)
    return statistics.strongest_pairs(pairs, labels(data).num_videos, measure, minimum_support, limit=pairs.nnz)


@st.cache_resource(max_entries=2, show_spinner="Loading the model…", hash_funcs=BY_CONTENT)
def model(run: Run) -> "VideoClassifier":
    """The trained model of a run."""
    return run.load_model()


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_CONTENT)
def attends(run: Run) -> bool:
    """Whether the pooling of a run weighs the frames."""
    from yt8m_core.inference.prediction import attends as pooling_attends

    return pooling_attends(run.experiment.pooling, run.facts.schema.width)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def prediction(run: Run, data: DataSet, video: int) -> "Prediction":
    """What a run says of a video of a data set."""
    from yt8m_core.inference.prediction import predict_video

    return predict_video(model(run), videos_for(run, data).frames(video))


@st.cache_resource(max_entries=4, show_spinner=False)
def _truth(world: Path, stamp: Stamp) -> pd.DataFrame:
    return demo.read_truth(world)


def of_demo_world(run: Run, video_id: str) -> bool:
    """Whether a video is one of the demo world that a run was trained on."""
    world = demo_world_of(run.experiment.data.train)
    return world is not None and video_id in _truth(world, stamp_of([world / "truth.parquet"])).index


def main_scene(data: DataSet, video_id: str, num_frames: int) -> list[tuple[int, int]] | None:
    """The true main scene of a video of the demo world, as runs of frames; None for any other video."""
    world = demo_world_of(data.path)
    if world is None:
        return None
    runs = _truth(world, stamp_of([world / "truth.parquet"]))["main_frames"].get(video_id)
    return None if runs is None else [(first, min(end, num_frames)) for first, end in runs if first < num_frames]


def digest(content: bytes) -> str:
    """A short name for some content, to keep by what was made from it."""
    return hashlib.sha256(content).hexdigest()


@st.cache_resource(max_entries=4, show_spinner="Reading the file…", hash_funcs=BY_CONTENT)
def uploaded(run: Run, name: str, digest: str, _content: bytes) -> "list[UploadedVideo]":
    """The videos of an uploaded file, as a run takes them. Raises UserError for a file that cannot be used."""
    from yt8m_core.data.upload import read_upload

    return read_upload(name, _content, run.facts.schema, max_frames=run.experiment.data.max_frames)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_CONTENT)
def prediction_of_upload(run: Run, digest: str, number: int, _frames: NDArray[Any]) -> "Prediction":
    """What a run says of a video of an uploaded file."""
    from yt8m_core.inference.prediction import predict_video

    return predict_video(model(run), _frames)


def example_file(videos: Videos, video: int) -> bytes:
    """A video as an .npz that can be uploaded."""
    names, widths = zip(*videos.schema.streams, strict=True)
    columns = np.split(videos.frames(video), np.cumsum(widths)[:-1], axis=1)
    arrays: dict[str, NDArray[Any]] = dict(zip(names, columns, strict=True))
    file = io.BytesIO()
    np.savez_compressed(file, **arrays, labels=videos.labels(video), id=np.array(videos.id(video)))  # type: ignore[arg-type]
    return file.getvalue()
