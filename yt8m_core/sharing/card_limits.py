"""The section of a model card on its limits: what the metrics do not say, and where the model fails."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.analysis.per_label import random_precision
from yt8m_core.runs.calibration_file import CALIBRATION
from yt8m_core.runs.label_precision_file import LABEL_PRECISION
from yt8m_core.runs.run import Run
from yt8m_core.sharing.card_metadata import known_data
from yt8m_core.sharing.markdown import escape

MANY_POSITIVES = 10  # validation videos of a label; with fewer, its average precision is mostly chance
MAX_LABELS = 10  # that are named


def limits_section(run: Run) -> str:
    """Return what the metrics do not say, and where the model fails."""
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(run))


def count_videos(run: Run) -> int:
    """Return the number of videos of ``label_precision``, at least 1."""
    return max(int(run.metrics["validation"].get("ap_videos", run.facts.validation_videos)), 1)


def random_precisions(measured: pd.DataFrame, num_videos: int) -> NDArray[np.float64]:
    """Return the average precision of each label of ``label_precision`` in a random order."""
    return random_precision(np.clip(measured["positives"].to_numpy("int64"), 1, num_videos), num_videos)


def _shared_videos(run: Run) -> Iterator[str]:
    """Yield whether the validation videos were learned from, as far as that was compared."""
    metrics, total = run.metrics, run.facts.validation_videos
    if (shared := metrics.get("shared_videos")) is None:
        yield "Whether training videos are among the validation videos was not compared."
    elif shared:
        yield f"**{shared:,} of the {total:,} validation videos are also training videos**: the metrics are too good."
    if not run.experiment.init:
        return
    if (learned := metrics.get("init_shared_videos")) is None:
        yield "Whether the run that the training started from has learned from validation videos was not compared."
    elif learned:
        yield (
            f"**The run that the training started from has learned from {learned:,} of the {total:,} validation "
            "videos**: the metrics are too good."
        )


def _limits(run: Run) -> Iterator[str]:
    facts, known = run.facts, known_data(run.facts)
    if facts.scale == "demo":
        yield "The demo world is synthetic. Its numbers say nothing about YouTube-8M or about any real video."
    elif facts.scale == "sample":
        yield (
            f"Trained on {facts.train_videos:,} videos. YouTube-8M has millions; a training on all of them gives other "
            "numbers, and the rare labels gain most."
        )
    if known and known[0] == "youtube-8m":
        yield (
            "The labels of YouTube-8M are machine-generated: many are missing and some are wrong. The metrics count "
            "the right prediction of a missing label as an error."
        )
    else:
        yield "The metrics measure agreement with the labels of the validation data, with all their errors."
    yield from _shared_videos(run)
    if (run.path / LABEL_PRECISION).exists():
        yield from _imbalance(run)
    yield (
        "The intervals account neither for training again with another seed nor for other data. A data set of another "
        "time, language or source gives other numbers."
    )
    yield (
        "Features must come from the network that made the training data, with the same streams, order, scale and "
        "quantization. Others give meaningless scores without an error."
    )
    if not (run.path / CALIBRATION).exists():
        yield "The probabilities are not calibrated: `yt8m calibrate` measures them and chooses thresholds."
    yield "Attention weights, where the pooling has them, show what was weighted. They do not explain a prediction."


def _imbalance(run: Run) -> Iterator[str]:
    """Yield how much of the average precision is chance, and which labels are not better."""
    precision, num_videos = run.label_precision, count_videos(run)
    measured = precision[precision["ap"].notna()].sort_values("training_videos", ascending=False, kind="stable")
    rare = int((measured["positives"] < MANY_POSITIVES).sum())
    yield (
        f"Labels are imbalanced: {len(precision) - len(measured):,} of {len(precision):,} labels have no validation "
        f"video, and {rare:,} have fewer than {MANY_POSITIVES}, so their AP is mostly chance."
    )
    at_random = measured[measured["ap"].to_numpy("float64") <= random_precisions(measured, num_videos)]
    if len(at_random):
        names = [
            escape(run.vocabulary.name(label))
            for label in at_random["label"][:MAX_LABELS].tolist()
            if label < run.vocabulary.num_classes
        ]
        more = f", and {len(at_random) - len(names):,} more" if len(at_random) > len(names) else ""
        listed = ", ".join(names)
        yield f"{len(at_random):,} labels are ranked no better than in a random order: {listed}{more}."
