"""Commands on what the project installs: ``python -m supply {verify,hashes,audit}``."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from supply.advisories import SNAPSHOT, check_advisories, read_snapshot, write_snapshot
from supply.installation import verify_installation
from supply.pins import add_file, add_hashes, read_pins, write_pins
from supply.services import ask_advisories, list_hashes
from yt8m_core.errors import UserError


def verify(report: Path) -> None:
    """Compare what pip has installed with the hashes in constraints.txt."""
    compared = verify_installation(report, read_pins())
    print(f"supply: {compared:,} installed files have the hashes in constraints.txt.")


def hashes(wheels: list[Path]) -> None:
    """Write the hashes of the pinned files to constraints.txt: of all files in the package index, or of wheels."""
    pins = read_pins()
    for wheel in wheels:
        add_file(pins, wheel)
    if not wheels:
        add_hashes(pins, list_hashes(pins))
    write_pins(pins)
    print(f"supply: {sum(len(pin.hashes) for pin in pins.values()):,} hashes of {len(pins):,} packages.")


def audit(update: bool) -> None:
    """Check the pinned packages for known vulnerabilities, offline; with ``update``, make a new snapshot first."""
    today = datetime.now(UTC).date()
    pins = read_pins()
    if update:
        snapshot = ask_advisories(pins, today)
        # A failed update keeps what an earlier one has found.
        if snapshot.problem and SNAPSHOT.exists() and read_snapshot().packages:
            raise UserError(f"not updated: {snapshot.problem}")
        write_snapshot(snapshot)
    print(f"supply: {check_advisories(read_snapshot(), pins, today)}")


def main() -> int:
    """Run a command; its errors are one message, without a traceback."""
    parser = argparse.ArgumentParser(prog="supply", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verify", help=verify.__doc__).add_argument("report", type=Path)
    commands.add_parser("hashes", help=hashes.__doc__).add_argument("wheels", type=Path, nargs="*")
    commands.add_parser("audit", help=audit.__doc__).add_argument("--update", action="store_true")
    options = parser.parse_args()
    try:
        if options.command == "verify":
            verify(options.report)
        elif options.command == "hashes":
            hashes(options.wheels)
        else:
            audit(options.update)
    except UserError as error:
        print(f"supply: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
