"""Poolings that look at the frames without weights, so that one look at a video serves a whole training.

Such a pooling takes two steps: ``summarize`` needs the frames and always gives the same, ``finish`` has whatever is
learned or random. A training keeps the summaries of all videos and does the second step alone (``summaries.py``).
"""

from torch import Tensor, nn

from yt8m_core.models.outputs import Pooled


class PooledOnce(nn.Module):
    """g(I) = finish(summarize(I)).

    Attributes:
        pools_once: whether summaries can stand for the frames, which depends on the pooling that another one wraps.
        summary: what ``summarize`` computes, in words; poolings with the same words give the same summaries.
        summary_features: s, the width of a summary.
        out_features: d.
    """

    pools_once = True
    summary: str
    summary_features: int
    out_features: int

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → summaries [B, s], and the attention [B, T] if there is any."""
        raise NotImplementedError

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Summaries [B, s] of videos with num_frames [B] and, where it needs them, labels [B, C] → vector [B, d]."""
        return summaries

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d], and the attention [B, T] if there is any."""
        summaries, attention = self.summarize(frames, mask)
        return Pooled(self.finish(summaries, mask.sum(dim=1), labels), attention)
