"""The search for the learning rates: every line of slots at every rate of the grid, each run found again."""

from collections.abc import Iterable

import pandas as pd

from yt8m_core.ablation.dials import DIALS
from yt8m_core.ablation.rates import GRID, choose, read_rates, write_rates
from yt8m_core.ablation.setting import SEARCH_SEED, chosen_scale, search_recipe, search_setting, search_source
from yt8m_core.ablation.trained import train_missing
from yt8m_core.errors import Diverged
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Bars, Progress

WHAT = "searching learning rates"


def every_line() -> dict[str, Row]:
    """A row of each line that a table or a dial trains at a rate of its own, by line."""
    rows = [row for name, table in TABLES.items() if name != "rates" for row in table.rows]
    rows += [row for dial in DIALS.values() for row in (dial.row, dial.against)]
    return {row.line: row for row in reversed(rows)}  # of the first table that has it


def search_rates(
    rows: Iterable[Row] | None = None, *, scale: str | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """The GAP of each line at each rate, and the rate that is chosen; the file is written after each line.

    Lines are searched on a demo world at every scale, for the data of the others have no videos to spare; at "smoke" it
    only shows that it runs, and nothing is kept.

    Args:
        rows: whose lines; without them, all.
        scale: without it, that of ``YT8M_SCALE``.
        progress: told how far it is; without it, a bar.

    Returns:
        ``line``, a column for each rate (NaN where the loss was not finite), ``rate``.

    Raises:
        UserError: the scale is unknown, or no rate suits a line.
    """
    smoke = chosen_scale(scale) == "smoke"
    world = "smoke" if smoke else "demo"
    lines = every_line() if rows is None else {row.line: row for row in rows}
    progress, setting = progress or Bars(), search_setting()
    found = dict(read_rates(setting))
    table: list[list[object]] = []
    total = len(lines) * len(GRID)
    for row in lines.values():
        first = len(table) * len(GRID)
        gaps = [_gap(row, rate, world, progress, (first + i, total)) for i, rate in enumerate(GRID)]
        table.append([row.line, *gaps, choose(gaps)])
        if not smoke:
            found[row.line] = dict(zip(map(str, GRID), gaps, strict=True))
            write_rates(setting, {line: found[line] for line in every_line() if line in found})
    progress(WHAT, total, total)
    return pd.DataFrame(table, columns=["line", *map(str, GRID), "rate"])


def _gap(row: Row, rate: float, world: str, progress: Progress, place: tuple[int, int]) -> float | None:
    """The GAP of a line at a rate; None where its loss did not stay finite."""
    videos = search_source(world)
    experiment = search_recipe(world, rate).experiment(row, SEARCH_SEED, videos.data)

    def named(what: str, done: int, total: int, note: str = "") -> None:
        progress(WHAT, *place, f"{row.name} at {rate}, {note or what}")

    try:
        (run,) = train_missing({row.line: experiment}, videos, progress=named).values()
    except Diverged:
        return None
    return float(run.metrics["validation"]["gap"])
