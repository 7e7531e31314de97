"""The command: a hunt of so many mutants, or one of them again."""

import argparse
import os
import sys
import time
from pathlib import Path
from random import Random

from tests.fuzz.hunt import hunt
from tests.fuzz.targets import TARGETS, Real, in_turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "NUMBER"), help="run one mutant in this process")
    arguments = parser.parse_args()
    real = Real.read(Path(os.environ.get("YT8M_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")))
    if arguments.replay:
        name, number = arguments.replay
        TARGETS[name][1](Random(f"{arguments.seed}/{name}/{number}"), real, lambda size: print(f"{size:,} bytes"))
        return
    started, jobs = time.monotonic(), [*in_turn(arguments.mutations)]
    findings = hunt({name: target for name, (_, target) in TARGETS.items()}, jobs, real, seed=arguments.seed)
    for finding in findings:
        print(finding)
    for name in TARGETS:
        ran, found = (
            sum(one == name for one in names) for names in ([n for n, _ in jobs], [f.target for f in findings])
        )
        print(f"{name}: {ran:,} mutants, {found} findings")
    seconds = time.monotonic() - started
    print(f"{len(jobs):,} mutants in {seconds:.0f} s, seed {arguments.seed}: {len(findings)} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
