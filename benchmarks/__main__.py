"""Run all or the named benchmarks, print one table, and store it if all were run."""

import argparse
import csv
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import COLUMNS

# The loader comes first: it forks workers, which is safest before TensorFlow starts threads.
NAMES = (
    "loader",
    "index",
    "reader",
    "importer",
    "video_level",
    "metrics",
    "scaling",
    "step",
    "pool_once",
    "evaluation",
    "segments",
)
PACKAGES = ("yt8m", "torch", "numpy", "pyarrow", "protobuf", "crc32c", "tensorflow-cpu", "tensorflow", "tfrecord")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Format the rows as an aligned table."""
    cells = [COLUMNS] + [[_format(column, row[column]) for column in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    numeric = [column not in ("what", "unit", "peer_name") for column in COLUMNS]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def _format(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2f}" if "_over_" in column or value < 100 else f"{value:,.0f}"


def machine() -> dict[str, Any]:
    """Describe the machine and the package versions."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def store(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write results.csv and machine.json; new rows replace stored ones with the same ``what``."""
    stored, new = folder / "results.csv", {row["what"] for row in rows}
    if stored.is_file():
        with open(stored, newline="") as file:
            rows = [*(row for row in csv.DictReader(file) if row["what"] not in new), *rows]
    with open(stored, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    (folder / "machine.json").write_text(json.dumps(machine(), indent=2) + "\n")


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(NAMES)}; default: all, and store")
    parser.add_argument("--store", action="store_true", help="store the results of the named benchmarks, too")
    arguments = parser.parse_args()
    names = arguments.names
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown benchmark '{min(unknown)}': choose from {', '.join(NAMES)}")
    rows = [row for name in names or NAMES for row in import_module(f"benchmarks.{name}").rows()]
    print(table(rows))
    folder = Path(__file__).parent
    if not names:  # remove rows of benchmarks that no longer exist
        (folder / "results.csv").unlink(missing_ok=True)
    if not names or arguments.store:
        store(rows, folder)


if __name__ == "__main__":
    main()
