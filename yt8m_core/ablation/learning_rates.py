"""The learning rate of each line of slots: the same search for all of them, and one committed file of what it found.

The paper's rate is meant for 250,000 steps; here there are 400 to 900, and the best rates of two lines may then differ
a hundredfold. A rate that suits the baseline alone would make a table of how well it suits the other rows. So every
line is first trained at three or four rates, and then at the next beyond an end of them for as long as its GAP rises
toward there, with a seed that no table has and on videos that no table is measured on: neither those nor the seeds of
a table have a say in its rates, and a choice among so few makes none of its numbers too good. ``search`` makes the
file, which lies in the package since experiments are made with it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from yt8m_core.errors import UserError
from yt8m_core.paper_tables import Row
from yt8m_core.storage.atomic import atomic_write

FILE = Path(__file__).with_name("rates.json")
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FIRST = (0.001, 0.003, 0.01, 0.03)  # of them, those that every line is trained at
FIRST_OF_VECTORS = (0.01, 0.03, 0.1)  # where a video is one vector: mixtures over 3,862 labels have their best at 0.03
TIE = 0.001  # of GAP: rates that are so near to the best count as equal to it
FORMAT = 2

Gaps = Mapping[str, float | None]  # the GAP at each rate that was tried; None: the loss was not finite
Found = Mapping[str, Gaps]  # of each line


def choose(gaps: Gaps) -> float:
    """The rate with the best GAP; of those within ``TIE`` of the best, the lowest.

    >>> choose({"0.001": 0.61, "0.003": 0.6203, "0.01": 0.6208, "0.03": None})
    0.003

    Raises UserError where no rate has a GAP.
    """
    finite = {float(rate): gap for rate, gap in gaps.items() if gap is not None}
    if not finite:
        raise UserError("no rate with a finite loss", expected=f"one of {', '.join(gaps)}")
    return min(rate for rate, gap in finite.items() if gap >= max(finite.values()) - TIE)


def next_rate(gaps: Gaps, first: Sequence[float] = FIRST) -> float | None:
    """The rate to try next: of ``first``, then beyond an end that the GAP rises to; None where it falls to both.

    The best rate is not always on the same hill as the best of ``first``: scores that saturate at a rate in the middle
    have a hill on both sides of it.

    >>> next_rate({"0.001": 0.2, "0.003": 0.3, "0.01": 0.4, "0.03": 0.5})
    0.1
    >>> next_rate({"0.01": 0.156, "0.03": 0.0, "0.1": 0.23, "0.3": 0.193}, FIRST_OF_VECTORS)
    0.003
    """
    tried = [rate for rate in RATES if str(rate) in gaps]
    if missing := [rate for rate in first if rate not in tried]:
        return missing[0]
    height = [-math.inf if (gap := gaps[str(rate)]) is None else gap for rate in tried]
    lowest, highest = tried[0], tried[-1]
    if height[0] >= height[1] - TIE and lowest != RATES[0]:
        return RATES[RATES.index(lowest) - 1]
    if height[-1] > height[-2] and highest != RATES[-1]:
        return RATES[RATES.index(highest) + 1]
    return None


def rate_of(row: Row, found: Found, first: Sequence[float] = FIRST) -> float:
    """The rate of a row's line. Raises UserError where none was found, or the search is not at its end."""
    gaps = found.get(row.line, {})
    if next_rate(gaps, first) is not None:
        raise UserError(
            f"no learning rate for '{row.name}' ({row.line})",
            where=str(FILE),
            advice="Search for it: yt8m rates, with --scale sample for a sample.",
        )
    return choose(gaps)


def read_rates(setting: str) -> Found:
    """What the search found in this setting; nothing where the file is not there or knows no such setting.

    Raises UserError for a file that is none of rates.
    """
    return _read().get(setting, {})


def write_rates(setting: str, found: Found) -> None:
    """Store what a search found in a setting, beside what the file has, also of searches that run at the same time."""
    with FileLock(FILE.with_name(f".{FILE.name}.lock")), atomic_write(FILE) as unfinished:
        before = _read()
        settings = {**before, setting: {**before.get(setting, {}), **found}}
        values = {"format": FORMAT, "command": "yt8m rates", "settings": settings}
        unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read() -> Mapping[str, Found]:
    try:
        values = json.loads(FILE.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError("another format")
        settings: Mapping[str, Found] = dict(values["settings"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"no learning rates ({error})", where=str(FILE), advice="Make it again: yt8m rates.") from None
    return settings
