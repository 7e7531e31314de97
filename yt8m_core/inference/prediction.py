"""Predictions of one video with attention and raw scores, and prediction files of a data set."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch
from yt8m_core.data.tfrecord.bad_records import warn_bad_records
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.models.classifier import NO_POOLING, VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write

KAGGLE_LABELS = 20  # per row of the Kaggle CSV


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
    device: torch.device | str = "cpu",
    skip_bad: bool = False,
    progress: Progress = silent,
) -> int:
    """Write the predictions of a trained run for every video of a data set.

    A ``.csv`` file has the format of the 2017 and 2018 Kaggle competitions, with the 20 top labels of each video. A
    ``.parquet`` file has all scores and can be a member of an ensemble.

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
        data: a shard, a folder of shards, or a glob. Labels are not needed.
        output: the file to write, ``.csv`` or ``.parquet``.
        device: device of the model.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        progress: progress callback.

    Returns:
        Number of videos.

    Raises:
        UserError: the run has no weights, the data cannot be read or do not fit the run, or the file type is unknown.
    """
    model = run.load_model(device)
    videos = open_run_data(run, data, skip_bad=skip_bad, progress=progress)
    warn_bad_records(videos.bad_records)
    write_predictions(score_batches(model, videos, device=device, progress=progress), videos, Path(output))
    return len(videos)


def predict_video(model: VideoClassifier, frames: NDArray[Any]) -> Prediction:
    """Predict one video from its frames: uint8 [T, D] as stored, or float32 [T, D] after dequantization.

    Raises UserError where the probabilities are not finite.
    """
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(frames))[None]  # [1, T, D]
        scores, trace = model(batch, torch.tensor([len(frames)]))
    check_finite(scores.p, trace.raw_scores.p)
    return Prediction(
        scores.p[0].float().numpy(),
        trace.raw_scores.p[0].float().numpy(),
        None if trace.attention is None else trace.attention[0].float().numpy(),
    )


def check_finite(*probabilities: Tensor) -> None:
    """Raise UserError for NaN or infinite probabilities, which finite weights can produce too."""
    if not all(bool(p.isfinite().all()) for p in probabilities):
        raise UserError("the model returns probabilities that are not finite", advice="Choose another run.")


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


def write_predictions(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    """Write the predictions of a model or an ensemble. The file appears once it is complete.

    A ``.csv`` file has the format of the 2017 and 2018 Kaggle competitions: one row per video with its 20 top labels by
    descending score, ties by label. A ``.parquet`` file has the columns id and scores [C], float32.

    Args:
        scored: batches of ``videos`` with their probabilities [B, C], as ``evaluation.score_batches`` yields them.
        videos: the data set.
        output: the file to write.

    Raises:
        UserError: the file type is unknown.
    """
    check_choice("file type", output.suffix, _WRITERS, where=str(output))
    with atomic_write(output) as unfinished:
        _WRITERS[output.suffix](scored, videos, unfinished)


def _write_kaggle(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    with output.open("w", encoding="utf-8", newline="\n") as file:
        file.write("VideoId,LabelConfidencePairs\n")
        for batch, p in scored:
            top = top_labels(p.float(), torch.zeros_like(p, dtype=torch.bool), min(KAGGLE_LABELS, p.shape[1]))
            for video, labels, scores in zip(batch.videos, top.labels.tolist(), top.scores.tolist(), strict=True):
                pairs = " ".join(f"{label} {confidence:g}" for label, confidence in zip(labels, scores, strict=True))
                file.write(f"{videos.id(int(video))},{pairs}\n")


def _write_full_scores(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    writer = None
    try:
        for batch, p in scored:
            flat = pa.array(p.float().cpu().numpy().reshape(-1))
            ids = pa.array([videos.id(int(video)) for video in batch.videos])
            table = pa.table({"id": ids, "scores": pa.FixedSizeListArray.from_arrays(flat, p.shape[1])})
            # Scores hardly compress, so compression and dictionaries would only cost time.
            writer = writer or pq.ParquetWriter(output, table.schema, compression="none", use_dictionary=False)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


_WRITERS = {".csv": _write_kaggle, ".parquet": _write_full_scores}
