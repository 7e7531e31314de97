"""Predictions of one video with attention and raw scores, and prediction files of a data set."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.checks import stop_if_fatal, warn_videos
from yt8m_core.data.dataset import Videos
from yt8m_core.data.feature_check.scale import check_scale
from yt8m_core.data.loader import Batch
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.inference.score_files import name_metadata
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.models.classifier import NO_POOLING, VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import quote_text
from yt8m_core.storage.paths import check_replaceable

KAGGLE_LABELS = 20  # per row of the Kaggle CSV

Thresholds = NDArray[np.float64] | None  # [C]; None for the top labels


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
    device: torch.device | str = "cpu",
    skip_bad: bool = False,
    allow: Sequence[str] = (),
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
        device: device of the model.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the prediction.
        progress: progress callback.

    Returns:
        Number of videos.

    Raises:
        UserError: the run has no weights or no calibration, the data cannot be read or do not fit the run, or the file
            type or the threshold is unknown.
    """
    thresholds = _label_thresholds(run, threshold)
    check_output(Path(output))
    model = run.load_model(device)
    videos = open_run_data(run, data, skip_bad=skip_bad, progress=progress)
    warn_videos(videos)
    stop_if_fatal(check_scale(videos, run.facts.feature_norms), allow)
    scored = score_batches(model, videos, device=device, progress=progress)
    write_predictions(scored, videos, Path(output), thresholds, vocabulary=run.vocabulary)
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


def write_predictions(
    scored: Iterable[tuple[Batch, Tensor]],
    videos: Videos,
    output: Path,
    thresholds: Thresholds = None,
    *,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write the predictions of a model or an ensemble. The file appears once it is complete.

    A ``.csv`` file has the format of the 2017 and 2018 Kaggle competitions: one row per video with its 20 top labels by
    descending score, ties by label. A ``.parquet`` file has the columns id and scores [C], float32.

    With thresholds, a row of the ``.csv`` file has the labels at or above their threshold, in the same order, and a
    ``.parquet`` file has the columns id, labels and scores, lists of these labels.

    Args:
        scored: batches of ``videos`` with their probabilities [B, C], as ``evaluation.score_batches`` yields them.
        videos: the data set.
        output: the file to write.
        thresholds: threshold of each label [C].
        vocabulary: labels of the scores. A ``.parquet`` file keeps their names, so that a member of an ensemble with
            another order of labels is refused.

    Raises:
        UserError: the file type is unknown, or a probability is not finite.
    """
    check_output(output)
    with atomic_write(output) as unfinished:
        _WRITERS[output.suffix](_finite(scored), videos, unfinished, thresholds, vocabulary)


def check_output(output: Path) -> None:
    """Raise UserError for a file that predictions cannot be written to."""
    check_choice("file type", output.suffix, _WRITERS, where=str(output))
    check_replaceable(output, kind="a .csv or .parquet file to write")


def _finite(scored: Iterable[tuple[Batch, Tensor]]) -> Iterator[tuple[Batch, Tensor]]:
    for batch, p in scored:
        check_finite(p)
        yield batch, p


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


def _chosen_labels(p: Tensor, thresholds: Thresholds) -> Iterator[tuple[list[int], list[float]]]:
    """Yield the labels and scores of each video in a file: those at their threshold, or the top labels."""
    if thresholds is None:
        top = top_labels(p.float(), torch.zeros_like(p, dtype=torch.bool), min(KAGGLE_LABELS, p.shape[1]))
        yield from zip(top.labels.tolist(), top.scores.tolist(), strict=True)
        return
    for scores in p.float().cpu().numpy():
        labels = np.flatnonzero(scores >= thresholds)
        labels = labels[np.argsort(-scores[labels], kind="stable")]
        yield labels.tolist(), scores[labels].tolist()


def _write_kaggle(
    scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path, thresholds: Thresholds, _: Vocabulary | None
) -> None:
    with output.open("w", encoding="utf-8", newline="\n") as file:
        file.write("VideoId,LabelConfidencePairs\n")
        for batch, p in scored:
            for video, (labels, scores) in zip(batch.videos, _chosen_labels(p, thresholds), strict=True):
                pairs = " ".join(f"{label} {confidence:g}" for label, confidence in zip(labels, scores, strict=True))
                file.write(f"{quote_text(videos.id(int(video)))},{pairs}\n")


def _write_parquet(
    scored: Iterable[tuple[Batch, Tensor]],
    videos: Videos,
    output: Path,
    thresholds: Thresholds,
    vocabulary: Vocabulary | None,
) -> None:
    writer = None
    try:
        for batch, p in scored:
            columns: dict[str, Any] = {"id": pa.array([videos.id(int(video)) for video in batch.videos])}
            if thresholds is None:
                flat = pa.array(p.float().cpu().numpy().reshape(-1))
                columns["scores"] = pa.FixedSizeListArray.from_arrays(flat, p.shape[1])
            else:
                labels, scores = zip(*_chosen_labels(p, thresholds), strict=True)
                columns["labels"] = pa.array(labels, pa.list_(pa.int32()))
                columns["scores"] = pa.array(scores, pa.list_(pa.float32()))
            table = pa.table(columns, metadata=None if vocabulary is None else name_metadata(vocabulary))
            # Scores hardly compress, so compression and dictionaries would only cost time.
            writer = writer or pq.ParquetWriter(
                output, table.schema, compression="none", use_dictionary=False, write_page_checksum=True
            )
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


_WRITERS = {".csv": _write_kaggle, ".parquet": _write_parquet}
