"""Learning rates: one per architecture, found by the same search and stored in one committed file.

The paper's rate is meant for 250,000 steps. Here there are 400 to 900, and the best rates of two architectures can
differ by a factor of 100; a rate tuned for the baseline only would bias a table. The search therefore trains every
architecture at three or four rates, then at the next rate beyond an end while GAP rises toward that end. It uses a seed
and validation videos that no table uses, so the choice does not bias the tables. The file is part of the package
because experiments depend on it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.paper_tables import Row
from yt8m_core.storage.atomic import atomic_write, file_lock

RATES_FILE = Path(__file__).with_name("rates.json")
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FIRST_RATES = (0.001, 0.003, 0.01, 0.03)  # every architecture is trained at these
FIRST_RATES_VIDEO = (0.01, 0.03, 0.1)  # video-level data: mixtures over 3,862 labels have their best rate at 0.03
TIE_MARGIN = 0.001  # GAP: rates this close to the best count as equal
FORMAT = 2

GapByRate = Mapping[str, float | None]  # GAP of each rate; None if the loss diverged
GapsByRow = Mapping[str, GapByRate]  # keyed by ``Row.architecture``


def choose_rate(gaps: GapByRate) -> float:
    """Return the rate with the best GAP; among rates within ``TIE_MARGIN`` of the best, the lowest.

    >>> choose_rate({"0.001": 0.61, "0.003": 0.6203, "0.01": 0.6208, "0.03": None})
    0.003

    Raises UserError if no rate has a GAP.
    """
    finite = {float(rate): gap for rate, gap in gaps.items() if gap is not None}
    if not finite:
        raise UserError("the loss diverged at every learning rate", expected=f"one of {', '.join(gaps)}")
    return min(rate for rate, gap in finite.items() if gap >= max(finite.values()) - TIE_MARGIN)


def next_rate(gaps: GapByRate, first: Sequence[float] = FIRST_RATES) -> float | None:
    """Return the next rate to try: first those of ``first``, then beyond an end toward which GAP rises; else None.

    Both ends are checked because GAP over rates can have two peaks when scores saturate at a rate in the middle.

    >>> next_rate({"0.001": 0.2, "0.003": 0.3, "0.01": 0.4, "0.03": 0.5})
    0.1
    >>> next_rate({"0.01": 0.156, "0.03": 0.0, "0.1": 0.23, "0.3": 0.193}, FIRST_RATES_VIDEO)
    0.003
    """
    tried = [rate for rate in RATES if str(rate) in gaps]
    if missing := [rate for rate in first if rate not in tried]:
        return missing[0]
    heights = [-math.inf if (gap := gaps[str(rate)]) is None else gap for rate in tried]
    lowest, highest = tried[0], tried[-1]
    if heights[0] >= heights[1] - TIE_MARGIN and lowest != RATES[0]:
        return RATES[RATES.index(lowest) - 1]
    if heights[-1] > heights[-2] and highest != RATES[-1]:
        return RATES[RATES.index(highest) + 1]
    return None


def rate_for(row: Row, gaps_by_row: GapsByRow, first: Sequence[float] = FIRST_RATES) -> float:
    """Return the learning rate of a row. Raises UserError if its search is missing or unfinished."""
    gaps = gaps_by_row.get(row.architecture, {})
    if next_rate(gaps, first) is not None:
        raise UserError(
            f"no learning rate for '{row.name}' ({row.architecture})",
            where=str(RATES_FILE),
            advice="Search for it: yt8m rates (add --scale sample for a sample).",
        )
    return choose_rate(gaps)


def read_rates(setting: str) -> GapsByRow:
    """Return the results of the search in a setting; empty if the file or the setting does not exist.

    Raises UserError if the file is not a valid rates file.
    """
    return _read().get(setting, {})


def write_rates(setting: str, gaps_by_row: GapsByRow) -> None:
    """Add search results of a setting to the file. Concurrent searches do not overwrite each other."""
    with (
        file_lock(RATES_FILE, "search of learning rates", wait=lambda message: None),
        atomic_write(RATES_FILE) as unfinished,
    ):
        stored = _read()
        rows = dict(stored.get(setting, {}))
        for row, gaps in gaps_by_row.items():  # another search may have tried further rates of the same row
            rows[row] = dict(sorted({**rows.get(row, {}), **gaps}.items(), key=lambda item: float(item[0])))
        settings = {**stored, setting: rows}
        values = {"format": FORMAT, "command": "yt8m rates", "settings": settings}
        unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read() -> Mapping[str, GapsByRow]:
    try:
        values = json.loads(RATES_FILE.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, expected {FORMAT}")
        settings: Mapping[str, GapsByRow] = dict(values["settings"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"not a learning rates file ({error})", where=str(RATES_FILE), advice="Make it again: yt8m rates."
        ) from None
    return settings
