"""Files of predictions: the format of the Kaggle competitions of 2017 and 2018, and Parquet with all scores."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import check_choice
from yt8m_core.inference.array_cache import digest
from yt8m_core.inference.compute import check_finite
from yt8m_core.inference.score_files import name_metadata
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import quote_text
from yt8m_core.storage.paths import check_replaceable

KAGGLE_LABELS = 20  # per row of the Kaggle CSV

Thresholds = NDArray[np.float64] | None  # [C]; None for the top labels


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


def parts_folder(output: Path, identity: Any) -> Path:
    """Return the hidden folder, next to a file of predictions, of the parts that it is joined from.

    Args:
        output: the file.
        identity: all that the predictions depend on, as JSON values.
    """
    return output.with_name(f".{output.name}.{digest(identity, 12)}.parts")


def join_predictions(pieces: Sequence[Path], output: Path) -> None:
    """Join files that ``write_predictions`` wrote, of the same kind, in their order."""
    with atomic_write(output) as unfinished:
        _JOINERS[output.suffix](pieces, unfinished)


def check_output(output: Path) -> None:
    """Raise UserError for a file that predictions cannot be written to."""
    check_choice("file type", output.suffix, _WRITERS, where=str(output))
    check_replaceable(output, kind="a .csv or .parquet file to write")


def _finite(scored: Iterable[tuple[Batch, Tensor]]) -> Iterator[tuple[Batch, Tensor]]:
    for batch, p in scored:
        check_finite(p)
        yield batch, p


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
            writer = writer or _parquet_writer(output, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _join_kaggle(pieces: Sequence[Path], output: Path) -> None:
    with output.open("wb") as joined:
        for number, piece in enumerate(pieces):
            with piece.open("rb") as file:
                if number:
                    file.readline()  # the header
                shutil.copyfileobj(file, joined, 1 << 22)


def _join_parquet(pieces: Sequence[Path], output: Path) -> None:
    with ExitStack() as stack:
        writer = None
        for piece in pieces:
            with pq.ParquetFile(piece) as file:
                writer = writer or stack.enter_context(_parquet_writer(output, file.schema_arrow))
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))


def _parquet_writer(output: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Scores hardly compress, so compression and dictionaries would only cost time.
    return pq.ParquetWriter(output, schema, compression="none", use_dictionary=False, write_page_checksum=True)


_JOINERS = {".csv": _join_kaggle, ".parquet": _join_parquet}
_WRITERS = {".csv": _write_kaggle, ".parquet": _write_parquet}
