"""Convert one unit of an import to shards. Units are independent: processes convert them, and a restart skips those
that are done.

The files of a unit are named by a digest of all that determines them, so that those of two imports are never mixed up.
"""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.convert import Conversion
from yt8m_core.data.importer.label_table import LabelTable
from yt8m_core.data.importer.output import SPLITS, STATE
from yt8m_core.data.importer.reading import may_be_temporary
from yt8m_core.data.importer.sources import Part
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.encode import write_record
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write, printable_name
from yt8m_core.storage.paths import read_file

FORMAT = 1  # of the converted shards; another one converts everything again
MAX_LISTED = 1000  # reasons in import.json
MAX_ID = 100  # characters
MAX_STATE = 1 << 30  # bytes of a state file


@dataclass(frozen=True)
class Job:
    """What all units of an import share."""

    output: Path
    schema: Schema
    split: float  # share of the validation videos
    quantize: bool
    table: LabelTable | None
    label_ids: dict[str, int]  # by text
    num_classes: int | None = None  # of the vocabulary; None without one

    @property
    def digest(self) -> str:
        """Digest of everything that determines the records, but the feature files."""
        table = sorted(self.table.labels.items()) if self.table else []
        options = [self.split, self.quantize, self.num_classes]
        values = [FORMAT, asdict(self.schema), options, table, sorted(self.label_ids.items())]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


@dataclass
class UnitReport:
    """Result of a unit; merged over all units, the result of an import."""

    videos: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    unlabeled: int = 0
    left_out: int = 0
    reasons: list[str] = field(default_factory=list)  # of the first ones that were left out
    notes: dict[str, int] = field(default_factory=dict)  # number of videos by note of a reader
    conversion: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = True  # False if what was left out may be usable the next time

    def merge(self, other: "UnitReport") -> None:
        """Add another report."""
        for name, count in other.videos.items():
            self.videos[name] += count
        self.unlabeled, self.left_out = self.unlabeled + other.unlabeled, self.left_out + other.left_out
        self.is_complete = self.is_complete and other.is_complete
        self.reasons = (self.reasons + other.reasons)[:MAX_LISTED]
        for note, count in other.notes.items():
            self.notes[note] = self.notes.get(note, 0) + count
        for name, value in other.conversion.items():
            old = self.conversion.get(name, 0)
            self.conversion[name] = max(old, value) if name == "largest_error" else old + value

    def leave_out(self, error: UserError, note: str = "") -> None:
        """Add a video, or the rest of a file, that is left out."""
        self.left_out += 1
        self.is_complete = self.is_complete and not may_be_temporary(error)
        if len(self.reasons) < MAX_LISTED:
            self.reasons.append(printable_name(str(error)[:500] + note))


@dataclass(frozen=True)
class UnitFiles:
    """Files of a converted unit."""

    folder: Path
    key: str

    @classmethod
    def find(cls, job: Job, unit: tuple[Part, ...], digest: str) -> "UnitFiles":
        """Return the files of a unit of a job with this digest."""
        text = json.dumps([digest, [asdict(part) for part in unit]])
        return cls(job.output / STATE, hashlib.sha256(text.encode()).hexdigest()[:16])

    @property
    def state(self) -> Path:
        """Report of the unit; missing until it is converted."""
        return self.folder / f"{self.key}.json"

    def shard(self, split: str) -> Path:
        """Return the shard of a split; missing if no video is in it."""
        return self.folder / f"{self.key}.{split}.tfrecord"

    def read_sources(self, split: str) -> list[tuple[str, str]]:
        """Return the id and the source of each record."""
        return [(video_id, where) for video_id, where in json.loads(read_file(self._sources, MAX_STATE))[split]]

    def write_sources(self, sources: dict[str, list[tuple[str, str]]]) -> None:
        """Write the id and the source of each record, by split."""
        with atomic_write(self._sources) as unfinished:
            unfinished.write_text(json.dumps(sources))

    @property
    def _sources(self) -> Path:
        return self.folder / f"{self.key}.sources.json"


def is_validation(video_id: str, share: float) -> bool:
    """Whether a video is in the validation split: a hash of its id, the same on any machine.

    >>> sum(is_validation(str(number), 0.2) for number in range(1000))
    184
    """
    digest = hashlib.blake2b(f"split {video_id}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def convert_unit(job: Job, unit: tuple[Part, ...], digest: str) -> UnitReport:
    """Write the shards of a unit, or return the stored report of a finished one."""
    files = UnitFiles.find(job, unit, digest)
    stored = _read_report(files.state)
    if stored is not None and all(bool(stored.videos[split]) == files.shard(split).is_file() for split in SPLITS):
        return stored
    files.state.unlink(missing_ok=True)  # before the shards are replaced
    with ExitStack() as stack:
        writer = _UnitWriter(job, files, stack)
        for part in unit:
            writer.convert(part)
    report = writer.report
    for split in SPLITS:
        if not report.videos[split]:
            files.shard(split).unlink(missing_ok=True)
    report.conversion = asdict(writer.conversion)
    files.write_sources(writer.sources)
    if report.is_complete:
        with atomic_write(files.state) as unfinished:
            unfinished.write_text(json.dumps(asdict(report)))
    return report


class _UnitWriter:
    """Shards of a unit that are being written, and the report on them."""

    def __init__(self, job: Job, files: UnitFiles, stack: ExitStack) -> None:
        self.report, self.conversion = UnitReport(), Conversion()
        self.sources: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
        self._job, self._files, self._stack = job, files, stack
        self._opened: dict[str, IO[bytes]] = {}

    def convert(self, part: Part) -> None:
        """Write the videos of a part, and list those that cannot be used."""
        count = 0
        try:
            for reading in part.read_each():
                count += 1
                try:
                    if isinstance(reading, UserError):
                        raise reading
                    self._write(reading)
                except UserError as error:  # of this video only
                    self.report.leave_out(error)
        except UserError as error:
            note = f" The rest of the file is left out, after {count:,} videos." if count else ""
            self.report.leave_out(error, note)
            self.report.is_complete = False

    def _write(self, contents: VideoContents) -> None:
        """Write a video. Raises UserError where it cannot be used."""
        job, report = self._job, self.report
        if not contents.id or len(contents.id) > MAX_ID:
            raise UserError(f"the id '{contents.id[:MAX_ID]}'", where=contents.where, expected="1 to 100 characters")
        labels = find_labels(job, contents)
        payload = self.conversion.encode(contents, job.schema, labels, job.quantize)
        split = SPLITS[is_validation(contents.id, job.split)]
        if split not in self._opened:
            path = self._stack.enter_context(atomic_write(self._files.shard(split)))
            self._opened[split] = self._stack.enter_context(path.open("wb"))
        write_record(self._opened[split], *payload)
        self.sources[split].append((contents.id, contents.where))
        report.videos[split] += 1
        report.unlabeled += not labels
        for note in contents.notes:
            note = note.partition(" (")[0]  # without the numbers of one video
            report.notes[note] = report.notes.get(note, 0) + 1


def find_labels(job: Job, contents: VideoContents) -> list[int] | None:
    """Return the labels of a video: those of the label table if there is one, else its own.

    Raises UserError for unknown names, and for ids that the vocabulary does not have.
    """
    labels: list[int] | None = None
    if job.table is not None:
        texts = job.table.find(contents.id)
        labels = None if texts is None else sorted({job.label_ids[text] for text in texts})
    elif contents.labels is not None:
        labels = list(contents.labels)
    elif contents.label_names:
        unknown = [name for name in contents.label_names if name not in job.label_ids]
        if unknown:
            advice = "Name the labels in a file: --vocabulary, or --labels."
            raise UserError(f"the label '{unknown[0][:80]}', which has no id", where=contents.where, advice=advice)
        labels = sorted({job.label_ids[name] for name in contents.label_names})
    if labels and job.num_classes is not None and labels[-1] >= job.num_classes:
        expected = f"ids from 0 to {job.num_classes - 1}, as in the vocabulary"
        raise UserError(f"the label {labels[-1]}", where=contents.where, expected=expected)
    return labels


def _read_report(state: Path) -> UnitReport | None:
    try:
        return UnitReport(**json.loads(read_file(state, MAX_STATE)))
    except (OSError, ValueError, TypeError, UserError):
        return None
