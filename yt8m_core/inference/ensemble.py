"""Ensembles: the mean of what several models say, and how much they differ (section 3.3).

The paper averages the scores of its models, and finds that members that differ do more for it than strong ones.
https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, ordered_batches
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.evaluation import BATCH_SIZE, open_run_data
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run

BEST = 20  # labels of a video that are compared, as in GAP@20
EPS = 1e-7  # probabilities are at least so far from 0 and 1 where logits are averaged

Scorer = Callable[[Batch], Tensor]  # a batch of a data set → a member's probabilities [B, C]


def average(scores: Sequence[Tensor], weights: Sequence[float], kind: str = "probability") -> Tensor:
    """The members' probabilities, each [B, C], as one.

    >>> average([torch.tensor([[0.2]]), torch.tensor([[0.8]])], [3, 1])
    tensor([[0.3500]])

    Args:
        scores: a member's probabilities each.
        weights: not negative, not all 0; only their proportions count.
        kind: "probability", the mean as in the paper, or "logit", the mean of log p/(1-p), for which a sure member
            counts for more.

    Raises:
        UserError: the kind is unknown, or the weights are not as said.
    """
    check_choice("average", kind, ("probability", "logit"))
    if len(weights) != len(scores):
        raise UserError(f"{len(weights)} weights", expected=f"one for each of {len(scores)} members")
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
        raise UserError(f"weights {list(weights)}", expected="numbers from 0 on, not all of them 0")
    shares = [weight / sum(weights) for weight in weights]
    if kind == "logit":
        return sum(share * p.logit(EPS) for share, p in zip(shares, scores, strict=True)).sigmoid()  # type: ignore[union-attr]
    return sum(share * p for share, p in zip(shares, scores, strict=True))  # type: ignore[return-value]


@dataclass
class Diversity:
    """How alike two members are, over videos that arrive in batches.

    - ``overlap``: of the 20 best labels that either has for a video, the part that both have; the mean over videos.
    - ``same_best``: the share of videos for which both have the same best label.
    - ``correlation``: Pearson's, of the two probabilities of all those labels of all videos.
    """

    videos: int = 0
    overlaps: float = 0.0
    same: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))  # of 1, x, y, x², y², xy

    def update(self, one: Tensor, other: Tensor) -> None:
        """Add the two members' probabilities [B, C] of a batch."""
        k = min(BEST, one.shape[1])
        best, others = (p.topk(k).indices for p in (one, other))  # [B, k]
        new = (others[:, :, None] != best[:, None, :]).all(dim=2)  # [B, k]: of the other's, those that one has not
        both = k - new.sum(dim=1)
        self.videos += len(one)
        self.overlaps += float((both / (2 * k - both)).sum())
        self.same += int((one.argmax(dim=1) == other.argmax(dim=1)).sum())
        x, y = (torch.cat([p.gather(1, best).flatten(), p.gather(1, others)[new]]).double() for p in (one, other))
        self.sums += [len(x), *(float(part.sum()) for part in (x, y, x * x, y * y, x * y))]

    def compute(self) -> dict[str, float]:
        """The measures by name; a correlation without variance is NaN."""
        n, x, y, xx, yy, xy = self.sums
        spread = np.sqrt(max(n * xx - x * x, 0) * max(n * yy - y * y, 0))
        return {
            "overlap": self.overlaps / self.videos,
            "same_best": self.same / self.videos,
            "correlation": float((n * xy - x * y) / spread) if spread else float("nan"),
        }


def run_scorer(run: Run, device: torch.device | str = "cpu") -> Scorer:
    """A run as a member: its model scores each batch. Raises UserError where the run has no weights."""
    model: VideoClassifier = run.load_model(device)

    def scorer(batch: Batch) -> Tensor:
        with torch.no_grad():
            scores, _ = model(batch.frames.to(device), batch.num_frames.to(device))
        probabilities: Tensor = scores.p
        return probabilities

    return scorer


def file_scorer(path: Path, videos: Videos, num_classes: int) -> Scorer:
    """A Parquet of full scores as a member, which may have the videos in another order.

    Raises:
        UserError: the file cannot be read, is no such Parquet, has another number of labels, or other videos.
    """
    try:
        file = pq.ParquetFile(path)
        kind = file.schema_arrow.field("scores").type
        ids = file.read(["id"])["id"].to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UserError(f"no scores of an ensemble's member ({error})", where=str(path)) from None
    if not pa.types.is_fixed_size_list(kind) or kind.list_size != num_classes:
        raise UserError(f"scores of type {kind}", where=str(path), expected=f"{num_classes} numbers a video")
    rows = {video_id: row for row, video_id in enumerate(ids)}
    if len(rows) < len(ids):
        twice = next(video_id for row, video_id in enumerate(ids) if rows[video_id] != row)
        raise UserError(f"video '{twice}' more than once", where=str(path))
    here = videos.ids
    for fault, found in (
        ("of the data missing", [video_id for video_id in here if video_id not in rows]),
        ("that the data do not have", sorted(rows.keys() - set(here))),
    ):
        if found:
            raise UserError(
                f"{len(found):,} videos {fault}, the first of them '{found[0]}'",
                where=str(path),
                expected=f"the {len(here):,} videos of the data",
                advice="Score the same data with every member.",
            )
    starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])

    @lru_cache(maxsize=4)
    def group_scores(group: int) -> NDArray[np.float32]:
        column = file.read_row_group(group, ["scores"])["scores"].combine_chunks()
        return column.flatten().to_numpy().reshape(-1, num_classes)  # type: ignore[no-any-return]

    def scorer(batch: Batch) -> Tensor:
        wanted = np.array([rows[videos.id(int(video))] for video in batch.videos])
        groups = np.searchsorted(starts, wanted, side="right") - 1
        scores = np.empty((len(wanted), num_classes), np.float32)
        for group in np.unique(groups):
            its = groups == group
            scores[its] = group_scores(int(group))[wanted[its] - starts[group]]
        return torch.from_numpy(scores)

    return scorer


@dataclass(frozen=True)
class Ensemble:
    """Members that score the same videos, and how they are averaged."""

    videos: Videos
    num_classes: int
    scorers: Mapping[str, Scorer]  # by name
    weights: Sequence[float]
    kind: str = "probability"

    @classmethod
    def open(
        cls,
        members: Sequence[Path],
        data: str | Path,
        *,
        weights: Sequence[float] = (),
        kind: str = "probability",
        skip_bad: bool = False,
        progress: Progress = silent,
    ) -> "Ensemble":
        """Open run folders, and Parquets of full scores, as an ensemble on DATA; without weights all count alike.

        Raises:
            UserError: no member is a run folder (which says how DATA is read), members do not know the same labels, or
                as ``open_run_data``, ``file_scorer`` and ``average`` do.
        """
        runs = [Run.open(member) for member in members if member.suffix != ".parquet"]
        if not runs:
            raise UserError("no run among the members", advice="One of them must be a run folder.")
        for run in runs[1:]:
            if not run.vocabulary.to_frame().equals(runs[0].vocabulary.to_frame()):
                raise UserError("other labels", where=str(run.path), expected=f"those of {runs[0].path}")
        num_classes = runs[0].facts.num_classes
        every = [open_run_data(run, data, skip_bad=skip_bad, progress=progress) for run in runs]
        scorers = {}
        for member in members:
            if member.suffix == ".parquet":
                scorers[str(member)] = file_scorer(member, every[0], num_classes)
            else:
                scorers[str(member)] = run_scorer(Run.open(member))
        if len(scorers) < len(members):
            raise UserError("a member that is named twice", advice="Give it a weight instead: --weights.")
        return cls(every[0], num_classes, scorers, weights or [1.0] * len(members), kind)

    def score(
        self, each: Callable[[Batch, list[Tensor], Tensor], None] | None = None, progress: Progress = silent
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Every batch with the ensemble's probabilities [B, C]; ``each`` is shown those of the members as well."""
        done = 0
        for batch in Loader(self.videos, ordered_batches(len(self.videos), BATCH_SIZE)):
            scores = [scorer(batch) for scorer in self.scorers.values()]
            mean = average(scores, self.weights, self.kind)
            if each is not None:
                each(batch, scores, mean)
            done += len(batch.videos)
            progress("scoring", done, len(self.videos))
            yield batch, mean

    def compare(self) -> "Comparison":
        """Something to show each batch to, that comes to metrics and diversity."""
        return Comparison(self)


class Comparison:
    """Metrics of each member and of the ensemble, and the diversity of each pair of members."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.names = [*ensemble.scorers, "ensemble"]
        self.labeled = bool(ensemble.videos.is_labeled.any())
        self.metrics = [TopLabels(ensemble.num_classes) for _ in self.names]
        self.pairs = {pair: Diversity() for pair in combinations(range(len(ensemble.scorers)), 2)}

    def __call__(self, batch: Batch, scores: list[Tensor], mean: Tensor) -> None:
        """Add a batch, with the members' probabilities [B, C] and their average."""
        rows, labels = batch.labels
        for metric, p in zip(self.metrics, [*scores, mean], strict=True):
            if self.labeled:
                metric.update(p, (rows, labels))
        for (one, other), diversity in self.pairs.items():
            diversity.update(scores[one], scores[other])

    def members(self) -> pd.DataFrame:
        """A row a member, and one for the ensemble: gap with its 95 % interval, and the other metrics.

        Raises UserError for data without labels.
        """
        rows = []
        for name, metric in zip(self.names, self.metrics, strict=True):
            low, high = metric.bootstrap(0)
            rows.append({"member": name, **metric.compute(), "gap_low": low, "gap_high": high})
        return pd.DataFrame(rows)

    def diversity(self) -> pd.DataFrame:
        """A row a pair of members: member_a, member_b, and what ``Diversity`` measures."""
        return pd.DataFrame(
            [
                {"member_a": self.names[one], "member_b": self.names[other], **diversity.compute()}
                for (one, other), diversity in self.pairs.items()
            ]
        )
