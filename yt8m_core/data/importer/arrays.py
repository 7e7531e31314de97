"""Arrays of a video, or of many videos side by side, as .npz, .npy and HDF5 files have them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, check_labels
from yt8m_core.errors import UserError

ID_NAMES = ("ids", "id", "video_ids", "video_id", "names", "keys")
LABEL_NAMES = ("labels", "label", "y", "targets")


@dataclass(frozen=True)
class ArrayFile:
    """Arrays of a file by their names, read only when they are indexed."""

    where: str
    arrays: Mapping[str, Any]  # NumPy arrays, memory maps or HDF5 data sets

    @property
    def num_videos(self) -> int:
        """Number of videos: 1, or as many as the list of ids or the first dimension of 3-D arrays."""
        ids = self._find(ID_NAMES)
        if ids is not None and len(ids.shape) == 1 and ids.shape[0] != 1:
            return int(ids.shape[0])
        lengths = {array.shape[0] for _, array in self._features() if len(array.shape) == 3}
        if len(lengths) > 1:
            raise UserError(f"arrays of {sorted(lengths)} videos", where=self.where, expected="equally many videos")
        return int(lengths.pop()) if lengths else 1

    def read(self, start: int, stop: int | None, name: str) -> Iterator[VideoContents]:
        """Yield the videos from ``start`` to before ``stop``.

        Args:
            start: number of the first video.
            stop: number after the last video; None for all.
            name: id of the video if the file has none; of several videos, the start of their ids.
        """
        N = self.num_videos
        ids, labels = self._find(ID_NAMES), self._find(LABEL_NAMES)
        features = dict(self._features())
        for video in range(start, N if stop is None else stop):
            where = self.where if N == 1 else f"{self.where}, video {video}"
            shapes = {key: array.shape if N == 1 else array.shape[1:] for key, array in features.items()}
            yield VideoContents(
                where,
                shapes,
                partial(_read_video, features, video if N > 1 else None),
                _text(ids, video, N) or (name if N == 1 else f"{name}-{video}"),
                _labels(where, labels, video, N),
            )

    def _find(self, names: Sequence[str]) -> Any:
        return next((self.arrays[name] for name in names if name in self.arrays), None)

    def _features(self) -> Iterator[tuple[str, Any]]:
        for name, array in self.arrays.items():
            if name not in (*ID_NAMES, *LABEL_NAMES) and array.dtype.kind in "uf" and 1 <= len(array.shape) <= 3:
                yield name, array


def _read_video(arrays: Mapping[str, Any], video: int | None, name: str) -> NDArray[Any]:
    array = arrays[name]
    return np.asarray(array[()] if video is None else array[video])


def _text(ids: Any, video: int, num_videos: int) -> str:
    """Return the id of a video from an array of texts, bytes or numbers; empty without one."""
    if ids is None:
        return ""
    values = np.atleast_1d(np.asarray(ids[()] if num_videos == 1 else ids[video : video + 1]))
    value = values[0] if len(values) == 1 else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _labels(where: str, labels: Any, video: int, num_videos: int) -> tuple[int, ...] | None:
    """Return the labels of a video from ids, or from a row of 0/1 values [N, C]."""
    if labels is None or labels.dtype.kind not in "iub":
        return None
    values = np.atleast_1d(np.asarray(labels[()] if num_videos == 1 else labels[video]))
    if num_videos > 1 and len(labels.shape) == 2 and labels.shape[1] > 1 and set(np.unique(values)) <= {0, 1}:
        values = np.flatnonzero(values)
    return check_labels(where, values[values >= 0].tolist())
