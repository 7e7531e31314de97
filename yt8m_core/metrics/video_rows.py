"""Input and state of metrics that keep rows of videos: checked batches, and lists that several processes share."""

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from yt8m_core.errors import UserError

Matrix = NDArray[Any] | Tensor


class VideoRows(Metric):
    """Metric of C classes whose list states have one row per video, on one process or several."""

    num_classes: int

    def empty_rows(self) -> dict[str, Tensor]:
        """Return each list state for no videos."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name, for ``add_tensors`` of another process or a later time."""
        return {name: dim_zero_cat(getattr(self, name) or [self.empty_rows()[name]]) for name in self.empty_rows()}

    def add_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the videos of a state after those of this one."""
        for name in self.empty_rows():
            getattr(self, name).append(tensors[name].to(self.device))
        self._update_count += 1  # torchmetrics warns of a metric without updates

    def sync(self, dist_sync_fn: Any = None, *args: Any, **kwargs: Any) -> None:
        """Gather the state of all processes; give one without videos empty tensors, so that the shapes are known."""
        for name, rows in self.empty_rows().items():
            if len(getattr(self, name)) == 0:
                setattr(self, name, [rows])
        super().sync(dist_sync_fn or gather_rows, *args, **kwargs)


def gather_rows(rows: Tensor, group: Any = None) -> list[Tensor]:
    """Gather the rows of all processes, in float64 if those of any process are float64."""
    if rows.is_floating_point():  # tensors of two types cannot be gathered
        is_double = torch.tensor(rows.dtype == torch.float64, device=rows.device)
        if any(gather_all_tensors(is_double, group)):
            rows = rows.double()
    gathered: list[Tensor] = gather_all_tensors(rows, group)
    return gathered


def check_batch(scores: Tensor, targets: Tensor | tuple[Tensor, Tensor], num_classes: int) -> tuple[Tensor, Tensor]:
    """Check a batch and return scores, float32 or float64, and labels, bool; both [B, C].

    Args:
        scores: [B, C].
        targets: [B, C], 0/1 or bool; or the positives only, as a pair (video [P] in 0..B-1, label [P]).
        num_classes: C.

    Raises:
        UserError: A wrong shape, a NaN score, a label other than 0 and 1, or a pair outside [B, C].
    """
    if scores.ndim != 2 or scores.shape[1] != num_classes:
        raise UserError(f"scores {tuple(scores.shape)}", expected=f"[B, {num_classes}]")
    truth = _dense_labels(*targets, scores) if isinstance(targets, tuple) else check_labels(targets.to(scores.device))
    if truth.shape != scores.shape:
        raise UserError(f"targets {tuple(truth.shape)}", expected=f"the shape of the scores {tuple(scores.shape)}")
    return check_scores(scores.detach()), truth


def as_tensor(rows: Matrix) -> Tensor:
    """Convert to a tensor, without a copy where numpy's memory allows it."""
    if isinstance(rows, Tensor):
        return rows.detach()
    return torch.from_numpy(rows if rows.flags.writeable and rows.flags.c_contiguous else rows.copy())


def check_scores(scores: Tensor, first: int = 0) -> Tensor:
    """Convert scores to float32, except float64. Raises UserError with the position of a NaN."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    if scores.amax(dim=1).isnan().any():  # the maximum of a row with a NaN is NaN
        row, column = scores.isnan().nonzero()[0].tolist()
        raise UserError(f"the score of video {first + row}, label {column} is NaN", expected="a number")
    return scores


def check_labels(labels: Tensor, first: int = 0) -> Tensor:
    """Convert labels to bool. Raises UserError with the position of a value other than 0 and 1."""
    if labels.dtype == torch.bool:
        return labels
    truth = labels != 0
    if not torch.equal(truth.to(labels.dtype), labels):
        row, column = (truth.to(labels.dtype) != labels).nonzero()[0].tolist()
        value = labels[row, column].item()
        raise UserError(f"{value} as the target of video {first + row}, label {column}", expected="0 or 1")
    return truth


def _dense_labels(videos: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """Convert (video [P], label [P]) pairs to bool [B, C]. Raises UserError for a pair outside [B, C]."""
    truth = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    for name, index, end in (("video", videos, len(scores)), ("label", labels, scores.shape[1])):
        if index.shape != videos.shape or ((index < 0) | (index >= end)).any():
            raise UserError(f"a {name} outside 0..{end - 1}, or not one {name} per pair", where="targets")
    truth[videos.to(scores.device).long(), labels.to(scores.device).long()] = True
    return truth
