"""Known vulnerabilities of the pinned packages, from a snapshot that needs no network.

A check that could not be made is a failure: a service that lists nothing reads like one that has nothing to list.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from supply.pins import Pin, canonical
from yt8m_core.errors import UserError

SNAPSHOT = Path(__file__).with_name("advisories.json")
MAX_AGE = 30  # days
MAX_LISTED = 5
UPDATE = "Make a new snapshot where the network is reachable: make advisories."


@dataclass(frozen=True)
class Snapshot:
    """What an advisory service said on one day.

    Attributes:
        day: When it was asked.
        service: Who was asked.
        problem: Why it could not be asked; empty if it was.
        packages: Version and ids of the advisories of each package that the service knows, by canonical name.
    """

    day: date
    service: str
    problem: str
    packages: dict[str, tuple[str, list[str]]]


def read_snapshot(file: Path = SNAPSHOT) -> Snapshot:
    """Read the snapshot.

    Raises:
        UserError: There is none, or it is invalid.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        packages = {
            canonical(name): (_text(entry["version"]), [_text(advisory) for advisory in entry["advisories"]])
            for name, entry in values["packages"].items()
        }
        day = date.fromisoformat(values["date"])
        return Snapshot(day, _text(values["service"]), _text(values["problem"]), packages)
    except FileNotFoundError as error:
        raise UserError("not checked: there is no snapshot of advisories", where=str(file), advice=UPDATE) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("not checked: the snapshot is invalid", where=str(file), advice=UPDATE) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def write_snapshot(snapshot: Snapshot, file: Path = SNAPSHOT) -> None:
    """Write a snapshot."""
    packages = {
        name: {"version": version, "advisories": advisories}
        for name, (version, advisories) in sorted(snapshot.packages.items())
    }
    values = {
        "date": snapshot.day.isoformat(),
        "service": snapshot.service,
        "problem": snapshot.problem,
        "packages": packages,
    }
    file.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def check_advisories(snapshot: Snapshot, pins: dict[str, Pin], today: date) -> str:
    """Return the finding that no pinned package has a known vulnerability.

    Raises:
        UserError: A package has one, or it could not be checked: the service could not be asked, the snapshot is too
            old or from the future, or it lacks a pinned version.
    """
    age = (today - snapshot.day).days
    made = f"the snapshot of {snapshot.day}"
    if snapshot.problem:
        raise UserError(f"not checked: on {snapshot.day}, {snapshot.problem}", advice=UPDATE)
    if not 0 <= age <= MAX_AGE:
        what = f"{age} days old, more than {MAX_AGE}" if age > 0 else f"from the future (today is {today})"
        raise UserError(f"not checked: {made} is {what}", advice=UPDATE)
    missing = [pin.name for key, pin in pins.items() if snapshot.packages.get(key, ("", []))[0] != pin.version]
    if missing or not pins:
        names = ", ".join(missing[:MAX_LISTED]) + (", …" if len(missing) > MAX_LISTED else "")
        raise UserError(
            f"not checked: {made} lacks the pinned version of {len(missing):,} of {len(pins):,} packages ({names})",
            advice=UPDATE,
        )
    found = {pin.name: snapshot.packages[key][1] for key, pin in pins.items() if snapshot.packages[key][1]}
    if found:
        lines = "".join(f"\n  {name} {pins[canonical(name)].version}: {', '.join(ids)}" for name, ids in found.items())
        raise UserError(
            f"{len(found):,} of {len(pins):,} pinned packages have known vulnerabilities:{lines}\nSource: {made}",
            advice="Pin fixed versions in constraints.txt, then: make hashes advisories.",
        )
    return f"{len(pins):,} pinned packages have no known vulnerability in {made} ({snapshot.service})."
