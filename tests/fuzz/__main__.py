"""Fuzz all readers, or replay one mutant."""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.hunt import hunt
from tests.fuzz.targets import TARGETS, RealRecords, schedule


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "NUMBER"), help="run one mutant in this process")
    arguments = parser.parse_args()
    real = RealRecords.read(Path(os.environ.get("YT8M_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")))
    if arguments.replay:
        name, number = arguments.replay
        TARGETS[name][1](Random(f"{arguments.seed}/{name}/{number}"), real, lambda size: print(f"{size:,} bytes"))
        return
    started, jobs = time.monotonic(), [*schedule(arguments.mutations)]
    findings = hunt({name: target for name, (_, target) in TARGETS.items()}, jobs, real, seed=arguments.seed)
    for finding in findings:
        print(finding)
    num_mutants = Counter(name for name, _ in jobs)
    num_findings = Counter(finding.target for finding in findings)
    for name in TARGETS:
        print(f"{name}: {num_mutants[name]:,} mutants, {num_findings[name]} findings")
    seconds = time.monotonic() - started
    print(f"{len(jobs):,} mutants in {seconds:.0f} s, seed {arguments.seed}: {len(findings)} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
