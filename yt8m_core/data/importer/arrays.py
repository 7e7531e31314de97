"""Arrays of a video, or of many videos side by side, as .npz, .npy and HDF5 files have them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.contents import MAX_LABELS, Shape, VideoContents, check_labels
from yt8m_core.errors import UserError

ID_NAMES = ("ids", "id", "video_ids", "video_id", "names", "keys")
LABEL_NAMES = ("labels", "label", "y", "targets")
CHECKED_ROWS = 10_000  # rows of labels that show together whether they are 0/1 values


@dataclass(frozen=True)
class ArrayFile:
    """Arrays of a file by their names, read only when they are indexed."""

    where: str
    arrays: Mapping[str, Any]  # NumPy arrays, memory maps or HDF5 data sets

    @cached_property
    def num_videos(self) -> int:
        """Number of videos: 1, or as many as the list of ids or the first dimension of 3-D arrays."""
        stacked = {array.shape[0] for array in self._features.values() if len(array.shape) == 3}
        ids = self._find(ID_NAMES)
        has_ids = ids is not None and len(ids.shape) == 1 and ids.shape[0] != 1
        N = int(ids.shape[0]) if has_ids else int(max(stacked, default=1))
        rows = {array.shape[0] for array in self._features.values() if len(array.shape) > 1}
        if stacked - {N} or (has_ids and rows and N not in rows):
            found = f"arrays of {sorted(rows)} videos" + (f", and {N} ids" if has_ids else "")
            raise UserError(found, where=self.where, expected="equally many videos")
        return N

    def read(self, start: int, stop: int | None, name: str) -> Iterator[VideoContents]:
        """Yield the videos from ``start`` to before ``stop``.

        Args:
            start: number of the first video.
            stop: number after the last video; None for all.
            name: id of the video if the file has none; of several videos, the start of their ids.
        """
        N = self.num_videos
        self._check_lengths()
        shapes = {key: self._shape(key) for key in self._others}
        for video in range(start, N if stop is None else stop):
            where = self.where if N == 1 else f"{self.where}, video {video}"
            yield VideoContents(
                where,
                shapes,
                partial(self._read_array, video),
                _text(self._find(ID_NAMES), video, N) or (name if N == 1 else f"{name}-{video}"),
                **self._read_labels(where, video),
            )

    def _find(self, names: Sequence[str]) -> Any:
        return next((self.arrays[name] for name in names if name in self.arrays), None)

    @cached_property
    def _others(self) -> dict[str, Any]:
        """Arrays that are neither ids nor labels."""
        return {name: array for name, array in self.arrays.items() if name not in (*ID_NAMES, *LABEL_NAMES)}

    @cached_property
    def _features(self) -> dict[str, Any]:
        return {name: array for name, array in self._others.items() if _is_feature(array)}

    def _check_lengths(self) -> None:
        """Raise UserError where the ids or the labels are not of as many videos as the features, or nothing is one."""
        integers = [name for name, array in self._others.items() if array.dtype.kind in "iu" and len(array.shape) > 1]
        if integers and not self._features:
            self._read_array(0, integers[0])
        N, ids, labels = self.num_videos, self._find(ID_NAMES), self._find(LABEL_NAMES)
        for name, array in (("ids", ids), ("labels", labels)):
            needs_rows = array is not None and (N > 1 or (name == "labels" and len(array.shape) > 1))
            if needs_rows and array.shape[:1] != (N,):
                raise UserError(
                    f"{name} of shape {array.shape}", where=self.where, expected=f"{N:,}, one for each video"
                )

    def _shape(self, name: str) -> Shape:
        """Return the shape of an array for one video; empty if it is no features, or not of all videos."""
        array = self._features.get(name)
        if array is None:
            return ()
        if not self._is_stacked(array):
            return tuple(array.shape)
        return tuple(array.shape[1:]) if array.shape[0] == self.num_videos else ()

    def _is_stacked(self, array: Any) -> bool:
        return self.num_videos > 1 or len(array.shape) == 3

    def _read_array(self, video: int, name: str) -> NDArray[Any]:
        array = self._others[name]
        if name not in self._features:
            raise UserError(
                f"values of type {array.dtype}, shape {array.shape}",
                where=f"{self.where}, '{name[:40]}'",
                expected="uint8 or float values",
                advice="Bytes from 0 to 255: save array.astype(numpy.uint8)." if array.dtype.kind in "iu" else "",
            )
        return np.asarray(array[video] if self._is_stacked(array) else array[()])

    @cached_property
    def _has_binary_labels(self) -> bool:
        """Whether the labels are rows of 0/1 values [N, C]. Single rows of ids, such as [0, 1], do not tell."""
        labels = self._find(LABEL_NAMES)
        if len(labels.shape) != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iubf":
            return False
        rows = np.asarray(labels[:CHECKED_ROWS])
        return bool(((rows == 0) | (rows == 1)).all())

    def _read_labels(self, where: str, video: int) -> dict[str, Any]:
        """Return the labels of a video, from ids, names, or a row of 0/1 values."""
        labels = self._find(LABEL_NAMES)
        if labels is None:
            return {}
        has_rows = self.num_videos > 1 or len(labels.shape) == 2
        values = np.atleast_1d(np.asarray(labels[video] if has_rows else labels[()]))
        if self._has_binary_labels:
            if not ((values == 0) | (values == 1)).all():
                raise UserError(f"labels {str(values)[:80]}", where=where, expected="0 and 1, as in the first rows")
            values = np.flatnonzero(values)
        return parse_labels(where, values.ravel().tolist())


def parse_labels(where: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of ``VideoContents`` for ids or names of labels. Raises UserError for anything else.

    >>> parse_labels("a.npz", [3.0, 7, -1]), parse_labels("a.npz", [b"Cat", ""])
    ({'labels': (3, 7)}, {'label_names': ('Cat',)})
    """
    values = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    if values and len(values) <= MAX_LABELS and all(isinstance(value, str) for value in values):
        return {"label_names": tuple(name for value in values if (name := value.strip()))}
    if not all(isinstance(value, int | float) and value == value // 1 for value in values):
        raise UserError(f"labels {str(values)[:80]}", where=where, expected="ids, names, or 0 and 1 for each label")
    return {"labels": check_labels(where, [int(value) for value in values if value != -1])}  # -1 fills rows of ids


def _is_feature(array: Any) -> bool:
    return (array.dtype == np.uint8 or array.dtype.kind == "f") and 1 <= len(array.shape) <= 3


def _text(ids: Any, video: int, num_videos: int) -> str:
    """Return the id of a video from an array of texts, bytes or numbers; empty without one."""
    if ids is None:
        return ""
    values = np.atleast_1d(np.asarray(ids[()] if num_videos == 1 else ids[video : video + 1]))
    value = values[0] if len(values) == 1 else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
