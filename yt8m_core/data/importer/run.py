"""Run an import: convert all units in several processes, then index, check and report the result."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

import numpy as np

from yt8m_core.data.checks import DataCheck, check_splits, check_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.check import check_features
from yt8m_core.data.feature_check.profile import builtin_profile
from yt8m_core.data.importer.output import SPLITS, place, prepare, publish, remove_unused
from yt8m_core.data.importer.plan import Plan, check_output
from yt8m_core.data.importer.sources import Part, divide
from yt8m_core.data.importer.units import MAX_LISTED, Job, UnitFiles, UnitReport, convert_unit
from yt8m_core.data.tfrecord.encode import write_shard
from yt8m_core.data.tfrecord.records import iter_payloads
from yt8m_core.data.tfrecord.shard import OpenShard, Shard
from yt8m_core.data.vocabulary import Vocabulary, unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import exclusive_lock, printable_name

PARALLEL_BYTES = 64 << 20  # below, starting processes costs more than it saves
SHOWN = 20  # messages on a screen; thousands of videos usually share one cause
CHECKED_VIDEOS = 50


@dataclass(frozen=True)
class ImportResult:
    """Result of an import."""

    report: UnitReport
    videos: Mapping[str, int]  # by split
    duplicates: Sequence[str]  # where records with an id that occurred before were left out
    checks: tuple[DataCheck, ...]
    feature_verdict: str  # empty for features other than those of YouTube-8M and AudioSet
    num_classes: int

    def describe(self) -> str:
        """Return what was read, what was left out and why, and what the checks have found."""
        report, conversion = self.report, self.report.conversion
        lines = [
            f"{self.videos.get('train', 0):,} training and {self.videos.get('validate', 0):,} validation videos, "
            f"{conversion.get('frames', 0):,} frames, {self.num_classes:,} labels"
        ]
        if report.left_out:
            lines.append(f"{report.left_out:,} videos or files could not be used and were left out:")
            lines += _listed(report.reasons, report.left_out)
        if self.duplicates:
            lines.append(f"{len(self.duplicates):,} videos have the id of an earlier one and were left out:")
            lines += _listed(self.duplicates, len(self.duplicates))
        if report.unlabeled:
            lines.append(
                f"{report.unlabeled:,} of {sum(self.videos.values()):,} videos have no labels: train with --unlabeled "
                "skip or negative"
            )
        if conversion.get("cut"):
            lines.append(f"{conversion['cut']:,} videos have streams of unequal length, cut to the shortest")
        if quantized := conversion.get("quantized"):
            lines.append(
                f"Quantized to bytes: {conversion['clipped'] / quantized:.2%} of the values were outside [-2, 2] and "
                f"clipped; the largest error of the others is {conversion['largest_error']:.4f}"
            )
        lines += [f"{count:,} videos: {note}" for note, count in report.notes.items()]
        lines += [f"Check: {check.message}" for check in self.checks]
        if self.feature_verdict:
            lines.append(f"Features: {self.feature_verdict}")
        return "\n".join(lines)


def _listed(messages: Sequence[str], total: int) -> list[str]:
    """Return lines with the first messages, and how many there are more."""
    more = total - min(SHOWN, len(messages))
    rest = [f"  … and {more:,} more, of which import.json lists up to {MAX_LISTED:,}"] if more else []
    return [*(f"  {message}" for message in messages[:SHOWN]), *rest]


def import_features(plan: Plan, *, processes: int | None = None, progress: Progress = silent) -> ImportResult:
    """Convert the features and labels of a plan to shards in ``train`` and ``validate`` of its output folder.

    The same call resumes an interrupted import and converts only what is missing or has changed. Videos that cannot be
    used are left out and listed. An earlier import in the folder is replaced only when the new one is complete.

    Args:
        plan: from ``make_plan``.
        processes: number of processes; None for the number of CPU cores.
        progress: called with the number of bytes converted.

    Raises:
        UserError: the output folder holds something else, or no video could be converted.
    """
    job = replace(plan.job, num_classes=plan.vocabulary.num_classes if plan.vocabulary else None)
    check_output(job.output)
    with exclusive_lock(job.output, "import"):
        new = prepare(job.output)
        units, digest, report = list(divide(list(plan.parts))), job.digest, UnitReport()
        for done, unit_report in enumerate(_convert(job, digest, units, processes), 1):
            report.merge(unit_report)
            progress("importing", plan.size * done // len(units), plan.size)
        if not sum(report.videos.values()):
            raise UserError(
                f"no video could be converted: {report.reasons[0] if report.reasons else 'no videos'}",
                where=str(job.output),
            )
        converted = [UnitFiles.find(job, unit, digest) for unit in units]
        for number, files in enumerate(converted):
            for split in SPLITS:
                if files.shard(split).is_file():
                    place(files.shard(split), new / split / f"part-{number:05d}.tfrecord")
        duplicates = [message for split in SPLITS for message in _drop_duplicates(job, new / split, converted)]
        result = _finish(plan, new, report, duplicates)
        check_output(job.output)  # again: conversion can take hours
        publish(job.output)
        remove_unused(job.output, (files.key for files in converted))
        return result


def _convert(job: Job, digest: str, units: list[tuple[Part, ...]], processes: int | None) -> Iterator[UnitReport]:
    remaining = dict(enumerate(units))
    processes = min(processes or os.cpu_count() or 1, len(units))
    if processes > 1 and sum(part.size for unit in units for part in unit) >= PARALLEL_BYTES:
        # spawn: a forked child would inherit the locks of torch's threads. A spawned child imports the main script and
        # dies if that lacks `if __name__ == "__main__"`; then this process converts the rest.
        pool = ProcessPoolExecutor(processes, get_context("spawn"), _set_job, (job, digest))
        with pool, suppress(BrokenProcessPool):
            try:
                futures = {pool.submit(_convert_in_process, unit): number for number, unit in remaining.items()}
                for future in as_completed(futures):
                    report = future.result()
                    del remaining[futures[future]]
                    yield report
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for unit in remaining.values():
        yield convert_unit(job, unit, digest)


_jobs: list[tuple[Job, str]] = []  # of a worker process; sent once, because a label table can be large


def _set_job(job: Job, digest: str) -> None:
    _jobs.append((job, digest))
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent: a killed parent has released the lock of the output folder."""
    if (parent := parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _convert_in_process(unit: tuple[Part, ...]) -> UnitReport:
    job, digest = _jobs[0]
    return convert_unit(job, unit, digest)


def _drop_duplicates(job: Job, folder: Path, converted: Sequence[UnitFiles]) -> list[str]:
    """Write the shards of a split again without records whose id has occurred before; return where those are from.

    The shards of the units keep all records: which of them is the first may change.
    """
    if not list(folder.iterdir()):
        return []
    videos = open_videos(folder, streams=job.schema.streams, skip_bad=True)
    dropped: dict[str, list[int]] = {}
    for record in videos.bad_records:
        if record.is_duplicate:
            dropped.setdefault(record.shard, []).append(record.record)
    found = []
    for path, numbers in dropped.items():
        data = OpenShard(Shard.at(Path(path))).data
        skipped = set(numbers)
        spans = [span for record, span in enumerate(iter_payloads(data, path)) if record not in skipped]
        sources = converted[int(Path(path).stem.removeprefix("part-"))].read_sources(folder.name)
        found += [sources[record] for record in numbers]
        if spans:
            write_shard(Path(path), (bytes(data[start:end]) for start, end in spans))
        else:
            Path(path).unlink()
    first = _first_sources(converted, folder.name, {video_id for video_id, _ in found}) if found else {}
    return [printable_name(f"{where}: the id '{i}' a second time, first in {first[i]}") for i, where in found]


def _first_sources(converted: Sequence[UnitFiles], split: str, ids: set[str]) -> dict[str, str]:
    """Return where the first video with each id is from."""
    first: dict[str, str] = {}
    for files in converted:
        for video_id, where in files.read_sources(split):
            if video_id in ids:
                first.setdefault(video_id, where)
    return first


def _finish(plan: Plan, new: Path, report: UnitReport, duplicates: Sequence[str]) -> ImportResult:
    """Check the shards, and write the vocabulary and the report."""
    opened = {
        split: open_videos(new / split, streams=plan.job.schema.streams)
        for split in SPLITS
        if list((new / split).iterdir())
    }
    labels = np.concatenate([videos.label_values for videos in opened.values()])
    vocabulary = plan.vocabulary or unnamed_vocabulary(int(labels.max(initial=0)) + 1)
    counts = np.zeros(vocabulary.num_classes, np.int64)
    if "train" in opened:
        counts = np.bincount(opened["train"].label_values, minlength=vocabulary.num_classes)
    names = tuple(map(printable_name, vocabulary.names))
    write_vocabulary(new / "vocabulary.csv", Vocabulary(names, vocabulary.verticals, counts))
    checks = tuple(check for videos in opened.values() for check in check_videos(videos))
    if len(opened) == len(SPLITS):
        checks += check_splits(opened["train"], opened["validate"])
    output = str(plan.job.output)  # where the shards are when somebody reads the messages
    checks = tuple(replace(check, message=check.message.replace(str(new), output)) for check in checks)
    sizes = {split: len(videos) for split, videos in opened.items()}
    verdict = _feature_verdict(next(iter(opened.values())))
    result = ImportResult(report, sizes, duplicates, checks, verdict, vocabulary.num_classes)
    values = {"report": asdict(report), "duplicates": duplicates[:MAX_LISTED], "checks": [*map(asdict, checks)]}
    text = json.dumps(values | {"text": result.describe()}, indent=1, ensure_ascii=False)
    (new / "import.json").write_text(printable_name(text), encoding="utf-8")
    return result


def _feature_verdict(videos: Videos) -> str:
    """Say whether the features look like those of YouTube-8M or AudioSet; empty for other streams."""
    profile = builtin_profile(videos.schema)
    if profile is None:
        return ""
    sample = np.unique(np.linspace(0, len(videos) - 1, CHECKED_VIDEOS).astype(int)).tolist()
    grades = [check_features(videos.frames(video), videos.schema, profile).grade for video in sample]
    if grades.count("wrong") * 2 > len(grades):
        return (
            f"{grades.count('wrong')} of {len(grades)} videos do not look like the features of {profile.source}. They "
            "can be used to train a model, but a model that was trained on those would not understand them."
        )
    return f"{grades.count('ok')} of {len(grades)} videos look like the features of {profile.source}."
