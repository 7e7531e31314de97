"""A command that ``torchrun`` starts in tests: it evaluates, predicts and averages runs in small parts.

python -m tests.inference.worker RUN OTHER DATA OUTPUT SECONDS
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from yt8m_core.cli.boundary import error_boundary
from yt8m_core.inference import scoring_parts
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.inference.evaluation import evaluate
from yt8m_core.inference.prediction import predict
from yt8m_core.processes.group import Group, open_group
from yt8m_core.processes.parts import Parts
from yt8m_core.runs.run import Run


def main(run: Path, other: Path, data: str, output: Path, seconds: float) -> None:
    """Write all results into the folder ``output``; each part takes some seconds more."""
    scoring_parts.PART_BATCHES = 4
    make = Parts.make

    def make_slowly(parts: Parts, write: Callable[[int, Path], None], group: Group) -> None:
        def write_slowly(number: int, unfinished: Path) -> None:
            time.sleep(seconds)
            write(number, unfinished)

        make(parts, write_slowly, group)

    Parts.make = make_slowly  # type: ignore[method-assign]
    with open_group() as group:
        (output / f"pid{group.rank}").write_text(str(os.getpid()))
        for ending in ("csv", "parquet"):
            predict(Run.open(run), data, output / f"scores.{ending}", group=group)
        evaluation = evaluate(Run.open(run), data, group=group)
        ensemble = Ensemble.open([run, other], data, group=group)
        comparison = ensemble.run(output / "ensemble.csv", group=group)
        if group.is_first:
            results = [evaluation.metrics, comparison.members().to_dict("list"), comparison.diversity().to_dict("list")]
            (output / "metrics.json").write_text(json.dumps(results))
            evaluation.predictions.to_json(output / "predictions.json", orient="split")


if __name__ == "__main__":
    with error_boundary():
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), float(sys.argv[5]))
