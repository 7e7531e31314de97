"""Read, validate and write ``calibration.json``: the temperatures and thresholds of a run, and what they are worth.

The settings are chosen on one half of the videos, and every measurement is of the other half. One file holds both, so
that the thresholds always belong to the measurements.
"""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.runs.predictions_file import MAX_VIDEOS
from yt8m_core.storage.json_file import read_json, write_json
from yt8m_core.storage.typed_json import check_number, read_fields

CALIBRATION = "calibration.json"
FORMAT = 1
MAX_PAIRS = 1 << 44  # MAX_VIDEOS times the number of labels
ADVICE = "Run `yt8m calibrate` on labeled videos that the run was not trained on."

Output = Literal["scores", "classified"]
Stage = Literal["before", "after"]
Band = Literal["head", "mid", "tail", "all"]


@dataclass(frozen=True)
class Temperature:
    """Temperature of one output: the scores, or the classified scores before label processing."""

    output: Output
    temperature: float


@dataclass(frozen=True)
class BandError:
    """Expected calibration error of a frequency band, before or after temperature scaling."""

    output: Output
    stage: Stage
    band: Band
    labels: int
    positives: int  # true (video, label) pairs
    base_rate: float  # their share of all pairs
    ece: float
    low: float  # 95% CI
    high: float
    if_calibrated: float  # expected ECE of a calibrated model with the same scores


@dataclass(frozen=True)
class Bin:
    """One point of a reliability diagram."""

    output: Output
    stage: Stage
    band: Band
    pairs: int
    confidence: float  # mean probability
    frequency: float  # share of true pairs
    low: float  # 95% CI of the frequency
    high: float


@dataclass(frozen=True)
class F1:
    """F1 of a rule that chooses labels, with its 95% CI and its difference from the global threshold."""

    rule: Literal["0.5", "global", "per label"]
    average: Literal["micro", "macro"]
    precision: float
    recall: float
    f1: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Calibration:
    """Temperatures, thresholds and measurements of a run.

    Attributes:
        data: The data set.
        chosen_on: Number of videos on which temperatures and thresholds were chosen.
        measured_on: Number of other videos, on which everything else was measured.
        training_videos: Number of all these videos that are training videos of the run; -1 if unknown.
        target_precision: Precision at which the thresholds maximize recall; 0 for the highest F1.
        temperatures: One per output.
        errors: ECE by output, stage and band.
        bins: Reliability by output, stage and band.
        f1: F1 by rule and average.
        global_threshold: Threshold of labels without one of their own.
        own_thresholds: Number of labels with enough positives for their own threshold.
        thresholds: Threshold of each label [C].
    """

    data: str
    chosen_on: int
    measured_on: int
    training_videos: int
    target_precision: float
    temperatures: list[Temperature]
    errors: list[BandError]
    bins: list[Bin]
    f1: list[F1]
    global_threshold: float
    own_thresholds: int
    thresholds: list[float]

    def __post_init__(self) -> None:
        """Validate the values. Raises UserError that names the first invalid one."""
        for name in ("chosen_on", "measured_on"):
            check_number(getattr(self, name), 1, MAX_VIDEOS, where=name)
        check_number(self.training_videos, -1, MAX_VIDEOS, where="training_videos")
        check_number(self.own_thresholds, 0, len(self.thresholds), where="own_thresholds")
        for name in ("target_precision", "global_threshold"):
            check_number(getattr(self, name), 0, 1, where=name)
        for number, threshold in enumerate(self.thresholds):
            check_number(threshold, 0, 1, where=f"thresholds, {number}")
        for name in ("temperatures", "errors", "bins", "f1"):
            for number, row in enumerate(getattr(self, name)):
                _check_row(row, f"{name}, {number}")

    def table(self, name: Literal["temperatures", "errors", "bins", "f1"]) -> pd.DataFrame:
        """Return a list of measurements as a table with one column per field."""
        rows: list[Any] = getattr(self, name)
        kind = {"temperatures": Temperature, "errors": BandError, "bins": Bin, "f1": F1}[name]
        return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(kind)])

    @property
    def description(self) -> str:
        """The data that the settings were chosen on, as a sentence."""
        training = (
            f", {self.training_videos:,} of all videos from the training data" if self.training_videos > 0 else ""
        )
        return f"Temperatures and thresholds chosen on {self.chosen_on:,} videos of {self.data}{training}"

    @property
    def label_thresholds(self) -> NDArray[np.float64]:
        """Threshold of each label [C]."""
        return np.array(self.thresholds, np.float64)


def read_calibration(run: Path, num_classes: int) -> Calibration:
    """Read the calibration of a run folder.

    Args:
        run: The folder.
        num_classes: C, the expected number of thresholds.

    Raises:
        UserError: There is no calibration, or the file is invalid.
    """
    file = run / CALIBRATION
    values = read_json(file, missing=f"run {run} has no calibration. {ADVICE}")
    if values.pop("format", None) != FORMAT:
        raise UserError("another format", where=str(file), expected=f"format {FORMAT}", advice=ADVICE)
    try:
        calibration: Calibration = read_fields(Calibration, values, "calibration")
    except UserError as error:
        raise UserError(str(error), where=str(file), advice=ADVICE) from None
    if len(calibration.thresholds) != num_classes:
        raise UserError(
            f"{len(calibration.thresholds):,} thresholds", where=str(file), expected=f"{num_classes:,}", advice=ADVICE
        )
    return calibration


def write_calibration(run: Path, calibration: Calibration) -> Path:
    """Write the calibration into a run folder, and return the file."""
    write_json(run / CALIBRATION, {"format": FORMAT, **asdict(calibration)})
    return run / CALIBRATION


def _check_row(row: Any, where: str) -> None:
    """Check that counts are not negative, temperatures positive, gains within -1 to 1, and other numbers shares."""
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "temperature":
            if not 0 < value < math.inf:
                raise UserError(repr(value), where=f"{where}, temperature", expected="a positive number")
        elif isinstance(value, int | float):
            limit = MAX_PAIRS if isinstance(value, int) else 1
            check_number(value, -1 if field.name.startswith("gain") else 0, limit, where=f"{where}, {field.name}")
