"""The largest cluster of a video's frames: what indirect clustering stands in for (section 2.2.4).

"We perform a clustering on the video features over all frames, and find the cluster with the largest size." The paper
then turns it down as too slow for each video by itself; all videos of a batch together, it is not.
https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import PooledOnce


class LargestCluster(PooledOnce):
    """g(I) = the mean of the frames in the largest of k clusters, which k-means finds (Lloyd's algorithm).

    The first centers are frames at even distances in time, so that nothing is random. A tie goes to the cluster that
    started earlier in the video, and a cluster that loses all its frames stays where it was.
    """

    attends = True

    def __init__(self, in_features: int, *, clusters: int = 5, iterations: int = 10) -> None:
        """Choose the clustering.

        Args:
            in_features: D.
            clusters: k; a video with fewer frames has as many clusters as it has different frames.
            iterations: how often frames are assigned and centers moved.

        Raises:
            UserError: there is no cluster, or no iteration.
        """
        super().__init__()
        for option, value in {"clusters": clusters, "iterations": iterations}.items():
            if value < 1:
                raise UserError(str(value), where=f"largest_cluster, option '{option}'", expected="1 or more")
        self.out_features = self.summary_features = in_features
        self.summary = f"largest_cluster(clusters={clusters}, iterations={iterations})"
        self.clusters = clusters
        self.iterations = iterations

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, D] and attention [B, T], alike on the cluster's frames."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            members = self.assign(frames.detach(), mask)  # [B, T, k]
            # k counts up by one a frame, and the earlier of two equal clusters is ahead by a fraction.
            earlier = torch.arange(self.clusters, 0, -1, device=frames.device) / (self.clusters + 1)
            largest = (members.sum(dim=1) + earlier).argmax(dim=1)  # [B]
            chosen = members.gather(2, largest[:, None, None].expand(-1, frames.shape[1], 1)).squeeze(2)  # [B, T]
            attention = chosen / chosen.sum(dim=1, keepdim=True).clamp(min=1)
            return Pooled(torch.einsum("bt,btd->bd", attention, frames), attention)

    @torch.no_grad()
    def assign(self, frames: Tensor, mask: Tensor) -> Tensor:
        """k-means of each video's frames [B, T, D] → which cluster each is in, [B, T, k] of ones; padding in none."""
        frames = frames.masked_fill(~mask[..., None], 0.0)
        real = mask.to(frames.dtype)
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        places = torch.arange(self.clusters, device=frames.device) * lengths // self.clusters  # [B, k]
        centers = frames.gather(1, places[..., None].expand(-1, -1, frames.shape[2]))  # [B, k, D]
        members = torch.zeros(*mask.shape, self.clusters, dtype=frames.dtype, device=frames.device)
        for _ in range(self.iterations):
            # ||I - c||² less ||I||², which is the same for all centers.
            distances = centers.square().sum(dim=2)[:, None] - 2 * torch.einsum("btd,bkd->btk", frames, centers)
            members = nn.functional.one_hot(distances.argmin(dim=2), self.clusters).to(frames.dtype) * real[..., None]
            sizes = members.sum(dim=1)[..., None]  # [B, k, 1]
            means = torch.einsum("btk,btd->bkd", members, frames) / sizes.clamp(min=1)
            centers = torch.where(sizes > 0, means, centers)
        return members
