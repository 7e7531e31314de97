"""What is kept of the scores of a data set, and the metrics that are computed from it (section 3.1)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch
from yt8m_core.inference.band_precision import BandPrecision
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.metrics.video_rows import VideoRows
from yt8m_core.storage.tensor_files import write_tensors


@dataclass(frozen=True)
class Evaluation:
    """Metrics and top labels of a model on a data set.

    Attributes:
        metrics: values by name. ``gap_low`` and ``gap_high`` bound GAP's 95% bootstrap CI over videos. ``ap_head``,
            ``ap_mid``, ``ap_tail`` and ``ap_all`` are means of ``label_precision``, which is of ``ap_videos`` videos.
        predictions: one row per video: id, labels [20] by descending score, scores [20], true_labels.
        bad_records: number of records that were skipped.
        label_precision: one row per label: label, training_videos, band, positives, ap; None without training counts.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    bad_records: int = 0
    label_precision: pd.DataFrame | None = None


class EvaluationState:
    """What is kept of the scores of a data set, from which its metrics are computed.

    Args:
        videos: the data set.
        num_classes: C.
        training_counts: number of training videos of each label [C], for ``BandPrecision``; None to leave it out.
        device: device of the scores.
    """

    def __init__(
        self,
        videos: Videos,
        num_classes: int,
        training_counts: NDArray[np.int64] | None,
        device: torch.device,
    ) -> None:
        self.videos = videos
        self.metric = TopLabels(num_classes).to(device)
        self.precision = None if training_counts is None else BandPrecision(videos, training_counts, device)

    def update(self, batch: Batch, p: Tensor) -> None:
        """Add the probabilities [B, C] of a batch. Labels that are unknown count as the last ones."""
        weights = batch.weights(p.shape[1], p.device)
        if weights is not None:
            p = p * weights
        p = p.contiguous()  # a classification may return a transposed view
        truth = batch.truth(p.shape[1], p.device)
        self.metric.update(p, truth)
        if self.precision is not None:
            self.precision.update(batch.videos, p, truth)

    def save(self, file: Path) -> None:
        """Write the state to a file."""
        write_tensors(
            file,
            {
                f"{type(metric).__name__}.{name}": tensor
                for metric in self._metrics()
                for name, tensor in metric.tensors().items()
            },
        )

    def add(self, file: Path) -> None:
        """Add the videos of a state that ``save`` wrote after those of this one."""
        tensors = load_file(file)
        for metric in self._metrics():
            metric.add_tensors({name: tensors[f"{type(metric).__name__}.{name}"] for name in metric.tensors()})

    def _metrics(self) -> list[VideoRows]:
        return [self.metric, *([] if self.precision is None else [self.precision.precision])]

    def _video_numbers(self, order: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """Return the number of the video of each row of the state, if the rows are segments."""
        if not self.videos.segments:
            return None
        numbers: NDArray[np.int64] = self.videos.video_ids.dictionary_encode().indices.to_numpy().astype(np.int64)
        if order is None:
            return numbers
        of_state = np.empty_like(numbers)
        of_state[order] = numbers
        return of_state

    def evaluation(self, order: NDArray[np.int64] | None = None, seed: int = 0) -> Evaluation:
        """Return the metrics and the top labels of all videos.

        Args:
            order: positions in the state of the videos of the data set; default: their own.
            seed: seed of the bootstrap.
        """
        low, high = self.metric.bootstrap(seed, videos=self._video_numbers(order))
        with self.metric.sync_context():
            top = self.metric.top_labels()
        rows = slice(None) if order is None else order
        predictions = pd.DataFrame(
            {
                "id": self.videos.ids,
                "labels": list(top.labels.cpu().numpy()[rows]),
                "scores": list(top.scores.cpu().numpy()[rows]),
                "true_labels": [self.videos.labels(video) for video in range(len(self.videos))],
            }
        )
        metrics = {**self.metric.compute(), "gap_low": low, "gap_high": high}
        table = None
        if self.precision is not None:
            table, band_metrics = self.precision.compute()
            metrics |= band_metrics
        return Evaluation(metrics, predictions, len(self.videos.bad_records), table)
