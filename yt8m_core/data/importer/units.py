"""Convert one unit of an import to shards. Units are independent: processes convert them, and a restart skips those
that are done."""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.convert import Conversion
from yt8m_core.data.importer.label_table import LabelTable
from yt8m_core.data.importer.sources import Part
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.encode import write_record
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

MAX_LISTED = 20  # reasons per unit; thousands of videos usually share one cause
MAX_ID = 100  # characters
SPLITS = ("train", "validate")


@dataclass(frozen=True)
class Job:
    """What all units of an import share."""

    output: Path
    schema: Schema
    split: float  # share of the validation videos
    quantize: bool
    table: LabelTable | None
    label_ids: dict[str, int]  # by text

    @property
    def digest(self) -> str:
        """Digest of everything that determines the records, but the feature files."""
        table = sorted(self.table.labels.items()) if self.table else []
        values = [asdict(self.schema), self.split, self.quantize, table, sorted(self.label_ids.items())]
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

    def merge(self, other: "UnitReport") -> None:
        """Add another report."""
        for name, count in other.videos.items():
            self.videos[name] += count
        self.unlabeled, self.left_out = self.unlabeled + other.unlabeled, self.left_out + other.left_out
        self.reasons = (self.reasons + other.reasons)[:MAX_LISTED]
        for note, count in other.notes.items():
            self.notes[note] = self.notes.get(note, 0) + count
        for name, value in other.conversion.items():
            old = self.conversion.get(name, 0)
            self.conversion[name] = max(old, value) if name == "largest_error" else old + value


def is_validation(video_id: str, share: float) -> bool:
    """Whether a video is in the validation split: a hash of its id, the same on any machine.

    >>> sum(is_validation(str(number), 0.2) for number in range(1000))
    194
    """
    digest = hashlib.blake2b(f"split {video_id}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def convert_unit(job: Job, number: int, unit: tuple[Part, ...], digest: str) -> UnitReport:
    """Write the shards of a unit, or return the stored report of a finished one."""
    state = job.output / ".import" / f"{number:05d}.json"
    shards = {split: job.output / split / f"part-{number:05d}.tfrecord" for split in SPLITS}
    key = hashlib.sha256(json.dumps([digest, [asdict(part) for part in unit]]).encode()).hexdigest()
    stored = _read_report(state, key)
    if stored is not None and all(bool(stored.videos[split]) == shards[split].is_file() for split in SPLITS):
        return stored
    report, conversion = UnitReport(), Conversion()
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for part in unit:
            try:
                for contents in part.read():
                    _convert_video(job, contents, report, conversion, shards, files, stack)
            except UserError as error:  # the rest of the file cannot be read
                _leave_out(report, str(error))
    for split, shard in shards.items():
        if not report.videos[split]:
            shard.unlink(missing_ok=True)
    report.conversion = asdict(conversion)
    with atomic_write(state) as unfinished:
        unfinished.write_text(json.dumps({"key": key, **asdict(report)}))
    return report


def _convert_video(
    job: Job,
    contents: VideoContents,
    report: UnitReport,
    conversion: Conversion,
    shards: dict[str, Path],
    files: dict[str, IO[bytes]],
    stack: ExitStack,
) -> None:
    try:
        if not contents.id or len(contents.id) > MAX_ID:
            raise UserError(f"the id '{contents.id[:MAX_ID]}'", where=contents.where, expected="1 to 100 characters")
        labels = find_labels(job, contents)
        payload = conversion.encode(contents, job.schema, labels, job.quantize)
    except UserError as error:
        _leave_out(report, str(error))
        return
    split = SPLITS[is_validation(contents.id, job.split)]
    if split not in files:
        files[split] = stack.enter_context(stack.enter_context(atomic_write(shards[split])).open("wb"))
    write_record(files[split], *payload)
    report.videos[split] += 1
    report.unlabeled += not labels
    for note in contents.notes:
        note = note.partition(" (")[0]  # without the numbers of one video
        report.notes[note] = report.notes.get(note, 0) + 1


def find_labels(job: Job, contents: VideoContents) -> list[int] | None:
    """Return the labels of a video: those of the label table, else its own. Raises UserError for unknown names."""
    texts = job.table.find(contents.id) if job.table else None
    if texts is not None:
        return sorted({job.label_ids[text] for text in texts})
    if contents.labels is not None:
        return list(contents.labels)
    if contents.label_names and job.table is None:
        unknown = [name for name in contents.label_names if name not in job.label_ids]
        if unknown:
            advice = "Name the labels in a file: --vocabulary, or --labels."
            raise UserError(f"the label '{unknown[0][:80]}', which has no id", where=contents.where, advice=advice)
        return sorted({job.label_ids[name] for name in contents.label_names})
    return None


def _leave_out(report: UnitReport, reason: str) -> None:
    report.left_out += 1
    if len(report.reasons) < MAX_LISTED:
        report.reasons.append(reason[:500])


def _read_report(state: Path, key: str) -> UnitReport | None:
    try:
        values = json.loads(state.read_text())
        return UnitReport(**values) if values.pop("key") == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
