"""A video → its labels, where the model looked, and what each slot did to the scores; a data set → a file."""

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
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.models.classifier import NO_POOLING, VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.storage.atomic import atomic_write

PAIRS = 20  # of a row of the Kaggle CSV


@dataclass(frozen=True)
class Prediction:
    """What a model says of one video, and why."""

    probabilities: NDArray[np.float32]  # [C], after all slots
    classified: NDArray[np.float32]  # [C], before label processing
    attention: NDArray[np.float32] | None  # [T], sums to 1; None for a pooling that does not attend

    @property
    def weights(self) -> NDArray[np.float32]:
        """The attention [T] of a model whose pooling attends. Raises UserError for any other."""
        if self.attention is None:
            raise UserError("a model whose pooling weighs no seconds")
        return self.attention

    def ranking(
        self, vocabulary: Vocabulary, true_labels: NDArray[Any] | tuple[int, ...] | None = None
    ) -> pd.DataFrame:
        """All labels, best first: rank, label, name, vertical, probability, classified, true (NA where not known)."""
        order = np.lexsort((np.arange(len(self.probabilities)), -self.probabilities))
        table = vocabulary.to_frame().loc[order, ["label", "name", "vertical"]].reset_index(drop=True)
        table.insert(0, "rank", np.arange(1, len(order) + 1))
        table["probability"] = self.probabilities[order]
        table["classified"] = self.classified[order]
        known = [pd.NA] * len(order) if true_labels is None else np.isin(order, np.asarray(true_labels, np.int64))
        table["true"] = pd.Series(known, dtype="boolean")
        return table


def predict_video(model: VideoClassifier, frames: NDArray[Any]) -> Prediction:
    """Score one video: uint8 [T, D] as stored, or float32 [T, D] already dequantized.

    Raises UserError where the model comes to numbers that are not finite.
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
    """Refuse what a model says where its weights or options, though numbers themselves, come to none."""
    if not all(bool(p.isfinite().all()) for p in probabilities):
        raise UserError("a model that comes to probabilities which are not finite", advice="Choose another run.")


def attends(pooling: Slot, width: int) -> bool:
    """Whether a pooling of frames of ``width`` features says where it looks.

    >>> attends(Slot("indirect_clustering"), 4), attends(Slot("mean"), 4)
    (True, False)
    """
    if (pooling.name, pooling.options) == NO_POOLING:
        return False
    with torch.device("meta"):  # no memory and no time for weights that nobody looks at
        method = build("pooling", pooling.name, pooling.options, in_features=width, num_classes=1)
    return bool(getattr(method, "has_attention", False))


def write_predictions(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    """Write what a model, or an ensemble, says of every video; the file appears when it is complete.

    A ``.csv`` is that of the Kaggle competitions of 2017 and 2018: a video a row, its 20 best labels, best first, those
    of equal confidence in the order of their ids. A ``.parquet`` has the columns id and scores, all C of them, float32.

    Args:
        scored: batches of ``videos`` with their probabilities [B, C], as ``evaluation.score`` yields them.
        videos: the data set.
        output: the file to write.

    Raises:
        UserError: the file's name ends in neither.
    """
    check_choice("kind of file", output.suffix, _WRITERS, where=str(output))
    with atomic_write(output) as unfinished:
        _WRITERS[output.suffix](scored, videos, unfinished)


def _write_kaggle(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    with output.open("w", encoding="utf-8", newline="\n") as file:
        file.write("VideoId,LabelConfidencePairs\n")
        for batch, p in scored:
            best = top_labels(p.float(), torch.zeros_like(p, dtype=torch.bool), min(PAIRS, p.shape[1]))
            for video, labels, scores in zip(batch.videos, best.labels.tolist(), best.scores.tolist(), strict=True):
                pairs = " ".join(f"{label} {confidence:g}" for label, confidence in zip(labels, scores, strict=True))
                file.write(f"{videos.id(int(video))},{pairs}\n")


def _write_full_scores(scored: Iterable[tuple[Batch, Tensor]], videos: Videos, output: Path) -> None:
    writer = None
    try:
        for batch, p in scored:
            flat = pa.array(p.float().cpu().numpy().reshape(-1))
            ids = pa.array([videos.id(int(video)) for video in batch.videos])
            table = pa.table({"id": ids, "scores": pa.FixedSizeListArray.from_arrays(flat, p.shape[1])})
            # Scores hardly compress: looking for repetitions would only cost time.
            writer = writer or pq.ParquetWriter(output, table.schema, compression="none", use_dictionary=False)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


_WRITERS = {".csv": _write_kaggle, ".parquet": _write_full_scores}
