"""Command ``calibrate``: temperatures and thresholds per label of a run."""

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
import tyro
from numpy.typing import NDArray

from yt8m_core.cli.arguments import Accelerator, Allowed, Precision, RunArgument, absolute, choose_device
from yt8m_core.errors import UserError
from yt8m_core.processes.group import open_group
from yt8m_core.progress import console_progress, silent

if TYPE_CHECKING:
    from yt8m_core.data.dataset import Videos
    from yt8m_core.runs.calibration_file import Calibration
    from yt8m_core.runs.run import Run


def calibrate(
    run: RunArgument,
    data: str,
    target_precision: float = 0,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
    unlabeled: str = "",
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Measure the calibration of a run, and choose a threshold per label for `yt8m predict --threshold calibrated`.

    Temperatures and thresholds are chosen on one half of the videos, by a hash of their ids, and measured on the other.
    They are stored in the run's folder, as calibration.json.

    Args:
        run: Run folder.
        data: A shard, a folder of shards, or a glob, on a disk or at an address. Labeled videos that the run was not
            trained on.
        target_precision: Maximize the recall of each label at this precision, from 0 to 1. Default: maximize F1.
        as_json: Print the content of calibration.json.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        unlabeled: Videos without labels: error, skip to leave them out, or negative if they have none of the labels.
            Default: as in the training of the run.
        allow: Data checks that do not stop the calibration: repeated-labels, constant-features, other-scale.
    """
    from yt8m_core.analysis.calibration import calibrate as calibrate_scores
    from yt8m_core.data.checks import find_shared
    from yt8m_core.data.labeled import labeled_videos
    from yt8m_core.inference.evaluation import check_features, open_run_data
    from yt8m_core.inference.score_cache import load_scores
    from yt8m_core.runs.calibration_file import write_calibration
    from yt8m_core.runs.run import Run

    choose_device(accelerator, precision)
    opened = Run.open(run)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        videos = open_run_data(opened, data, skip_bad=skip_bad, group=group, progress=progress)
        videos = labeled_videos(videos, unlabeled or opened.experiment.data.unlabeled)
        if group.is_first:
            check_features(opened, videos, allow)
        training = group.first(lambda: _training_videos(opened))
        training_counts = _training_counts(opened, training)
        scored = load_scores(opened, videos, group=group, progress=progress)
    if not group.is_first:
        return
    ids = videos.video_ids.take(scored.videos).to_pylist()  # of the whole video: no half has segments of another's
    is_training = np.zeros(0, bool) if training is None else find_shared(training, videos).either[scored.videos]
    overlap = -1 if training is None else int(is_training.sum())
    _warn(overlap, len(ids), opened)
    calibration = calibrate_scores(
        scored, ids, training_counts, absolute(data), target_precision=target_precision, training_videos=overlap
    )
    file = write_calibration(opened.path, calibration)
    if as_json:
        print(json.dumps(asdict(calibration)))
        return
    print("\n\n".join(_describe(calibration)))
    print(f"\nStored in {file}")


def _training_counts(run: "Run", training: "Videos | None") -> NDArray[np.int64]:
    """Return the number of training videos of each label [C]. Raises UserError where they are not known."""
    from yt8m_core.labels.statistics import counts, label_matrix

    if run.training_counts is not None:
        return run.training_counts
    if training is None:  # of a run of an older version
        raise UserError(
            f"run {run.path} has no label counts of its training data, which cannot be opened",
            where=run.experiment.data.train,
            advice=f"Restore the training data, or name them: yt8m relocate {run.path} --train DATA.",
        )
    return counts(label_matrix(training.label_values, training.label_offsets, run.facts.num_classes))


def _training_videos(run: "Run") -> "Videos | None":
    """Return the videos that a run was trained on; None where they cannot be opened any more."""
    from yt8m_core.training.splits import open_training_videos

    try:
        return open_training_videos(run)
    except (UserError, OSError):
        return None


def _warn(overlap: int, total: int, run: "Run") -> None:
    """Warn if the run was trained on the videos, or might have been."""
    message = ""
    if overlap > 0:
        message = (
            f"{overlap:,} of {total:,} videos are training videos of run {run.name}, on which its scores are "
            "better than on others. Calibrate on other videos."
        )
    elif overlap < 0:
        message = f"Cannot open {run.experiment.data.train} to check that the run was not trained on these videos."
    if message:
        logging.getLogger(__name__).warning("%s", message)


def _describe(calibration: "Calibration") -> list[str]:
    """Return the paragraphs that the command prints."""
    temperatures = calibration.table("temperatures")
    outputs = {"scores": "scores", "classified": "before label processing"}
    listed = ", ".join(
        f"{temperature:.4f} ({outputs[output]})" for output, temperature in temperatures.itertuples(index=False)
    )
    total, own = len(calibration.thresholds), calibration.own_thresholds
    goal = f"recall at a precision of {calibration.target_precision:g}" if calibration.target_precision else "F1"
    return [
        f"{calibration.description}; measured on {calibration.measured_on:,} others\nTemperature: {listed}",
        "Expected calibration error (ECE) [95% CI] before and after temperature scaling; "
        f"if calibrated: by chance alone\n{_error_table(calibration)}",
        f"Thresholds with the highest {goal}, gain in F1 over the global threshold [95% CI]\n{_f1_table(calibration)}\n"
        f"{own:,} of {total:,} labels have their own threshold; the others, with too few positives, have the global "
        f"one, {calibration.global_threshold:.4f}.\n{_advice(calibration)}",
    ]


def _advice(calibration: "Calibration") -> str:
    """Return which thresholds to use: those per label only if they have a higher F1 than the global one."""
    if calibration.target_precision:
        return "Compare the measured precision with the target: thresholds that were chosen on few videos miss it."
    rows = [row for row in calibration.f1 if row.rule == "per label"]
    verdicts = {
        row.average: "better" if row.gain_low > 0 else "worse" if row.gain_high < 0 else "no significant difference"
        for row in rows
    }
    use_own = "better" in verdicts.values() and "worse" not in verdicts.values()
    threshold = "calibrated" if use_own else f"{calibration.global_threshold:.4f}"
    listed = ", ".join(f"{average} F1 {verdict}" for average, verdict in verdicts.items())
    return f"Thresholds per label against the global one: {listed}. Use yt8m predict --threshold {threshold}"


def _error_table(calibration: "Calibration") -> str:
    errors = calibration.table("errors")
    errors["ece"] = _intervals(errors, "ece", "low", "high", "{:.2e} [{:.2e}, {:.2e}]")
    facts = ["output", "band", "labels", "positives", "base_rate"]
    before, after = (errors[errors["stage"] == stage] for stage in ("before", "after"))
    columns = ["output", "band", "ece", "if_calibrated"]
    table = before[[*facts, "ece"]].merge(after[columns], on=["output", "band"], suffixes=(" before", " after"))
    return table.rename(columns=lambda name: name.replace("_", " ")).to_string(index=False, float_format="%.2e")


def _f1_table(calibration: "Calibration") -> str:
    table = calibration.table("f1")
    table["f1"] = _intervals(table, "f1", "low", "high", "{:.4f} [{:.4f}, {:.4f}]")
    table["gain"] = _intervals(table, "gain", "gain_low", "gain_high", "{:+.4f} [{:+.4f}, {:+.4f}]")
    columns = ["rule", "average", "precision", "recall", "f1", "gain"]
    return table[columns].to_string(index=False, float_format="%.4f")


def _intervals(table: pd.DataFrame, value: str, low: str, high: str, pattern: str) -> list[str]:
    return [pattern.format(*row) for row in table[[value, low, high]].itertuples(index=False)]
