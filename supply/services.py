"""Ask the package index for hashes, and an advisory service for vulnerabilities, through uv and pip-audit."""

import json
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from supply.advisories import Snapshot
from supply.pins import Pin, canonical
from yt8m_core.errors import UserError

# A package with advisories for years. A service that lists none of them has not been asked.
CANARY = Pin("pyyaml", "5.3")
PYTHON = "3.11.9"  # the lowest minor version that the project supports, with the patches that pinned packages need
TIMEOUT = 600  # seconds


def list_hashes(pins: dict[str, Pin]) -> dict[str, Pin]:
    """Return the hashes of all files of each pinned version, as the package index lists them.

    Raises:
        UserError: uv is not installed, or the index cannot be read.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--system-certs", "--quiet", "--no-deps"]
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--python-version", PYTHON]
    text = _run([*command, *options], pins.values())
    known: dict[str, Pin] = {}
    for block in re.split(r"\n(?=\S)", text):
        if match := re.match(r"([\w.-]+)==([\w.!]+)", block):
            hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            known[canonical(match[1])] = Pin(match[1], match[2], hashes)
    return known


def ask_advisories(pins: dict[str, Pin], today: date) -> Snapshot:
    """Ask the advisory service of PyPI about all pinned packages.

    Returns:
        Its answer. Where the service lists nothing for a package that has advisories, the answer is a problem.
    """
    service = "PyPI, through pip-audit"
    try:
        canary = _audit({"canary": CANARY})
        packages = _audit(pins)
    except UserError as error:
        return Snapshot(today, service, f"the advisory service could not be asked: {str(error).rstrip('.')}", {})
    if not canary.get(canonical(CANARY.name), ("", []))[1]:
        problem = (
            f"the advisory service could not be asked: it lists no advisory for {CANARY.name} {CANARY.version}, which "
            f"has several, and knows {len(packages):,} of {len(pins):,} pinned packages"
        )
        return Snapshot(today, service, problem, {})
    return Snapshot(today, service, "", packages)


def _audit(pins: dict[str, Pin]) -> dict[str, tuple[str, list[str]]]:
    """Return version and advisories of the packages that the service knows; pip-audit skips the others."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    text = _run([*command, "--format", "json", "--requirement"], pins.values(), accepted=(0, 1))
    try:
        entries: list[dict[str, Any]] = json.loads(text)["dependencies"]
        return {
            canonical(entry["name"]): (entry["version"], sorted(vuln["id"] for vuln in entry["vulns"]))
            for entry in entries
            if "skip_reason" not in entry
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UserError("pip-audit printed no valid JSON") from error


def _run(command: list[str], pins: Any, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a command on a file of pins, which is its last argument, and return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins), encoding="utf-8")
        try:
            # No shell, and a fixed program.
            done = subprocess.run(  # noqa: S603
                [*command, str(requirements)], text=True, capture_output=True, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"{command[2]} took more than {TIMEOUT} s") from error
    if done.returncode not in accepted or not done.stdout:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]  # also where the program is not installed
        raise UserError(f"{command[2]} failed: {last[:300]}")
    return done.stdout
