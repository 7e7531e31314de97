"""Readings of equation 20: which normalization of M_c, space of the scores and step of M'_c give the paper's Table 3?

The paper states none of the three. Each reading trains the rows of Table 3 after MoE-2, on the videos of the learning
rate search: no validation video of a table decides the default reading of ``Correlation``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from yt8m_core.ablation.learning_rates import rate_for, read_rates
from yt8m_core.ablation.recipe import (
    SCALES,
    SEARCH_SEED,
    Recipe,
    Source,
    chosen_scale,
    digest_of,
    search_recipe,
    search_setting,
    search_source,
)
from yt8m_core.ablation.results import results_folder
from yt8m_core.ablation.runner import train_missing
from yt8m_core.ablation.significance import bootstrap_gaps
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Experiment
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Row, label_processing
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.progress import Progress, console_progress
from yt8m_core.storage.atomic import atomic_write

TABLE = "label_processing"
SCALES_WITH_READINGS = ("smoke", "demo", "sample")  # those with a learning rate search
STEP = 0.1  # relative step of the sweep over normalizations and spaces
STEPS = (0.03, STEP, 0.3, 1.0)
PROBABILITIES = ("cond_row", "cond", "joint", "cosine", "phi", "centered")
LOGITS = ("cond_row", "joint", "centered")
STEP_READINGS = (("cond_row", "prob"), ("joint", "prob"), ("centered", "logit"))  # tried with all of ``STEPS``
COLUMNS = (
    "matrix_norm", "space", "relative_step", "beta", "gamma", "paper_difference", "gap", "difference",
    "difference_low", "difference_high", "videos", "scale", "data",
)  # fmt: skip
FORMAT = 1


@dataclass(frozen=True)
class Reading:
    """One way to read equation 20."""

    matrix_norm: str
    space: str
    relative_step: float = STEP

    def processing(self, row: Row) -> Slot:
        """Return the label processing of a row of Table 3 in this reading."""
        weights = {weight: row.label_processing.options[weight] for weight in ("beta", "gamma")}
        return Slot("correlation", {**weights, **vars(self)})


def readings(scale: str) -> list[tuple[Reading, Row]]:
    """Return each reading with the rows of Table 3 that it trains: all, and γ = 0.1 at the other steps.

    "smoke" has two of them.
    """
    return list(_all_readings())[: 2 if scale == "smoke" else None]


def _all_readings() -> Iterator[tuple[Reading, Row]]:
    rows = label_processing.TABLE.rows[1:]
    for space, norms in (("prob", PROBABILITIES), ("average", ("cond_row",)), ("logit", LOGITS)):
        for norm in norms:
            yield from ((Reading(norm, space), row) for row in rows)
    (trained,) = (row for row in rows if row.label_processing.options["gamma"] == 0.1)
    for norm, space in STEP_READINGS:
        yield from ((Reading(norm, space, step), trained) for step in STEPS if step != STEP)


def sweep_readings(*, scale: str | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """Return the difference of each row of Table 3 from its baseline in each reading. Missing runs are trained.

    Args:
        scale: "demo", "sample" or "smoke"; default: ``YT8M_SCALE``.
        progress: Progress callback; default: a progress bar.

    Returns:
        ``COLUMNS``. ``paper_difference`` is the paper's, after MoE-16 on its test set; ``difference`` is paired by
        video, with its 95% CI over videos (one seed).

    Raises:
        UserError: The scale has no such videos, or the learning rate of MoE-2 was not searched.
    """
    scale, progress = chosen_scale(scale), progress or console_progress()
    videos, experiments = _experiments(scale)
    runs = train_missing(experiments, videos, progress=progress)
    gaps = bootstrap_gaps({title: [run.predictions] for title, run in runs.items()})
    baseline, paper_gap = gaps["baseline"], label_processing.TABLE.gap(label_processing.BASELINE)
    rows = []
    for reading, row in readings(scale):
        title = _title(reading, row)
        difference = gaps[title].minus(baseline)
        options = row.label_processing.options
        rows.append(
            {
                **vars(reading),
                "beta": options["beta"],
                "gamma": options["gamma"],
                "paper_difference": round((row.gap or np.nan) - (paper_gap or np.nan), 4),
                "gap": float(gaps[title].gaps[0]),
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "videos": runs[title].metrics["validation"]["num_videos"],
                "scale": SCALES[scale],
                "data": videos.name,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def rank_readings(table: pd.DataFrame) -> pd.DataFrame:
    """Return how far each reading is from the paper's Table 3, closest first.

    Returns:
        matrix_norm, space, ``deviation`` (root mean square over the rows of Table 3 of the difference from the paper's
        difference) and ``largest`` (the largest absolute one).
    """
    whole = table[table["relative_step"] == STEP]
    error = (whole["difference"] - whole["paper_difference"]).abs()
    groups = error.groupby([whole["matrix_norm"], whole["space"]])
    result = pd.DataFrame(
        {"deviation": groups.apply(lambda values: np.sqrt((values**2).mean())), "largest": groups.max()}
    )
    return result.sort_values("deviation").reset_index()


def save_readings(table: pd.DataFrame, *, scale: str | None = None, folder: Path | None = None) -> Path:
    """Store the result of a sweep in ``nb/results`` (not at "smoke") and return its path."""
    scale = chosen_scale(scale)
    file = readings_file(scale, folder)
    if scale != "smoke":
        values = {
            "format": FORMAT,
            "command": readings_command(scale),
            "experiments": digest(scale),
            "rows": json.loads(table.to_json(orient="records")),
        }
        with atomic_write(file) as unfinished:
            unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def stored_readings(scale: str, folder: Path | None = None) -> pd.DataFrame:
    """Return the stored result of a sweep. Raises UserError if it is missing or invalid."""
    file = readings_file(scale, folder)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, expected {FORMAT}")
        return pd.DataFrame(values["rows"], columns=list(COLUMNS))
    except (OSError, ValueError, KeyError, TypeError) as error:
        advice = f"Make it again: {readings_command(scale)}."
        raise UserError(f"not a result of a sweep ({error})", where=str(file), advice=advice) from None


def readings_command(scale: str) -> str:
    """Return the command that makes the result of the sweep at a scale."""
    return f"yt8m readings --scale {scale}"


def readings_file(scale: str, folder: Path | None = None) -> Path:
    """Return the path of the stored result of a sweep."""
    return (folder or results_folder()) / scale / "correlation_readings.json"


def digest(scale: str) -> str:
    """Return a digest of the experiments of the sweep, without their data, which may be missing here."""
    recipe = _recipe(scale)
    slots = [None, *(reading.processing(row) for reading, row in readings(scale))]
    return digest_of([search_setting(TABLE, scale), recipe.digest(_row()), *(slot and str(slot) for slot in slots)])


def _experiments(scale: str) -> tuple[Source, dict[str, Experiment]]:
    recipe = _recipe(scale)
    videos = search_source(TABLE, scale)
    baseline = recipe.experiment(_row(), SEARCH_SEED, videos.data)
    experiments = {
        _title(reading, row): replace(baseline, label_processing=reading.processing(row))
        for reading, row in readings(scale)
    }
    return videos, {"baseline": baseline, **experiments}


def _recipe(scale: str) -> Recipe:
    """Return the recipe of the search at the rate of MoE-2 without label processing."""
    check_choice("scale", scale, SCALES_WITH_READINGS, where="readings")
    rate = 0.01
    if scale != "smoke":
        setting = search_setting(TABLE, scale)
        rate = rate_for(_row(), read_rates(setting), search_recipe(TABLE, scale, rate).first_rates)
    return search_recipe(TABLE, scale, rate)


def _row() -> Row:
    return replace(TABLES[TABLE].rows[0], name="MoE-2", classification=MOE_2)


def _title(reading: Reading, row: Row) -> str:
    weights = row.label_processing.options
    return (
        f"{reading.matrix_norm}, {reading.space}, step {reading.relative_step}, {weights['beta']}, {weights['gamma']}"
    )
