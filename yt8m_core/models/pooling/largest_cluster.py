"""Mean of the largest cluster of frames, which indirect clustering approximates (section 2.2.4).

"We perform a clustering on the video features over all frames, and find the cluster with the largest size." The paper
rejects this as too slow, one video at a time; here all videos of a batch are clustered together.
https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling

MAX_STEPS = 1000  # clusters and iterations: the work of a batch grows with both, and no weight does


class LargestCluster(CacheablePooling):
    """g(I) = the mean of the frames in the largest of k clusters, found by k-means (Lloyd's algorithm).

    The initial centers are frames at equal distances in time, so nothing is random. A tie goes to the cluster whose
    initial center is earlier in the video. A cluster that loses all its frames keeps its center.
    """

    has_attention = True

    def __init__(self, in_features: int, *, clusters: int = 5, iterations: int = 10) -> None:
        """Set the parameters of the clustering.

        Args:
            in_features: D.
            clusters: k. A video with fewer distinct frames has one cluster per distinct frame.
            iterations: Number of k-means iterations.

        Raises:
            UserError: ``clusters`` or ``iterations`` is not from 1 to 1000.
        """
        super().__init__()
        for option, value in {"clusters": clusters, "iterations": iterations}.items():
            if not 1 <= value <= MAX_STEPS:
                raise UserError(str(value), where=f"largest_cluster, option '{option}'", expected=f"1 to {MAX_STEPS}")
        self.out_features = self.summary_features = in_features
        self.summary = f"largest_cluster(clusters={clusters}, iterations={iterations})"
        self.clusters = clusters
        self.iterations = iterations

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, D] and attention [B, T], uniform over the largest cluster."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            members = self.assign_clusters(frames.detach(), mask)  # [B, T, k]
            # Sizes are integers; a fraction in favor of earlier clusters breaks ties.
            tie_breaker = torch.arange(self.clusters, 0, -1, device=frames.device) / (self.clusters + 1)  # [k]
            largest = (members.sum(dim=1) + tie_breaker).argmax(dim=1)  # [B]
            in_largest = members.gather(2, largest[:, None, None].expand(-1, frames.shape[1], 1)).squeeze(2)  # [B, T]
            attention = in_largest / in_largest.sum(dim=1, keepdim=True).clamp(min=1)
            return Pooled(torch.einsum("bt,btd->bd", attention, frames), attention)

    @torch.no_grad()
    def assign_clusters(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Run k-means on the frames [B, T, D] of each video → one-hot clusters [B, T, k], all 0 on padding."""
        frames = frames.masked_fill(~mask[..., None], 0.0)
        real = mask.to(frames.dtype)
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        initial = torch.arange(self.clusters, device=frames.device) * lengths // self.clusters  # [B, k]
        centers = frames.gather(1, initial[..., None].expand(-1, -1, frames.shape[2]))  # [B, k, D]
        members = torch.zeros(*mask.shape, self.clusters, dtype=frames.dtype, device=frames.device)
        for _ in range(self.iterations):
            # ||I - c||² without ||I||², which is the same for all centers: [B, T, k]
            distances = centers.square().sum(dim=2)[:, None] - 2 * torch.einsum("btd,bkd->btk", frames, centers)
            members = nn.functional.one_hot(distances.argmin(dim=2), self.clusters).to(frames.dtype) * real[..., None]
            sizes = members.sum(dim=1)[..., None]  # [B, k, 1]
            means = torch.einsum("btk,btd->bkd", members, frames) / sizes.clamp(min=1)
            centers = torch.where(sizes > 0, means, centers)
        return members
