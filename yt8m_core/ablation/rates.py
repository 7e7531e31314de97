"""The learning rate of each line of slots: the same search for all of them, and one committed file of what it found.

The paper's rate is meant for 250,000 steps; here there are 400 to 900, and the best rates of two lines may then differ
30-fold. A rate that suits the baseline alone would make a table of how well it suits the other rows. So every line is
trained at every rate of ``GRID``, with a seed that no table has and in a demo world that no table has (the same dials,
other videos): neither the videos nor the seeds of a table have a say in its rates, and the choice among four makes none
of its numbers too good. ``search`` makes the file, which lies in the package since experiments are made with it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.files import replacing
from yt8m_core.paper_tables import Row

FILE = Path(__file__).with_name("rates.json")
GRID = (0.001, 0.003, 0.01, 0.03)
TIE = 0.001  # of GAP: rates that are so near to the best count as equal to it
FORMAT = 1

Found = Mapping[str, Mapping[str, float | None]]  # of each line, the GAP at each rate; None: its loss was not finite


def choose(gaps: Sequence[float | None]) -> float:
    """The rate of ``GRID`` with the best GAP; of those within ``TIE`` of the best, the lowest.

    >>> choose([0.61, 0.6203, 0.6208, None])
    0.003

    Raises UserError where no rate has a GAP.
    """
    finite = [gap for gap in gaps if gap is not None]
    if not finite:
        raise UserError("no rate with a finite loss", expected=f"one of {', '.join(map(str, GRID))}")
    return next(rate for rate, gap in zip(GRID, gaps, strict=True) if gap is not None and gap >= max(finite) - TIE)


def rate_of(row: Row, found: Found) -> float:
    """The rate of a row's line. Raises UserError where none was found, or at other rates than those of ``GRID``."""
    gaps = found.get(row.line)
    if gaps is None or list(gaps) != [str(rate) for rate in GRID]:
        raise UserError(
            f"no learning rate for '{row.name}' ({row.line})", where=str(FILE), advice="Search for it: yt8m rates."
        )
    return choose(list(gaps.values()))


def read_rates(setting: str) -> Found:
    """What the search found in this setting; nothing where the file is not there or is of another setting.

    Raises UserError for a file that is none of rates.
    """
    try:
        values = json.loads(FILE.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError("another format")
        found: Found = values["gaps"] if values["setting"] == setting else {}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"no learning rates ({error})", where=str(FILE), advice="Make it again: yt8m rates.") from None
    return found


def write_rates(setting: str, found: Found) -> None:
    """Store what the search found so far."""
    values = {"format": FORMAT, "command": "yt8m rates", "setting": setting, "gaps": found}
    with replacing(FILE) as unfinished:
        unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
