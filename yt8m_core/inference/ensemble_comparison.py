"""Metrics of ensemble members and of their average, and the diversity of the members (section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from yt8m_core.data.loader import Batch
from yt8m_core.metrics.average_precision import top_labels
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.storage.tensor_files import write_tensors

TOP_K = 20  # labels per video that are compared, as in GAP@20


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

    def tensor(self) -> Tensor:
        """Return the state, float64 [9]."""
        return torch.tensor([self.videos, self.overlap_sum, self.same_best, *self.moments], dtype=torch.float64)

    def add(self, state: Tensor) -> None:
        """Add the videos of a state."""
        videos, overlap, same_best, *moments = state.tolist()
        self.videos += int(videos)
        self.overlap_sum += overlap
        self.same_best += int(same_best)
        self.moments += moments

    def compute(self) -> dict[str, float]:
        """Return the measures by name; the correlation is NaN without variance."""
        n, x, y, xx, yy, xy = self.moments
        deviations = np.sqrt(max(n * xx - x * x, 0) * max(n * yy - y * y, 0))
        return {
            "overlap": self.overlap_sum / self.videos,
            "same_best": self.same_best / self.videos,
            "correlation": float((n * xy - x * y) / deviations) if deviations else float("nan"),
        }


class Comparison:
    """Metrics of each member and of the ensemble, and diversity of each pair of members; a callback of ``score``."""

    def __init__(self, members: Sequence[str], num_classes: int, device: torch.device, *, is_labeled: bool) -> None:
        self.names = [*members, "ensemble"]
        self.is_labeled = is_labeled
        self.metrics = [TopLabels(num_classes).to(device) for _ in self.names]
        self.pairs = {pair: Diversity() for pair in combinations(range(len(members)), 2)}

    def __call__(self, batch: Batch, scores: list[Tensor], mean: Tensor) -> None:
        """Add the probabilities [B, C] of the members and of the ensemble for a batch."""
        rows, labels = batch.labels.to(mean.device)
        for metric, p in zip(self.metrics, [*scores, mean], strict=True):
            if self.is_labeled:
                metric.update(p, (rows, labels))
        for (first, second), diversity in self.pairs.items():
            diversity.update(scores[first], scores[second])

    def save(self, file: Path) -> None:
        """Write the state to a file."""
        tensors = {
            f"{i}.{name}": rows for i, metric in enumerate(self.metrics) for name, rows in metric.tensors().items()
        }
        tensors |= {f"pair {i}": pair.tensor() for i, pair in enumerate(self.pairs.values())}
        write_tensors(file, tensors)

    def add(self, file: Path) -> None:
        """Add the videos of a state that ``save`` wrote after those of this one."""
        tensors = load_file(file)
        for i, metric in enumerate(self.metrics):
            metric.add_tensors({name: tensors[f"{i}.{name}"] for name in metric.tensors()})
        for i, pair in enumerate(self.pairs.values()):
            pair.add(tensors[f"pair {i}"])

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
