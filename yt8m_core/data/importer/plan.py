"""Plan of an import: what was found, and how its first videos were understood."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.convert import infer_schema
from yt8m_core.data.importer.label_table import LabelTable, build_vocabulary, read_label_table
from yt8m_core.data.importer.output import find_foreign_files
from yt8m_core.data.importer.sources import Part, find_parts
from yt8m_core.data.importer.units import Job, find_labels
from yt8m_core.data.schema import Streams
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent

SAMPLE = 3  # videos that are shown and that determine the schema


@dataclass(frozen=True)
class Plan:
    """An import that can be shown before it runs."""

    parts: tuple[Part, ...]
    job: Job
    vocabulary: Vocabulary | None  # None if labels are ids without names
    sample: tuple[VideoContents, ...]  # the first videos

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
        lines = [
            f"{len(self.parts):,} files, {self.size / 1e6:,.1f} MB",
            f"Records: {schema.level}-level features {streams}, {kind}",
            f"Labels: {f'{table.where}, {table.kind}, {len(table.labels):,} ids' if table else 'of the feature files'}",
            f"Split: {self.job.split:.0%} of the videos for validation, by a hash of their ids",
            f"Output: {self.job.output}{' (replaces the import in it)' if has_import else ''}",
            "",
            "The first videos:",
        ]
        return "\n".join([*lines, *(self._describe_video(contents) for contents in self.sample)])

    def _describe_video(self, contents: VideoContents) -> str:
        arrays = ", ".join(f"{name} {list(shape)}" for name, shape in contents.shapes.items() if shape)
        labels = find_labels(self.job, contents)
        names = [self.vocabulary.name(label) if self.vocabulary else str(label) for label in (labels or [])[:8]]
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
    table = read_label_table(labels, id_column=id_column, label_column=label_column) if labels else None
    names, label_ids = build_vocabulary(table, vocabulary)
    if table is None:
        if names is None and any(contents.label_names and contents.labels is None for contents in sample):
            names = _collect_names(parts, progress)
        label_ids = {name: label for label, name in enumerate(names.names) if name} if names else {}
    job = Job(output.expanduser().absolute(), schema, split, quantize, table, label_ids)
    if table is not None and not any(find_labels(job, contents) for contents in sample):
        _check_ids(table, sample)
    return Plan(tuple(parts), job, names, sample)


def _first_videos(parts: Sequence[Part]) -> tuple[VideoContents, ...]:
    """Return the first videos that can be read. Raises UserError, with the first reason, where none can be."""
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
    """Return contents whose arrays stay readable after their file is closed."""
    arrays = {name: contents.read(name) for name, shape in contents.shapes.items() if shape}
    return VideoContents(
        contents.where,
        {name: array.shape for name, array in arrays.items()},
        arrays.__getitem__,
        contents.id,
        contents.labels,
        contents.label_names,
        contents.notes,
        contents.start_time,
    )


def _collect_names(parts: Sequence[Part], progress: Progress) -> Vocabulary:
    """Return the names of the labels in the feature files, the most frequent first."""
    counts: Counter[str] = Counter()
    total, done = sum(part.size for part in parts), 0
    for part in parts:
        try:
            for contents in part.read():
                counts.update(set(contents.label_names))
        except UserError:  # listed when the file is converted
            pass
        done += part.size
        progress("collecting label names", done, total)
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return Vocabulary(tuple(ordered), ("",) * len(ordered))


def _check_ids(table: LabelTable, sample: Sequence[VideoContents]) -> None:
    """Raise UserError where no video of the sample has an id of the label table."""
    if not any(table.find(contents.id) is not None for contents in sample):
        raise UserError(
            f"no labels for the first videos, {', '.join(repr(contents.id) for contents in sample)}; the table has "
            f"{', '.join(map(repr, list(table.labels)[:3]))}",
            where=table.where,
            expected="the same ids",
            advice="Name the columns: --id-column, --label-column.",
        )


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
