"""Label names, verticals and training counts of a data set, from the files that ``vocabulary_files`` describes."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.data.schema import AUDIOSET_STREAMS, Schema
from yt8m_core.data.shards import expand_home
from yt8m_core.data.vocabulary_files import Entry, describe_gaps, parse_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.storage.address import is_address
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import table_text
from yt8m_core.storage.paths import read_file
from yt8m_core.storage.remote import find_object, read_object

_HEADER_2018 = (
    "Index", "TrainVideoCount", "KnowledgeGraphId", "Name", "WikiUrl",
    "Vertical1", "Vertical2", "Vertical3", "WikiDescription",
)  # fmt: skip
MAX_BYTES = 1 << 24
_FILE_NAMES = ("vocabulary.csv", "label_names.csv", "class_labels_indices.csv")
AUDIOSET = Path(__file__).parent / "audioset" / "class_labels_indices.csv"  # CC BY 4.0, see ATTRIBUTION.txt beside it
AUDIOSET_CLASSES = 527


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Labels of a data set, by label id.

    >>> vocabulary = Vocabulary(("Game", ""), ("Games", "Games"))
    >>> vocabulary.name(0), vocabulary.name(1)
    ('Game', 'label 1 (unnamed)')
    """

    names: tuple[str, ...]
    """Label names, empty if the edition has none; use ``name`` for display."""
    verticals: tuple[str, ...]
    """First topic of each label (``Vertical1``), empty if unknown."""
    counts: NDArray[np.int64] | None = None
    """Number of training videos per label [C], or None if unknown."""

    def __post_init__(self) -> None:
        if len(self.verticals) != len(self.names):
            raise ValueError(f"{len(self.names)} names but {len(self.verticals)} verticals")
        if self.counts is None:
            return
        counts = np.array(self.counts, np.int64)
        if counts.shape != (len(self.names),):
            raise ValueError(f"{len(self.names)} names but counts of shape {counts.shape}")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        if (self.counts is None) != (other.counts is None):
            return False
        same_counts = self.counts is None or np.array_equal(self.counts, other.counts)  # type: ignore[arg-type]
        return self.names == other.names and self.verticals == other.verticals and same_counts

    def __hash__(self) -> int:
        return hash((self.names, self.verticals))

    def fits(self, other: "Vocabulary") -> bool:
        """Return whether no label has two names; a label without a name fits any.

        >>> Vocabulary(("Game", ""), ("", "")).fits(Vocabulary(("Game", "Car"), ("", "")))
        True
        """
        pairs = zip(self.names, other.names, strict=False)
        return self.num_classes == other.num_classes and all(not a or not b or a == b for a, b in pairs)

    @property
    def num_classes(self) -> int:
        """Number of labels C."""
        return len(self.names)

    def name(self, label: int) -> str:
        """Return the display name of a label, never empty. Raises IndexError for an id outside 0..C-1."""
        if not 0 <= label < self.num_classes:
            raise IndexError(f"label {label} is out of range for a vocabulary of {self.num_classes}")
        return self.names[label].strip() or default_name(label)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per label id: label, name (never empty), vertical, count (missing if unknown)."""
        labels = range(self.num_classes)
        counts = pd.array([pd.NA] * self.num_classes if self.counts is None else self.counts, dtype="Int64")
        return pd.DataFrame(
            {"label": labels, "name": [self.name(i) for i in labels], "vertical": self.verticals, "count": counts}
        )


def default_name(label: int) -> str:
    """Return the display name of a label without a name."""
    return f"label {label} (unnamed)"


def unnamed_vocabulary(num_classes: int) -> Vocabulary:
    """Return a vocabulary without names, for data sets without a vocabulary file.

    >>> unnamed_vocabulary(3).name(2)
    'label 2 (unnamed)'
    """
    return Vocabulary(("",) * num_classes, ("",) * num_classes)


def find_vocabulary(data: str | Path) -> str | Path | None:
    """Find the vocabulary file of a data set: in its folder, else in the parent folder.

    Args:
        data: a folder of shards, a shard, or a glob; or the address of one.
    """
    if is_address(data):
        return find_object(str(data), _FILE_NAMES)
    folder = expand_home(data).absolute()
    if not folder.is_dir():
        folder = folder.parent
    # The folders of a glob may have wildcards too: the folder of /data/*/train*.tfrecord is /data.
    while any(wildcard in str(folder) for wildcard in "*?[") and not folder.is_dir():
        folder = folder.parent
    paths = (parent / name for parent in (folder, folder.parent) for name in _FILE_NAMES)
    return next((path for path in paths if path.is_file()), None)


def load_vocabulary(data: str | Path, file: str | Path | None, labels: NDArray[np.int32], schema: Schema) -> Vocabulary:
    """Load the vocabulary of a data set: the given file, else the one beside the data, else AudioSet's or no names.

    Without a file, the largest label of the data determines the number of classes. Features of AudioSet then get its
    label names, which is logged: other labels on such features need a file of their own.

    Args:
        data: a shard, a folder of shards, or a glob, on a disk or at an address.
        file: a vocabulary file, or None.
        labels: all labels of the data set.
        schema: feature streams of the data set.

    Raises:
        UserError: as ``read_vocabulary`` does.
    """
    path = file or find_vocabulary(data)
    if path:
        return read_vocabulary(path)
    num_classes = int(labels.max(initial=0)) + 1
    if schema.streams != AUDIOSET_STREAMS or num_classes > AUDIOSET_CLASSES:
        return unnamed_vocabulary(num_classes)
    _warn(f"{data}: no vocabulary; labels have the names of AudioSet. If they are your own, pass --vocabulary FILE.")
    names = read_vocabulary(AUDIOSET).names[:num_classes]
    return Vocabulary(names, ("",) * num_classes)


def read_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary file, also one at an address. Ids that it lacks become labels without a name, which is logged.

    Raises:
        UserError: the file is not a vocabulary, or lists an id twice. The message names the file and the row.
    """
    entries = read_entries(path)
    if gaps := describe_gaps(entries):
        _warn(f"{path}: {gaps}")
    missing = Entry("", "", 0)
    labels = [entries.get(label, missing) for label in range(max(entries) + 1)]
    counts = [label.count for label in labels]
    return Vocabulary(
        tuple(label.name for label in labels),
        tuple(label.vertical for label in labels),
        None if None in counts else np.array(counts, np.int64),
    )


def read_entries(path: str | Path) -> dict[int, Entry]:
    """Return the labels that a vocabulary file lists, by id, in its order. Raises as ``read_vocabulary``."""
    try:
        data = read_object(str(path), MAX_BYTES) if is_address(path) else read_file(Path(path), MAX_BYTES)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return parse_vocabulary(data, str(path))


@lru_cache(maxsize=64)
def _warn(message: str) -> None:
    """Log a message once; without logging set up it goes to standard error."""
    logging.getLogger(__name__).warning("%s", message)


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary in the format of the 2018 edition, sorted by count, atomically."""
    order = np.arange(vocabulary.num_classes)
    if vocabulary.counts is not None:
        order = np.argsort(-vocabulary.counts, kind="stable")
    table = pd.DataFrame("", range(len(order)), list(_HEADER_2018), dtype=object)
    table["Index"] = order
    if vocabulary.counts is not None:
        table["TrainVideoCount"] = vocabulary.counts[order]
    table["Name"] = [vocabulary.names[label] for label in order]
    table["Vertical1"] = [vocabulary.verticals[label] for label in order]
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(table_text(table).encode())
