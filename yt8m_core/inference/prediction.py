"""Predictions of one video with attention and raw scores, and prediction files of a data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.checks import stop_if_fatal, warn_videos
from yt8m_core.data.feature_check.scale import check_scale
from yt8m_core.data.loader import Batch
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.compute import check_finite, choose_compute
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.inference.identity import compute_identity, run_identity, videos_identity
from yt8m_core.inference.prediction_files import (
    Thresholds,
    check_output,
    join_predictions,
    parts_folder,
    write_predictions,
)
from yt8m_core.inference.scoring_parts import Batches, Count, score_parts
from yt8m_core.models.classifier import NO_POOLING, VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import shared_lock
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run


@dataclass(frozen=True)
class Prediction:
    """A model's output for one video."""

    probabilities: NDArray[np.float32]  # [C], after all slots
    classified: NDArray[np.float32]  # [C], before label processing
    attention: NDArray[np.float32] | None  # [T], sums to 1; None for a pooling without attention

    @property
    def weights(self) -> NDArray[np.float32]:
        """Attention weights [T]. Raises UserError for a pooling without attention."""
        if self.attention is None:
            raise UserError("a model whose pooling has no attention weights")
        return self.attention

    def ranking(
        self, vocabulary: Vocabulary, true_labels: NDArray[Any] | tuple[int, ...] | None = None
    ) -> pd.DataFrame:
        """Return all labels by descending probability.

        Args:
            vocabulary: names of the labels.
            true_labels: true labels of the video; None where they are unknown.

        Returns:
            Columns rank, label, name, vertical, probability, classified, true (NA where unknown).
        """
        order = np.lexsort((np.arange(len(self.probabilities)), -self.probabilities))
        table = vocabulary.to_frame().loc[order, ["label", "name", "vertical"]].reset_index(drop=True)
        table.insert(0, "rank", np.arange(1, len(order) + 1))
        table["probability"] = self.probabilities[order]
        table["classified"] = self.classified[order]
        is_true = [pd.NA] * len(order) if true_labels is None else np.isin(order, np.asarray(true_labels, np.int64))
        table["true"] = pd.Series(is_true, dtype="boolean")
        return table


def predict(
    run: Run,
    data: str | Path,
    output: str | Path,
    *,
    threshold: float | Literal["calibrated"] | None = None,
    accelerator: str = "",
    precision: str = "",
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    group: Group = ALONE,
    progress: Progress = silent,
) -> int:
    """Write the predictions of a trained run for every video of a data set.

    A ``.csv`` file has the format of the 2017 and 2018 Kaggle competitions, with the 20 top labels of each video. A
    ``.parquet`` file has all scores. Both can be members of an ensemble. With a threshold, both have exactly the labels
    of a video whose score is at or above it, however many.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Slot, predict, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> run = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> predict(run, folder / "data" / "validation", folder / "predictions.csv")
    32
    >>> (folder / "predictions.csv").read_text().splitlines()[0]
    'VideoId,LabelConfidencePairs'

    Args:
        run: finished run.
        data: a shard, a folder of shards, or a glob, on a disk or at an address. Labels are not needed.
        output: the file to write, ``.csv`` or ``.parquet``.
        threshold: threshold of all labels, or "calibrated" for each label's own (``yt8m calibrate``).
        accelerator, precision: as of ``compute.choose_compute``.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the prediction.
        group: the processes that divide the work. The file does not depend on their number.
        progress: progress callback.

    Returns:
        Number of videos.

    Raises:
        UserError: the run has no weights or no calibration, the data cannot be read or do not fit the run, or the file
            type or the threshold is unknown.
    """
    thresholds, output = _label_thresholds(run, threshold), Path(output)
    check_output(output)
    compute = choose_compute(accelerator, precision)
    model, progress = run.load_model(compute.device), group.watch(progress)
    videos = open_run_data(run, data, skip_bad=skip_bad, group=group, progress=progress)
    if group.is_first:
        warn_videos(videos)
        stop_if_fatal(check_scale(videos, run.facts.feature_norms), allow)

    def write(batches: Batches, folder: Path, count: Count) -> None:
        def counted() -> Iterator[tuple[Batch, Tensor]]:
            for batch, p in score_batches(model, videos, batches, compute=compute):
                yield batch, p
                count(len(batch.videos))

        write_predictions(counted(), videos, folder / output.name, thresholds, vocabulary=run.vocabulary)

    identity = [run_identity(run), videos_identity(videos), compute_identity(compute), str(threshold), output.name]
    folder = parts_folder(output, identity)
    with shared_lock(folder, "prediction", group, progress):
        parts = score_parts(folder, len(videos), write, group, progress)
        if group.is_first:
            join_predictions([path / output.name for path in parts.paths], output)
        parts.remove(group)
    return len(videos)


def predict_video(model: VideoClassifier, frames: NDArray[Any]) -> Prediction:
    """Predict one video from its frames: uint8 [T, D] as stored, or float32 [T, D] after dequantization.

    Raises UserError where the probabilities are not finite.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(frames))[None].to(device)  # [1, T, D]
        scores, trace = model(batch, torch.tensor([len(frames)], device=device))
    check_finite(scores.p, trace.raw_scores.p)
    return Prediction(
        scores.p[0].float().cpu().numpy(),
        trace.raw_scores.p[0].float().cpu().numpy(),
        None if trace.attention is None else trace.attention[0].float().cpu().numpy(),
    )


def has_attention(pooling: Slot, width: int) -> bool:
    """Return whether a pooling of frames with ``width`` features computes attention weights.

    >>> has_attention(Slot("indirect_clustering"), 4), has_attention(Slot("mean"), 4)
    (True, False)
    """
    if (pooling.name, pooling.options) == NO_POOLING:
        return False
    with torch.device("meta"):  # allocates no weights
        method = build("pooling", pooling.name, pooling.options, in_features=width, num_classes=1)
    return bool(getattr(method, "has_attention", False))


def _label_thresholds(run: Run, threshold: float | Literal["calibrated"] | None) -> Thresholds:
    """Return the threshold of each label [C]. Raises UserError for an invalid one, and without a calibration."""
    if threshold is None:
        return None
    if isinstance(threshold, str):
        check_choice("threshold", threshold, ("calibrated",))
        return run.calibration.label_thresholds
    if not 0 <= threshold <= 1:
        raise UserError(f"{threshold:g}", where="threshold", expected="a number from 0 to 1, or calibrated")
    return np.full(run.facts.num_classes, float(threshold))
