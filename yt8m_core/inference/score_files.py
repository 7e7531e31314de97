"""Scores of ensemble members that come from files.

A ``.parquet`` file of ``yt8m predict`` has all scores. A ``.csv`` file in the format of the Kaggle competitions of 2017
and 2018, of this program or of others, lists some labels of each video; the scores of all others are 0.
"""

import io
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.storage.csv_file import iter_rows, parse_share, parse_whole
from yt8m_core.storage.parquet_file import open_parquet
from yt8m_core.storage.parquet_footer import column_sizes
from yt8m_core.storage.paths import open_file

Scorer = Callable[[Batch], Tensor]  # a member: batch → probabilities [B, C]

MAX_BYTES = 1 << 33  # of a CSV file
MAX_PAIRS = 1 << 27  # of a label and a confidence in a CSV file: 1 GiB in memory
MAX_PARQUET_BYTES = 1 << 40
# The footer of a Parquet file may state at most this many times the videos, and values of other columns per video, so
# that a message can name videos that are not in the data set.
MAX_OTHER_VIDEOS, MAX_OTHER_VALUES = 16, 256
_NAMES = "yt8m_label_names"  # key in the metadata of a Parquet file
_HEADER = "VideoId,LabelConfidencePairs"


def is_score_file(member: Path) -> bool:
    """Return whether a member of an ensemble is a file of scores, not a run folder.

    >>> is_score_file(Path("other.csv")), is_score_file(Path("runs/moe"))
    (True, False)
    """
    return member.suffix in (".csv", ".parquet")


def open_score_file(path: Path, videos: Videos, num_classes: int, vocabulary: Vocabulary | None = None) -> Scorer:
    """Return a member that reads scores from a file, with its videos in any order.

    Args:
        path: the file.
        videos: the data set.
        num_classes: C.
        vocabulary: names of the labels, which those in a Parquet file must fit.

    Raises:
        UserError: the file cannot be read, is of another format, or has other labels or videos.
    """
    if path.suffix == ".csv":
        return _read_csv(path, videos, num_classes)
    return _open_parquet(path, videos, num_classes, vocabulary)


def name_metadata(vocabulary: Vocabulary) -> dict[str, str]:
    """Return the metadata of a Parquet file of scores: the names of its labels."""
    return {_NAMES: json.dumps(vocabulary.names)}


@dataclass(frozen=True)
class ListedScores:
    """A member whose file lists some labels of each video; the scores of all other labels are 0.

    Attributes:
        labels: int32 [P], labels of all videos.
        scores: float32 [P], their scores.
        spans: int64 [N, 2], start and end of each video of the data set in ``labels``; -1 for a video without a row.
        num_classes: C.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    spans: NDArray[np.int64]
    num_classes: int

    def __call__(self, batch: Batch) -> Tensor:
        """Return the probabilities [B, C] of a batch."""
        probabilities = np.zeros((len(batch.videos), self.num_classes), np.float32)
        for row, (start, end) in zip(probabilities, self.spans[batch.videos], strict=True):
            row[self.labels[start:end]] = self.scores[start:end]
        return torch.from_numpy(probabilities)

    @property
    def note(self) -> str:
        """The number of labels that the file lists per video, as text; empty if it lists all."""
        counts = self.spans[:, 1] - self.spans[:, 0]
        low, high = int(counts.min()), int(counts.max())
        if low == self.num_classes:
            return ""
        span = f"{low:,} to {high:,}" if low < high else f"{high:,}"
        return f"lists {span} label{'s'[: high != 1]} per video; the other labels count 0"


def parse_listed_scores(
    lines: Iterable[str], where: str, positions: Mapping[str, int], num_classes: int
) -> ListedScores:
    """Parse a CSV file in Kaggle's format. Case, spaces and underscores in the names of its columns do not matter.

    Args:
        lines: the lines of the file, line ends included.
        where: the file, for error messages.
        positions: position of each video of the data set, by id.
        num_classes: C.

    Raises:
        UserError: the file has another format, an invalid label or score, a video that is not in the data set, a
            duplicate, or more than ``MAX_PAIRS`` pairs. The message names the row.
    """
    rows = iter_rows(lines, where)
    _, header = next(rows, (0, []))
    columns = [re.sub(r"[\s_]", "", name).lower() for name in header]
    if sorted(columns) != ["labelconfidencepairs", "videoid"]:
        raise UserError(f"'{','.join(header)[:80]}'", where=f"{where}, row 1", expected=_HEADER)
    labels, scores = array("i"), array("f")
    spans = np.full((len(positions), 2), -1, np.int64)
    for row, fields in rows:
        at = f"{where}, row {row}"
        if len(fields) != 2:
            raise UserError(f"{len(fields)} fields", where=at, expected=_HEADER)
        video_id, pairs = fields[columns.index("videoid")], fields[columns.index("labelconfidencepairs")]
        at += f", video '{video_id[:80]}'"
        if (position := positions.get(video_id)) is None:
            raise UserError(
                "a video that is not in the data set", where=at, advice="Score the same data with every member."
            )
        if spans[position, 0] >= 0:
            raise UserError("a duplicate", where=at, expected="one row per video")
        listed = _parse_pairs(pairs, num_classes, at)
        start = len(labels)
        labels.extend(listed)
        scores.extend(listed.values())
        spans[position] = start, len(labels)
        if len(labels) > MAX_PAIRS:
            raise UserError(
                f"more than {MAX_PAIRS:,} pairs of a label and a confidence",
                where=at,
                advice="List fewer labels per video, or use a Parquet file.",
            )
    return ListedScores(np.array(labels, np.int32), np.array(scores, np.float32), spans, num_classes)


def _parse_pairs(text: str, num_classes: int, where: str) -> dict[int, float]:
    """Parse "label confidence label confidence …" into scores by label."""
    parts = text.split()
    if len(parts) % 2:
        raise UserError(f"{len(parts)} numbers", where=where, expected="pairs of a label and a confidence")
    scores: dict[int, float] = {}
    for number, confidence in zip(parts[::2], parts[1::2], strict=True):
        label = parse_whole(number, f"{where}, label")
        if label >= num_classes:
            raise UserError(
                f"label {label}",
                where=where,
                expected=f"0 to {num_classes - 1}",
                advice="The file belongs to another edition of the data set.",
            )
        if label in scores:
            raise UserError(f"label {label} twice", where=where, expected="each label once")
        scores[label] = parse_share(confidence, f"{where}, label {label}")
    return scores


def _read_csv(path: Path, videos: Videos, num_classes: int) -> ListedScores:
    positions = {video_id: position for position, video_id in enumerate(videos.ids)}
    try:
        with io.TextIOWrapper(open_file(path, MAX_BYTES), "utf-8-sig", newline="") as file:
            listed = parse_listed_scores(file, str(path), positions, num_classes)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UserError("bytes that are not UTF-8", where=str(path), expected="UTF-8 text") from None
    _check_videos([videos.id(int(video)) for video in np.flatnonzero(listed.spans[:, 0] < 0)], [], videos, path)
    return listed


def _check_videos(missing: Sequence[str], unknown: Sequence[str], videos: Videos, path: Path) -> None:
    """Raise UserError where a file lacks videos of the data set, or has others."""
    for problem, ids in (("are missing", missing), ("are not in the data set", unknown)):
        if ids:
            raise UserError(
                f"{len(ids):,} videos that {problem}, the first of them '{ids[0][:80]}'",
                where=str(path),
                expected=f"the {len(videos):,} videos of the data set",
                advice="Score the same data with every member.",
            )


@contextmanager
def _report_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (OSError, KeyError, ValueError, RecursionError, pa.ArrowException) as error:
        raise UserError(f"cannot read the scores of a member ({str(error)[:200]})", where=str(path)) from None


def _check_columns(path: Path, file: pq.ParquetFile, videos: Videos, num_classes: int) -> None:
    """Raise UserError where a file has other columns, or more values than scores of the videos, by its footer."""
    kind, id_kind = (file.schema_arrow.field(name).type for name in ("scores", "id"))
    if not (pa.types.is_string(id_kind) or pa.types.is_large_string(id_kind)):
        raise UserError("ids that are missing or not text", where=str(path), expected="the id of each video")
    is_list = pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type)
    if not is_list or kind.list_size != num_classes:
        raise UserError(f"scores of type {kind}", where=str(path), expected=f"{num_classes} numbers per video")
    rows, columns = file.metadata.num_rows, column_sizes(path)
    values, size = sum(column.num_values for column in columns), sum(column.num_bytes for column in columns)
    limit = MAX_OTHER_VIDEOS * len(videos) * (num_classes + MAX_OTHER_VALUES)
    if rows > MAX_OTHER_VIDEOS * len(videos) or values > limit or size > 8 * limit:
        raise UserError(
            f"{rows:,} videos with {values:,} values in {size:,} bytes",
            where=str(path),
            expected=f"the {len(videos):,} videos of the data set",
        )


def _check_names(path: Path, file: pq.ParquetFile, vocabulary: Vocabulary) -> None:
    """Raise UserError where a file has names of labels that do not fit the vocabulary; other programs write none."""
    stored = (file.schema_arrow.metadata or {}).get(_NAMES.encode())
    names = vocabulary.names if stored is None else json.loads(stored)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError("invalid names of labels", where=str(path))
    if not Vocabulary(tuple(names), ("",) * len(names)).fits(vocabulary):
        differ = (label for label, pair in enumerate(zip(names, vocabulary.names, strict=False)) if pair[0] != pair[1])
        label = next(differ, min(len(names), vocabulary.num_classes))
        found = (
            f"other labels: label {label} is '{names[label][:80]}'" if label < len(names) else f"{len(names)} labels"
        )
        raise UserError(found, where=str(path), expected="the labels of the runs, in the same order")


def _open_parquet(path: Path, videos: Videos, num_classes: int, vocabulary: Vocabulary | None) -> Scorer:
    with _report_unreadable(path):
        file = open_parquet(path, MAX_PARQUET_BYTES)
        _check_columns(path, file, videos, num_classes)
        if vocabulary is not None:
            _check_names(path, file, vocabulary)
        id_column = file.read(["id"])["id"]
        ids = id_column.to_pylist()
        starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
    if id_column.null_count or len(ids) != starts[-1]:
        raise UserError("ids that are missing or not text", where=str(path), expected="the id of each video")
    rows = {video_id: row for row, video_id in enumerate(ids)}
    if len(rows) < len(ids):
        duplicate = next(video_id for row, video_id in enumerate(ids) if rows[video_id] != row)
        raise UserError(f"duplicate video '{duplicate[:80]}'", where=str(path))
    data_ids = videos.ids
    missing = [video_id for video_id in data_ids if video_id not in rows]
    _check_videos(missing, sorted(rows.keys() - set(data_ids)), videos, path)

    @lru_cache(maxsize=4)
    def group_scores(group: int) -> NDArray[np.float32]:
        with _report_unreadable(path):
            column = file.read_row_group(group, ["scores"])["scores"].combine_chunks()
        values = column.flatten()
        if column.null_count or values.null_count or len(column) != starts[group + 1] - starts[group]:
            raise UserError("missing scores", where=f"{path}, row group {group}", expected=f"{num_classes} per video")
        scores: NDArray[np.float32] = values.to_numpy().astype(np.float32, copy=False).reshape(-1, num_classes)
        is_invalid = ~((scores >= 0) & (scores <= 1 + 1e-5))  # float32 sums of mixtures are not exactly 1
        if is_invalid.any():
            row, label = np.argwhere(is_invalid)[0].tolist()
            where = f"{path}, video '{ids[starts[group] + row][:80]}', label {label}"
            raise UserError(f"score {scores[row, label]:g}", where=where, expected="a number from 0 to 1")
        return scores

    def scorer(batch: Batch) -> Tensor:
        batch_rows = np.array([rows[videos.id(int(video))] for video in batch.videos])
        groups = np.searchsorted(starts, batch_rows, side="right") - 1
        scores = np.empty((len(batch_rows), num_classes), np.float32)
        for group in np.unique(groups):
            in_group = groups == group
            scores[in_group] = group_scores(int(group))[batch_rows[in_group] - starts[group]]
        return torch.from_numpy(scores)

    return scorer
