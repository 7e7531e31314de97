"""Search the learning rate of every architecture: train each at several rates, and never repeat a stored result."""

from collections.abc import Collection

import pandas as pd

from yt8m_core.ablation.demo_sweeps import SWEEPS
from yt8m_core.ablation.learning_rates import GapByRate, choose_rate, next_rate, read_rates, write_rates
from yt8m_core.ablation.recipe import (
    FIXED_RATES,
    SEARCH_SCALES,
    SEARCH_SEED,
    chosen_scale,
    search_recipe,
    search_setting,
    search_source,
)
from yt8m_core.ablation.runner import train_missing
from yt8m_core.errors import TrainingDivergedError, check_choice
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Progress, console_progress

TASK = "searching learning rates"


def searched_rows(scale: str, tables: Collection[str] = ()) -> list[tuple[str, Row]]:
    """Return one row per architecture whose rate is searched, each with a table that contains it.

    At "sample" an architecture appears twice if it is in tables with and without frames. Without ``tables``, the
    architectures of the demo sweeps are included.
    """
    rows = [(table, row) for table in tables or TABLES if table not in FIXED_RATES for row in TABLES[table].rows]
    if not tables and scale != "sample":
        rows += [("pooling", row) for sweep in SWEEPS.values() for row in (sweep.row, sweep.reference)]
    unique = {(search_setting(table, scale), row.architecture): (table, row) for table, row in reversed(rows)}
    return list(reversed(unique.values()))


def search_rates(
    tables: Collection[str] = (), *, scale: str | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Search the learning rate of each architecture; the file is written after each rate.

    Results that the file has for this setting are reused, whatever machine made them. "smoke" stores nothing.

    Args:
        tables: Tables to search; empty: all.
        scale: Scale; default: ``YT8M_SCALE``.
        progress: Progress callback; default: a progress bar.

    Returns:
        ``table`` (one that has the architecture), ``architecture``, ``rate``, ``tried`` (the GAP at each rate, as
        text).

    Raises:
        UserError: A table or the scale is unknown or has no searched rates, the data do not exist, or an architecture
            diverged at every rate.
    """
    scale, progress = chosen_scale(scale), progress or console_progress()
    check_choice("scale", scale, SEARCH_SCALES, where="rates")
    searchable = [table for table in TABLES if table not in FIXED_RATES]
    for table in tables:
        check_choice("table", table, searchable)
    rows = searched_rows(scale, tables)
    results: list[tuple[str, str, float, str]] = []
    for number, (table, row) in enumerate(rows):
        setting, first = search_setting(table, scale), search_recipe(table, scale, 0.0).first_rates
        gaps = dict(read_rates(setting).get(row.architecture, {}))
        while (rate := next_rate(gaps, first)) is not None:
            gaps[str(rate)] = _train_at(table, row, rate, scale, progress, (number, len(rows)))
            if scale != "smoke":
                write_rates(setting, {row.architecture: gaps})
        results.append((table, row.architecture, choose_rate(gaps), format_gaps(gaps)))
    progress(TASK, len(rows), len(rows))
    return pd.DataFrame(results, columns=["table", "architecture", "rate", "tried"])


def format_gaps(gaps: GapByRate) -> str:
    """Return the GAP at each rate as text, lowest rate first.

    >>> format_gaps({"0.01": 0.41, "0.003": 0.4, "0.03": None})
    '0.003: 0.4000, 0.01: 0.4100, 0.03: diverged'
    """
    return ", ".join(
        f"{rate}: {'diverged' if gap is None else f'{gap:.4f}'}" for rate, gap in sorted(gaps.items(), key=_rate)
    )


def _rate(item: tuple[str, float | None]) -> float:
    return float(item[0])


def _train_at(
    table: str, row: Row, rate: float, scale: str, progress: Progress, position: tuple[int, int]
) -> float | None:
    """Return the GAP of a row at a rate; None if the loss diverged."""
    videos = search_source(table, scale)
    experiment = search_recipe(table, scale, rate).experiment(row, SEARCH_SEED, videos.data)

    def report(what: str, done: int, total: int, note: str = "") -> None:
        progress(TASK, *position, f"{row.name} at {rate}, {note or what}")

    try:
        (run,) = train_missing({row.architecture: experiment}, videos, progress=report).values()
    except TrainingDivergedError:
        return None
    return float(run.metrics["validation"]["gap"])
