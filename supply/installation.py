"""Compare the files that pip has installed with the hashes of the pinned files."""

import json
from pathlib import Path
from typing import Any

from supply.pins import Pin, canonical, public
from yt8m_core.errors import UserError

MAX_LISTED = 5


def verify_installation(report: Path, pins: dict[str, Pin]) -> int:
    """Check that every file in a report of pip is a pinned one.

    Args:
        report: What ``pip install --report`` wrote.
        pins: The pinned packages with their hashes.

    Returns:
        Number of files that were compared: zero where all packages had been installed before.

    Raises:
        UserError: A file has another hash, a package has another version or no pin, or the report is invalid.
    """
    faults, compared = [], 0
    for item in _read_items(report):
        if fault := _find_fault(item, pins):
            faults.append(fault)
        compared += "dir_info" not in item["download_info"]
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults[:MAX_LISTED])
        more = f"\n  and {len(faults) - MAX_LISTED:,} more" if len(faults) > MAX_LISTED else ""
        raise UserError(
            f"{len(faults):,} of {compared:,} installed files are not those of constraints.txt:{listed}{more}\n"
            "The environment holds unknown code",
            advice="Do not use it. `make` builds a new one. For a wheel of your own index, run "
            "`python -m supply hashes WHEEL` once you trust it.",
        )
    return compared


def _read_items(report: Path) -> list[dict[str, Any]]:
    """Return the installed packages of a report."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        items = [dict(item) for item in content["install"]]
        for item in items:
            if not isinstance(item["download_info"]["url"], str) or not isinstance(item["metadata"]["version"], str):
                raise TypeError
            canonical(item["metadata"]["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"no readable report of pip ({type(error).__name__})",
            where=str(report),
            expected="the file of `pip install --report`, of pip 22.2 or newer",
        ) from error
    return items


def _find_fault(item: dict[str, Any], pins: dict[str, Pin]) -> str:
    """Return why an installed file is not a pinned one; empty if it is, or is this project's own folder."""
    name, version, source = item["metadata"]["name"], item["metadata"]["version"], item["download_info"]
    if canonical(name) == "yt8m" and "dir_info" in source:
        return ""
    pin = pins.get(canonical(name))
    if pin is None:
        return f"{name} {version} has no pin"
    if public(version) != pin.version:
        return f"{name} {version} instead of {pin.version}"
    archive = source.get("archive_info")
    hashes = archive.get("hashes") if isinstance(archive, dict) else None
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    if digest is None and isinstance(archive, dict):  # pip before 23
        digest = str(archive.get("hash") or "").removeprefix("sha256=") or None
    if digest in pin.hashes:
        return ""
    return f"{name} {version} from {source['url']}: " + (f"SHA-256 {digest}" if digest else "without a hash")
