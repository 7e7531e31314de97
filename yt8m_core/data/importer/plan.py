"""Plan of an import: what was found, and how its first videos were understood."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.convert import infer_schema, unused_arrays
from yt8m_core.data.importer.label_ids import build_vocabulary, number_texts
from yt8m_core.data.importer.label_table import LabelTable, read_label_table
from yt8m_core.data.importer.output import find_foreign_files
from yt8m_core.data.importer.sources import Part, find_parts
from yt8m_core.data.importer.units import Job, find_labels
from yt8m_core.data.schema import Streams, expected_features, find_invalid_feature
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent

SAMPLE = 3  # videos that are shown and that determine the schema
NAMELESS = (".npy", ".pb", ".tfrecord", ".tfrecords")  # formats that have ids of labels alone


@dataclass(frozen=True)
class Plan:
    """An import that can be shown before it runs."""

    parts: tuple[Part, ...]
    job: Job
    vocabulary: Vocabulary | None  # None if labels are ids without names
    sample: tuple[VideoContents, ...]  # the first videos
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of bytes of the feature files."""
        return sum(part.size for part in self.parts)

    def describe(self) -> str:
        """Return the plan as text: files, streams, labels, and the first videos."""
        schema, table = self.job.schema, self.job.table
        kind = "float32" if schema.has_float_frames or schema.level == "video" else "uint8"
        streams = " + ".join(f"{name} ({dim})" for name, dim in schema.streams)
        has_import = (self.job.output / "import.json").is_file()
        labeled = sum(map(bool, table.labels.values())) if table else 0
        lines = [
            f"{len(self.parts):,} files, {self.size / 1e6:,.1f} MB",
            f"Records: {schema.level}-level features {streams}, {kind}",
            f"Labels: {f'{table.where}, {table.kind}, {labeled:,} ids' if table else 'of the feature files'}",
            f"Split: {self.job.split:.0%} of the videos for validation, by a hash of their ids",
            f"Output: {self.job.output}{' (replaces the import in it)' if has_import else ''}",
            *([f"Not used: {', '.join(unused[:20])}"] if (unused := unused_arrays(self.sample, schema)) else []),
            *(f"Warning: {warning}" for warning in (*(table.notes if table else ()), *self.warnings)),
            "",
            "The first videos:",
        ]
        return "\n".join([*lines, *(self._describe_video(contents) for contents in self.sample)])

    def _describe_video(self, contents: VideoContents) -> str:
        arrays = ", ".join(f"{name} {list(shape)}" for name, shape in contents.shapes.items() if shape)
        try:
            labels = find_labels(self.job, contents) or []
        except UserError as error:
            return f"  {contents.id}: left out: {error}"
        names = [self.vocabulary.name(label) if self.vocabulary else str(label) for label in labels[:8]]
        return f"  {contents.id}: {arrays}; labels: {', '.join(names) or 'none'}"


def make_plan(
    features: Path,
    output: Path,
    *,
    labels: Path | None = None,
    vocabulary: Path | None = None,
    split: float = 0.2,
    streams: Streams = (),
    quantize: bool = False,
    id_column: str = "",
    label_column: str = "",
    progress: Progress = silent,
) -> Plan:
    """Look at the features and labels of an import, without writing anything. See ``import_features``."""
    if not 0 <= split < 1:
        raise UserError(f"{split:g}", where="split", expected="a share from 0 to below 1, such as 0.2")
    parts = find_parts(features)
    sample = _first_videos(parts)
    schema = infer_schema(sample, streams, quantize)
    table = _read_table(labels, parts, id_column, label_column, vocabulary)
    names, label_ids = build_vocabulary(table, vocabulary)
    if table is None and names is not None:
        label_ids = {name: label for label, name in reversed(list(enumerate(names.names))) if name}
    elif table is None and all(contents.labels is None for contents in sample):  # the next ones may have names
        names, label_ids = number_texts(_count_names(parts, progress), str(features))
    job = Job(output.expanduser().absolute(), schema, split, quantize, table, label_ids)
    warnings = _check_ids(table, parts, sample) if table is not None else ()
    return Plan(tuple(parts), job, names, sample, warnings)


def _read_table(
    labels: Path | None, parts: Sequence[Part], id_column: str, label_column: str, vocabulary: Path | None
) -> LabelTable | None:
    if labels is None:
        return None
    names = frozenset(read_vocabulary(vocabulary).names) - {""} if vocabulary else frozenset()
    table = read_label_table(labels, id_column=id_column, label_column=label_column, names=names)
    return table.without_shared_names(part.name for part in parts)


def _first_videos(parts: Sequence[Part]) -> tuple[VideoContents, ...]:
    """Return the first videos that can be used. Raises UserError, with the first reason, where none can be."""
    first_error: UserError | None = None
    sample: list[VideoContents] = []
    for part in islice(parts, 100):
        try:
            for contents in islice(part.read(), SAMPLE - len(sample)):
                sample.append(_kept(contents))
        except UserError as error:
            first_error = first_error or error
        if len(sample) == SAMPLE:
            break
    if not sample:
        raise first_error or UserError("no videos", where=parts[0].path)
    return tuple(sample)


def _kept(contents: VideoContents) -> VideoContents:
    """Return contents whose arrays stay readable after their file is closed. Raises UserError for invalid numbers."""
    arrays = {name: contents.read(name) for name, shape in contents.shapes.items() if shape}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and (at := find_invalid_feature(array)) is not None:
            found, where = f"{array[at]} at position {at}", f"{contents.where}, '{name[:40]}'"
            raise UserError(found, where=where, expected=expected_features(array[at]))
    shapes = {**contents.shapes, **{name: array.shape for name, array in arrays.items()}}
    return replace(contents, shapes=shapes, read=arrays.__getitem__)


def _count_names(parts: Sequence[Part], progress: Progress) -> Counter[str]:
    """Return the number of videos of each label name in the feature files."""
    counts: Counter[str] = Counter()
    parts = [part for part in parts if not part.path.lower().endswith(NAMELESS)]
    total, done = sum(part.size for part in parts), 0
    for part in parts:
        try:
            for contents in part.read():
                if contents.labels is not None and not counts:  # the labels are ids
                    return counts
                counts.update(set(contents.label_names))
        except UserError:  # listed when the file is converted
            pass
        done += part.size
        progress("collecting label names", done, total)
    return counts


def _check_ids(table: LabelTable, parts: Sequence[Part], sample: Sequence[VideoContents]) -> tuple[str, ...]:
    """Return a warning where the table names none of the first videos and files.

    Raises UserError where each file is one video, so that it names no video at all.
    """
    files = {part.name for part in parts}
    if any(table.match(name) is not None for name in (*(contents.id for contents in sample), *files)):
        return ()
    found = (
        f"no labels for the first videos, {', '.join(repr(contents.id) for contents in sample)}; the table has "
        f"{', '.join(map(repr, list(table.labels)[:3]))}"
    )
    if all(contents.id in files for contents in sample):
        advice = "Name the columns: --id-column, --label-column."
        raise UserError(found, where=table.where, expected="the same ids", advice=advice)
    return (f"{found}. If no other video has one of these ids, stop, and name the column: --id-column.",)


def check_output(output: Path) -> None:
    """Raise UserError where the output folder holds something that no import has written."""
    if others := find_foreign_files(output):
        raise UserError(
            f"a folder with {', '.join(others[:5])}",
            where=str(output),
            expected="an empty folder, or an earlier import",
        )
    if output.is_file():
        raise UserError("a file", where=str(output), expected="a folder")
