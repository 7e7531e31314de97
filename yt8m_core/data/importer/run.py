"""Run an import: convert all units in several processes, then index, check and report the result."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from yt8m_core.data.checks import DataCheck, check_splits, check_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.check import check_features
from yt8m_core.data.feature_check.profile import builtin_profile
from yt8m_core.data.importer.plan import Plan, check_output
from yt8m_core.data.importer.sources import Part, divide
from yt8m_core.data.importer.units import MAX_LISTED, SPLITS, Job, UnitReport, convert_unit
from yt8m_core.data.tfrecord.encode import write_shard
from yt8m_core.data.tfrecord.records import iter_payloads
from yt8m_core.data.tfrecord.shard import OpenShard
from yt8m_core.data.vocabulary import Vocabulary, unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, exclusive_lock

PARALLEL_BYTES = 64 << 20  # below, starting processes costs more than it saves
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
            lines += [f"  {reason}" for reason in report.reasons]
        if self.duplicates:
            lines.append(f"{len(self.duplicates):,} videos have the id of an earlier one and were left out:")
            lines += [f"  {message}" for message in self.duplicates[:MAX_LISTED]]
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


def import_features(plan: Plan, *, processes: int | None = None, progress: Progress = silent) -> ImportResult:
    """Convert the features and labels of a plan to shards in ``train`` and ``validate`` of its output folder.

    The same call resumes an interrupted import and converts only what is missing or has changed. Videos that cannot be
    used are left out and listed.

    Args:
        plan: from ``make_plan``.
        processes: number of processes; None for the number of CPU cores.
        progress: called with the number of bytes converted.

    Raises:
        UserError: the output folder holds something else, or no video could be converted.
    """
    job = plan.job
    check_output(job.output)
    with exclusive_lock(job.output, "importing"):
        units = list(divide(list(plan.parts)))
        report = UnitReport()
        done = 0
        for number, unit_report in _convert(job, units, processes):
            report.merge(unit_report)
            done += sum(_unit_bytes(part) for part in units[number])
            progress("importing", min(done, plan.size), plan.size)
        for split in SPLITS:  # of an earlier import with more units
            for shard in (job.output / split).glob("part-*.tfrecord"):
                if int(shard.stem.removeprefix("part-")) >= len(units):
                    shard.unlink()
        if not sum(report.videos.values()):
            raise UserError(
                f"no video could be converted: {report.reasons[0] if report.reasons else 'no videos'}",
                where=str(job.output),
            )
        duplicates = [message for split in SPLITS for message in _drop_duplicates(job, split)]
        result = _finish(plan, report, duplicates)
        with atomic_write(job.output / "import.json") as unfinished:
            values = {"report": asdict(report), "checks": [asdict(check) for check in result.checks]}
            unfinished.write_text(json.dumps(values | {"text": result.describe()}, indent=1, ensure_ascii=False))
        return result


def _unit_bytes(part: Part) -> int:
    return part.size if part.stop is None else 0


def _convert(job: Job, units: list[tuple[Part, ...]], processes: int | None) -> Iterator[tuple[int, UnitReport]]:
    digest, remaining = job.digest, dict(enumerate(units))
    processes = min(processes or os.cpu_count() or 1, len(units))
    if processes > 1 and sum(part.size for unit in units for part in unit) >= PARALLEL_BYTES:
        # spawn: a forked child would inherit the locks of torch's threads. A spawned child imports the main script and
        # dies if that lacks `if __name__ == "__main__"`; then this process converts the rest.
        pool = ProcessPoolExecutor(processes, get_context("spawn"), _set_job, (job, digest))
        with pool, suppress(BrokenProcessPool):
            try:
                futures = {pool.submit(_convert_in_process, number, unit): number for number, unit in remaining.items()}
                for future in as_completed(futures):
                    report, number = future.result(), futures[future]
                    del remaining[number]
                    yield number, report
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for number, unit in remaining.items():
        yield number, convert_unit(job, number, unit, digest)


_jobs: list[tuple[Job, str]] = []  # of a worker process; sent once, because a label table can be large


def _set_job(job: Job, digest: str) -> None:
    _jobs.append((job, digest))


def _convert_in_process(number: int, unit: tuple[Part, ...]) -> UnitReport:
    job, digest = _jobs[0]
    return convert_unit(job, number, unit, digest)


def _drop_duplicates(job: Job, split: str) -> list[str]:
    """Write the shards of a split again without the records whose id has occurred before; return where those were."""
    folder = job.output / split
    if not list(folder.glob("*.tfrecord")):
        return []
    videos = open_videos(folder, streams=job.schema.streams, skip_bad=True)
    duplicates = [record for record in videos.bad_records if record.is_duplicate]
    for shard in videos.shards:
        dropped = {record.record for record in duplicates if record.shard == shard.path}
        if dropped:
            data = OpenShard(shard).data
            spans = [span for record, span in enumerate(iter_payloads(data, shard.path)) if record not in dropped]
            write_shard(Path(shard.path), (bytes(data[start:end]) for start, end in spans))
    return [record.message for record in duplicates]


def _finish(plan: Plan, report: UnitReport, duplicates: Sequence[str]) -> ImportResult:
    """Write the vocabulary, and check the result."""
    job = plan.job
    opened = {
        split: open_videos(job.output / split, streams=job.schema.streams)
        for split in SPLITS
        if list((job.output / split).glob("*.tfrecord"))
    }
    labels = np.concatenate([videos.label_values for videos in opened.values()])
    vocabulary = plan.vocabulary or unnamed_vocabulary(int(labels.max(initial=0)) + 1)
    counts = np.zeros(vocabulary.num_classes, np.int64)
    if "train" in opened:
        counts = np.bincount(opened["train"].label_values, minlength=vocabulary.num_classes)
    for videos in opened.values():
        videos.check_labels(vocabulary.num_classes)
    named = Vocabulary(vocabulary.names, vocabulary.verticals, counts)
    write_vocabulary(job.output / "vocabulary.csv", named)
    checks = tuple(check for videos in opened.values() for check in check_videos(videos))
    if len(opened) == len(SPLITS):
        checks += check_splits(opened["train"], opened["validate"])
    sizes = {split: len(videos) for split, videos in opened.items()}
    verdict = _feature_verdict(next(iter(opened.values())))
    return ImportResult(report, sizes, duplicates, checks, verdict, vocabulary.num_classes)


def _feature_verdict(videos: Videos) -> str:
    """Say whether the features look like those of YouTube-8M or AudioSet; empty for other streams."""
    profile = builtin_profile(videos.schema)
    if profile is None:
        return ""
    sample = np.unique(np.linspace(0, len(videos) - 1, CHECKED_VIDEOS).astype(int)).tolist()
    results = [check_features(videos.frames(video), videos.schema, profile) for video in sample]
    grades = [result.grade for result in results]
    if grades.count("wrong") * 2 > len(grades):
        worst = next(result for result in results if result.grade == "wrong")
        return (
            f"{grades.count('wrong')} of {len(grades)} videos do not look like the features of {profile.source}, the "
            f"first: {worst.verdict} They can be used to train a model of their own."
        )
    return f"{grades.count('ok')} of {len(grades)} videos look like the features of {profile.source}."
