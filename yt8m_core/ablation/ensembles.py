"""The average of several runs, left behind like a run: predictions and metrics (section 3.3)."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from yt8m_core.ensemble import Ensemble
from yt8m_core.files import replacing
from yt8m_core.metrics import TopLabels
from yt8m_core.progress import Progress, silent
from yt8m_core.runs import Run


def average_runs(members: Sequence[Path], data: str, folder: Path, progress: Progress = silent) -> None:
    """Write what the mean of some runs' probabilities comes to on DATA; the folder appears when it is complete.

    It holds ``predictions.parquet`` and ``metrics.json`` as a run folder does. Raises UserError as ``Ensemble.open``.
    """
    ensemble = Ensemble.open(members, data, progress=progress)
    metric, videos = TopLabels(ensemble.num_classes), ensemble.videos
    for batch, mean in ensemble.score(progress=progress):
        metric.update(mean, (batch.labels[0], batch.labels[1]))
    best = metric.best()
    predictions = pd.DataFrame(
        {
            "id": videos.ids,
            "labels": list(best.labels.numpy()),
            "scores": list(best.scores.numpy()),
            "true_labels": [videos.labels(video) for video in range(len(videos))],
        }
    )
    metrics = {
        "validation": metric.compute(),
        "data": data,
        "parameters": sum(Run.open(member).metrics["parameters"] for member in members),
        "members": [member.name for member in members],
    }
    with replacing(folder) as unfinished:
        unfinished.mkdir()
        predictions.to_parquet(unfinished / "predictions.parquet", index=False)
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
