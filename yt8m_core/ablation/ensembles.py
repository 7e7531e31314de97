"""Average several runs and store the result like a run: predictions and metrics (section 3.3)."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.inference.band_precision import BandPrecision
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.label_precision_file import LABEL_PRECISION
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write

MEASURES = ("overlap", "same_best", "correlation")  # of ``ensemble_comparison.Diversity``


def average_runs(members: Sequence[Path], data: str, folder: Path, progress: Progress = silent) -> None:
    """Write the mean of the runs' probabilities on DATA; the folder appears when it is complete.

    It holds ``predictions.parquet``, ``metrics.json`` and, if the first member has one, ``label_precision.parquet``,
    like a run folder. The metrics include the agreement of each pair of members, in the order of
    ``itertools.combinations``. Raises UserError as ``Ensemble.open``.
    """
    ensemble = Ensemble.open(members, data, progress=progress)
    comparison = ensemble.compare()
    device, videos = ensemble.compute.device, ensemble.videos
    metric = TopLabels(ensemble.num_classes).to(device)
    training_counts = Run.open(members[0]).training_counts
    precision = None if training_counts is None else BandPrecision(videos, training_counts, device)
    done = 0
    for batch, mean in ensemble.score(callback=comparison):
        done += len(batch.videos)
        progress("scoring", done, len(videos))
        truth = batch.truth(mean.shape[1], device)
        metric.update(mean, truth)
        if precision is not None:
            precision.update(batch.videos, mean, truth)
    best = metric.top_labels()
    predictions = pd.DataFrame(
        {
            "id": videos.ids,
            "labels": list(best.labels.cpu().numpy()),
            "scores": list(best.scores.cpu().numpy()),
            "true_labels": [videos.labels(video) for video in range(len(videos))],
        }
    )
    validation, table = metric.compute(), None
    if precision is not None:
        table, band_metrics = precision.compute()
        validation |= band_metrics
    metrics = {
        "validation": validation,
        "data": data,
        "parameters": sum(Run.open(member).metrics["parameters"] for member in members),
        "members": [member.name for member in members],
        "diversity": comparison.diversity()[list(MEASURES)].to_dict(orient="records"),
    }
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        predictions.to_parquet(unfinished / "predictions.parquet", index=False, write_page_checksum=True)
        if table is not None:
            table.to_parquet(unfinished / LABEL_PRECISION, index=False, write_page_checksum=True)
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


def diversity(
    ensembles: Mapping[str, Sequence[str]], metrics: Mapping[str, Sequence[Mapping[str, Any]]]
) -> pd.DataFrame:
    """Return the agreement of each pair of ensemble members (``ensemble_comparison.Diversity``), as means over seeds.

    Args:
        ensembles: Members of each ensemble.
        metrics: For each ensemble, the metrics that ``average_runs`` wrote, one per seed.

    Returns:
        ensemble, member_a, member_b, overlap, same_best, correlation: one row per pair.
    """
    rows = []
    for name, members in ensembles.items():
        seeds = [pd.DataFrame(seed_metrics["diversity"]) for seed_metrics in metrics[name]]
        pairs = pd.DataFrame(combinations(members, 2), columns=["member_a", "member_b"])
        rows.append(pd.concat([pairs, pd.concat(seeds).groupby(level=0).mean()], axis=1).assign(ensemble=name))
    return pd.concat(rows, ignore_index=True)[["ensemble", "member_a", "member_b", *MEASURES]]
