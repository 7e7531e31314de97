"""Calibrate a run: temperatures, thresholds per label, and their worth on other videos.

The videos are split in two halves by a hash of their ids. Temperatures and thresholds are chosen on one half, and
everything that is reported is measured on the other: no video decides a setting that it also judges.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import BANDS, bands, counts
from yt8m_core.metrics.f1 import MIN_POSITIVES, choose_thresholds, f1_table
from yt8m_core.metrics.reliability import draw_copies, reliability
from yt8m_core.metrics.sparse import Probabilities
from yt8m_core.metrics.temperature import fit_temperature, scale_probabilities
from yt8m_core.runs.calibration_file import F1, Band, BandError, Bin, Calibration, Output, Stage, Temperature

ALL = "all"


def calibrate(
    scored: CachedScores,
    ids: Sequence[str],
    training_counts: NDArray[np.int64],
    data: str,
    *,
    target_precision: float = 0,
    training_videos: int = -1,
) -> Calibration:
    """Choose temperatures and thresholds on one half of the videos, and measure them on the other.

    Args:
        scored: Scores of N videos.
        ids: Ids of these videos [N], which decide their half.
        training_counts: Number of training videos of each label [C], which decide the frequency bands.
        data: Name of the data set.
        target_precision: Maximize the recall of each label at this precision; 0 for the highest F1.
        training_videos: Number of the N videos that are training videos of the run; -1 if unknown.

    Raises:
        UserError: A half has no labels, or the precision is outside 0 to 1.
    """
    if not 0 <= target_precision <= 1:
        raise UserError(f"{target_precision:g}", where="target precision", expected="a number from 0 to 1")
    choosing = in_first_half(ids)
    for half in (choosing, ~choosing):
        if not scored.truth[half].nnz:
            raise UserError(
                f"{len(ids):,} videos, of which one half has no labels",
                where=data,
                expected="labels in both halves",
                advice="Use more videos.",
            )
    temperatures: list[Temperature] = []
    errors: list[BandError] = []
    bins: list[Bin] = []
    copies = draw_copies(int((~choosing).sum()))
    for output, probabilities in _outputs(scored):
        temperature = fit_temperature(probabilities[choosing], scored.truth[choosing])
        temperatures.append(Temperature(output, temperature))
        measured = probabilities[~choosing]
        for stage, values in (("before", measured), ("after", scale_probabilities(measured, temperature))):
            for error, points in _measure_bands(
                output, cast(Stage, stage), values, scored.truth[~choosing], training_counts, copies
            ):
                errors.append(error)
                bins.extend(points)
    thresholds, shared = choose_thresholds(scored.probabilities[choosing], scored.truth[choosing], target_precision)
    rules: dict[str, NDArray[np.float64] | float] = {"0.5": 0.5, "global": shared, "per label": thresholds}
    table = f1_table(scored.probabilities[~choosing], scored.truth[~choosing], rules, "global")
    return Calibration(
        data=data,
        chosen_on=int(choosing.sum()),
        measured_on=int((~choosing).sum()),
        training_videos=training_videos,
        target_precision=float(target_precision),
        temperatures=temperatures,
        errors=errors,
        bins=bins,
        f1=[F1(*row) for row in table.itertuples(index=False)],
        global_threshold=shared,
        own_thresholds=int((counts(scored.truth[choosing]) >= MIN_POSITIVES).sum()),
        thresholds=thresholds.tolist(),
    )


def in_first_half(ids: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each video belongs to the half that chooses: a hash of its id, the same in every data set.

    It is not the hash of ``training.splits.assign_folds``: a held-out fold would be in one half.

    >>> in_first_half(["aaaa", "bbbb", "cccc"])
    array([False, False,  True])
    """
    return np.array([hashlib.sha256(video_id.encode()).digest()[0] % 2 == 0 for video_id in ids], np.bool_)


def _outputs(scored: CachedScores) -> Iterator[tuple[Output, Probabilities]]:
    """Yield the scores, and the classified scores where label processing changes them."""
    yield "scores", scored.probabilities
    if not np.may_share_memory(scored.probabilities, scored.classified):
        yield "classified", scored.classified


def _measure_bands(
    output: Output,
    stage: Stage,
    probabilities: Probabilities,
    truth: csr_array,
    training_counts: NDArray[np.int64],
    copies: NDArray[np.float32],
) -> Iterator[tuple[BandError, list[Bin]]]:
    """Yield the ECE and the bins of each frequency band that has labels, and of all labels."""
    band_of_label = bands(training_counts)
    for band in (*BANDS, ALL):
        labels = np.flatnonzero((band_of_label == band) | (band == ALL))
        if not len(labels):
            continue
        of_band, positives = probabilities[:, labels], truth[:, labels]
        error, table = reliability(of_band, positives, copies)
        name, hits = cast(Band, band), int(positives.sum())
        yield (
            BandError(output, stage, name, len(labels), hits, hits / of_band.size, *error),
            [Bin(output, stage, name, *row) for row in table.itertuples(index=False)],
        )
