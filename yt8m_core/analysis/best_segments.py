"""The segments of a data set with the highest score of each label, to look at what a model takes for it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos
from yt8m_core.data.segments import Segments
from yt8m_core.inference.compute import check_finite, choose_compute
from yt8m_core.inference.evaluation import score_batches
from yt8m_core.inference.sampling import sample_videos
from yt8m_core.inference.scoring_parts import BATCH_SIZE
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run

MAX_SEGMENTS = 20_000  # that are scored: seconds to half a minute
KEPT = 20  # per label


@dataclass(frozen=True)
class BestSegments:
    """The best segments of each label.

    Attributes:
        segments: all segments of the data set.
        num_videos: number of videos whose segments were scored, all of the data set or a fixed random sample.
        rows: int64 [n, C], positions in ``segments``, best first; n is at most ``KEPT``.
        scores: float32 [n, C].
    """

    segments: Segments
    num_videos: int
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    def table(self, label: int, limit: int) -> pd.DataFrame:
        """Return the best segments of a label: video (its id), start and end (in frames),
        probability, is_present (NA if not rated)."""
        rows = self.rows[:limit, label]
        rated = [label in self.segments.rated.row(row) for row in rows.tolist()]
        present = [label in self.segments.labels(row) for row in rows.tolist()]
        return pd.DataFrame(
            {
                "video": self.segments.videos.ids_at(self.segments.parents[rows]),
                "start": self.segments.starts[rows],
                "end": self.segments.starts[rows] + self.segments.num_frames[rows],
                "probability": self.scores[:limit, label],
                "is_present": pd.array(
                    [is_present if is_rated else pd.NA for is_present, is_rated in zip(present, rated, strict=True)],
                    dtype="boolean",
                ),
            }
        )


def best_segments(run: Run, videos: Videos, progress: Progress = silent) -> BestSegments:
    """Score the segments of a data set, or of a sample of its videos.

    Args:
        run: finished run.
        videos: frame-level data set that fits the run, as ``evaluation.open_run_data`` opens it.
        progress: progress callback.

    Raises UserError for video-level features, and for scores that are not finite.
    """
    segments = Segments(videos, "all")
    limit = max(1, MAX_SEGMENTS * len(videos) // len(segments))
    sample = sample_videos(np.ones(len(videos), bool), limit)
    rows = np.flatnonzero(np.isin(segments.parents, sample))
    compute = choose_compute()
    model = run.load_model(compute.device)
    C = run.facts.num_classes
    best, best_rows = np.empty((0, C), np.float32), np.empty((0, C), np.int64)
    done = 0
    batches = np.split(rows, range(BATCH_SIZE, len(rows), BATCH_SIZE))
    for batch, p in score_batches(model, segments, batches, compute=compute):
        check_finite(p)
        scores = np.concatenate([best, p.float().cpu().numpy()])  # [n + B, C]
        positions = np.concatenate([best_rows, np.repeat(batch.videos[:, None], C, axis=1)])
        order = np.argsort(-scores, axis=0, kind="stable")[:KEPT]
        best, best_rows = np.take_along_axis(scores, order, 0), np.take_along_axis(positions, order, 0)
        done += len(batch.videos)
        progress("scoring the segments", done, len(rows))
    return BestSegments(segments, len(sample), best_rows, best)
