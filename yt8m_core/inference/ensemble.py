"""Ensembles: the average of several models' probabilities, and the diversity of the members (section 3.3).

The paper averages the scores of its models and finds diverse members more useful than strong ones.
https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, ordered_batches
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.evaluation import BATCH_SIZE, check_features, open_run_data
from yt8m_core.inference.score_files import ListedScores, Scorer, is_score_file, open_score_file
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run

TOP_K = 20  # labels per video that are compared, as in GAP@20
EPS = 1e-7  # probabilities are clamped to [EPS, 1 - EPS] before their logits are averaged


def average(scores: Sequence[Tensor], weights: Sequence[float], kind: str = "probability") -> Tensor:
    """Return the weighted average of the members' probabilities.

    >>> average([torch.tensor([[0.2]]), torch.tensor([[0.8]])], [3, 1])
    tensor([[0.3500]])

    Args:
        scores: probabilities [B, C] of each member.
        weights: non-negative, not all 0; normalized to sum to 1.
        kind: "probability" for the mean of p, as in the paper, or "logit" for the mean of log p/(1-p), which gives
            confident members more influence.

    Returns:
        Probabilities [B, C].

    Raises:
        UserError: the kind is unknown, or the weights are invalid.
    """
    check_choice("average", kind, ("probability", "logit"))
    if len(weights) != len(scores):
        raise UserError(f"{len(weights)} weights", expected=f"one for each of {len(scores)} members")
    total = sum(weights)
    if not all(weight >= 0 for weight in weights) or not 0 < total < float("inf"):
        raise UserError(f"weights {list(weights)}", expected="non-negative numbers, not all 0, with a finite sum")
    shares = [weight / total for weight in weights]
    if kind == "logit":
        return sum(share * p.logit(EPS) for share, p in zip(shares, scores, strict=True)).sigmoid()  # type: ignore[union-attr]
    return sum(share * p for share, p in zip(shares, scores, strict=True))  # type: ignore[return-value]


@dataclass
class Diversity:
    """Agreement of two members, accumulated over batches.

    - ``overlap``: mean over videos of the Jaccard index of the members' 20 top labels.
    - ``same_best``: fraction of videos with the same top label.
    - ``correlation``: Pearson correlation of the two probabilities, over the top labels of either member.
    """

    videos: int = 0
    overlap_sum: float = 0.0
    same_best: int = 0
    moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))  # sums of 1, x, y, x², y², xy

    def update(self, first: Tensor, second: Tensor) -> None:
        """Add the probabilities [B, C] of both members for a batch."""
        k = min(TOP_K, first.shape[1])
        no_truth = torch.zeros_like(first, dtype=torch.bool)
        # Not topk, whose order of tied scores is arbitrary, and half precision has many ties.
        top_first, top_second = (top_labels(p, no_truth, k).labels.long() for p in (first, second))  # [B, k]
        only_second = (top_second[:, :, None] != top_first[:, None, :]).all(dim=2)  # [B, k]
        both = k - only_second.sum(dim=1)
        self.videos += len(first)
        self.overlap_sum += float((both / (2 * k - both)).sum())
        self.same_best += int((first.argmax(dim=1) == second.argmax(dim=1)).sum())
        x, y = (
            torch.cat([p.gather(1, top_first).flatten(), p.gather(1, top_second)[only_second]]).double()
            for p in (first, second)
        )
        self.moments += [len(x), *(float(part.sum()) for part in (x, y, x * x, y * y, x * y))]

    def compute(self) -> dict[str, float]:
        """Return the measures by name; the correlation is NaN without variance."""
        n, x, y, xx, yy, xy = self.moments
        deviations = np.sqrt(max(n * xx - x * x, 0) * max(n * yy - y * y, 0))
        return {
            "overlap": self.overlap_sum / self.videos,
            "same_best": self.same_best / self.videos,
            "correlation": float((n * xy - x * y) / deviations) if deviations else float("nan"),
        }


def run_scorer(run: Run, device: torch.device | str = "cpu") -> Scorer:
    """Return a member that scores batches with a run's model. Raises UserError where the run has no weights."""
    model: VideoClassifier = run.load_model(device)

    def scorer(batch: Batch) -> Tensor:
        with torch.no_grad():
            scores, _ = model(batch.frames.to(device), batch.num_frames.to(device))
        probabilities: Tensor = scores.p
        return probabilities

    return scorer


@dataclass(frozen=True)
class Ensemble:
    """Members that score the same videos, with their weights and the kind of average."""

    videos: Videos
    num_classes: int
    scorers: Mapping[str, Scorer]  # by name
    weights: Sequence[float]
    kind: str = "probability"
    vocabulary: Vocabulary | None = None

    @classmethod
    def open(
        cls,
        members: Sequence[Path],
        data: str | Path,
        *,
        weights: Sequence[float] = (),
        kind: str = "probability",
        skip_bad: bool = False,
        allow: Sequence[str] = (),
        progress: Progress = silent,
    ) -> "Ensemble":
        """Open run folders and files of scores as an ensemble on DATA.

        Args:
            members: run folders, at least one, and ``.parquet`` and ``.csv`` files (``score_files``).
            data: a shard, a folder of shards, or a glob, on a disk or at an address.
            weights: one per member; none for equal weights.
            kind: "probability" or "logit", as in ``average``.
            skip_bad: skip bad records and warn about them.
            allow: names of fatal data checks (``data/checks.py``) that do not stop the ensemble.
            progress: progress callback.

        Raises:
            UserError: no member is a run folder, members have different labels, or as ``open_run_data``,
                ``open_score_file`` and ``average``.
        """
        runs = [Run.open(member) for member in members if not is_score_file(member)]
        if not runs:
            raise UserError("no run among the members", advice="Add a run folder.")
        for run in runs[1:]:
            if not run.vocabulary.fits(runs[0].vocabulary):
                raise UserError("other labels", where=str(run.path), expected=f"those of {runs[0].path}")
        num_classes = runs[0].facts.num_classes
        run_videos = [open_run_data(run, data, skip_bad=skip_bad, progress=progress) for run in runs]
        for run, videos in zip(runs, run_videos, strict=True):
            check_features(run, videos, allow)
        scorers = {}
        for member in members:
            if is_score_file(member):
                scorers[str(member)] = open_score_file(member, run_videos[0], num_classes, runs[0].vocabulary)
            else:
                scorers[str(member)] = run_scorer(Run.open(member))
        if len(scorers) < len(members):
            raise UserError("duplicate member", advice="Use --weights to weight a member.")
        weights = weights or [1.0] * len(members)
        return cls(run_videos[0], num_classes, scorers, weights, kind, runs[0].vocabulary)

    @property
    def notes(self) -> list[str]:
        """A sentence on each member whose scores are incomplete."""
        listed = {name: scorer.note for name, scorer in self.scorers.items() if isinstance(scorer, ListedScores)}
        return [f"member {name} {note}" for name, note in listed.items() if note]

    def score(
        self, callback: Callable[[Batch, list[Tensor], Tensor], None] | None = None, progress: Progress = silent
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Yield each batch with the ensemble's probabilities [B, C].

        Args:
            callback: called with each batch, the members' probabilities [B, C] and the ensemble's.
            progress: progress callback.
        """
        done = 0
        for batch in Loader(self.videos, ordered_batches(len(self.videos), BATCH_SIZE)):
            scores = [scorer(batch) for scorer in self.scorers.values()]
            mean = average(scores, self.weights, self.kind)
            if callback is not None:
                callback(batch, scores, mean)
            done += len(batch.videos)
            progress("scoring", done, len(self.videos))
            yield batch, mean

    def compare(self) -> "Comparison":
        """Return a callback for ``score`` that computes metrics and diversity."""
        return Comparison(self)


class Comparison:
    """Metrics of each member and of the ensemble, and diversity of each pair of members; a callback of ``score``."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.names = [*ensemble.scorers, "ensemble"]
        self.is_labeled = bool(ensemble.videos.is_labeled.any())
        self.metrics = [TopLabels(ensemble.num_classes) for _ in self.names]
        self.pairs = {pair: Diversity() for pair in combinations(range(len(ensemble.scorers)), 2)}

    def __call__(self, batch: Batch, scores: list[Tensor], mean: Tensor) -> None:
        """Add the probabilities [B, C] of the members and of the ensemble for a batch."""
        rows, labels = batch.labels
        for metric, p in zip(self.metrics, [*scores, mean], strict=True):
            if self.is_labeled:
                metric.update(p, (rows, labels))
        for (first, second), diversity in self.pairs.items():
            diversity.update(scores[first], scores[second])

    def members(self) -> pd.DataFrame:
        """Return one row per member and one for the ensemble: GAP with its 95% CI, and the other metrics.

        Raises UserError for data without labels.
        """
        rows = []
        for name, metric in zip(self.names, self.metrics, strict=True):
            low, high = metric.bootstrap(0)
            rows.append({"member": name, **metric.compute(), "gap_low": low, "gap_high": high})
        return pd.DataFrame(rows)

    def diversity(self) -> pd.DataFrame:
        """Return one row per pair of members: member_a, member_b, and the measures of ``Diversity``."""
        return pd.DataFrame(
            [
                {"member_a": self.names[first], "member_b": self.names[second], **diversity.compute()}
                for (first, second), diversity in self.pairs.items()
            ]
        )
