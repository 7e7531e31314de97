"""The search for the learning rates: every line of slots at several, and none of them twice."""

from collections.abc import Collection

import pandas as pd

from yt8m_core.ablation.demo_sweeps import DIALS
from yt8m_core.ablation.learning_rates import Gaps, choose, next_rate, read_rates, write_rates
from yt8m_core.ablation.recipe import (
    OWN_RATES,
    SEARCH_SEED,
    SEARCHED,
    chosen_scale,
    search_recipe,
    search_setting,
    search_source,
)
from yt8m_core.ablation.runner import train_missing
from yt8m_core.errors import Diverged, check_choice
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Bars, Progress

WHAT = "searching learning rates"


def every_line(scale: str, tables: Collection[str] = ()) -> list[tuple[str, Row]]:
    """A row of each line that these tables, or all, train at a rate of its own, with a table that has it.

    At "sample" a line counts twice where a table on frames and one without have it. Without ``tables``, the lines of
    the dials stand there as well, which turn the demo world.
    """
    rows = [(table, row) for table in tables or TABLES if table not in OWN_RATES for row in TABLES[table].rows]
    if not tables and scale != "sample":
        rows += [("pooling", row) for dial in DIALS.values() for row in (dial.row, dial.against)]
    lines = {(search_setting(table, scale), row.line): (table, row) for table, row in reversed(rows)}
    return list(reversed(lines.values()))


def search_rates(
    tables: Collection[str] = (), *, scale: str | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """The rate that is chosen for each line, and the GAP at each that was tried; the file is written after each rate.

    What the file has of this setting is not tried again, wherever it was found. At "smoke" this only shows that it
    runs, and nothing is kept.

    Args:
        tables: whose lines; without them, those of all.
        scale: without it, that of ``YT8M_SCALE``.
        progress: told how far it is; without it, a bar.

    Returns:
        ``table`` (one that has the line), ``line``, ``rate``, ``tried`` (the GAP at each rate in words).

    Raises:
        UserError: a table or the scale is unknown or has no rates, the data are not there, or no rate suits a line.
    """
    scale, progress = chosen_scale(scale), progress or Bars()
    check_choice("scale", scale, SEARCHED, where="rates")
    with_rates = [table for table in TABLES if table not in OWN_RATES]
    for table in tables:
        check_choice("table", table, with_rates)
    lines = every_line(scale, tables)
    found: list[tuple[str, str, float, str]] = []
    for number, (table, row) in enumerate(lines):
        setting, first = search_setting(table, scale), search_recipe(table, scale, 0.0).first_rates
        gaps = dict(read_rates(setting).get(row.line, {}))
        while (rate := next_rate(gaps, first)) is not None:
            gaps[str(rate)] = _gap(table, row, rate, scale, progress, (number, len(lines)))
            if scale != "smoke":
                write_rates(setting, {row.line: dict(sorted(gaps.items(), key=_rate))})
        found.append((table, row.line, choose(gaps), in_words(gaps)))
    progress(WHAT, len(lines), len(lines))
    return pd.DataFrame(found, columns=["table", "line", "rate", "tried"])


def in_words(gaps: Gaps) -> str:
    """The GAP at each rate, from the lowest.

    >>> in_words({"0.01": 0.41, "0.003": 0.4, "0.03": None})
    '0.003: 0.4000, 0.01: 0.4100, 0.03: diverged'
    """
    return ", ".join(
        f"{rate}: {'diverged' if gap is None else f'{gap:.4f}'}" for rate, gap in sorted(gaps.items(), key=_rate)
    )


def _rate(item: tuple[str, float | None]) -> float:
    return float(item[0])


def _gap(table: str, row: Row, rate: float, scale: str, progress: Progress, place: tuple[int, int]) -> float | None:
    """The GAP of a line of a table at a rate; None where its loss did not stay finite."""
    videos = search_source(table, scale)
    experiment = search_recipe(table, scale, rate).experiment(row, SEARCH_SEED, videos.data)

    def named(what: str, done: int, total: int, note: str = "") -> None:
        progress(WHAT, *place, f"{row.name} at {rate}, {note or what}")

    try:
        (run,) = train_missing({row.line: experiment}, videos, progress=named).values()
    except Diverged:
        return None
    return float(run.metrics["validation"]["gap"])
