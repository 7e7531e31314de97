"""What scores depend on, for the names of files that keep them."""

from dataclasses import astuple
from typing import Any

from yt8m_core.data.dataset import Videos, VideoSubset
from yt8m_core.errors import UserError
from yt8m_core.inference.compute import Compute
from yt8m_core.runs.run import Run
from yt8m_core.storage.file_state import FileState


def run_identity(run: Run) -> list[Any]:
    """Return a run and its weights as JSON values. Raises UserError where it has no weights."""
    try:
        weights = FileState.of(run.weights_file.stat())
    except FileNotFoundError:
        raise UserError(f"run {run.path} has no trained weights", advice="Finish its training.") from None
    return [str(run.path), astuple(weights), run.experiment.to_dict()]


def videos_identity(videos: Videos) -> list[Any]:
    """Return a data set and the state of its shards as JSON values."""
    parts: list[Any] = [(shard.path, astuple(shard.state)) for shard in videos.shards]
    parts.append([len(videos), int(videos.is_labeled.sum())])
    if videos.segments:
        parts.append(videos.segments)
    if isinstance(videos, VideoSubset):
        parts.append(videos.positions.tolist())
    return parts


def compute_identity(compute: Compute) -> list[str]:
    """Return what of a device changes the scores, in their last digits."""
    return [compute.device.type, compute.precision]
