"""Poolings whose frame summaries are computed once per video and cached for the whole training.

Such a pooling has two steps. ``summarize`` reads the frames; it has no weights and no randomness. ``finish`` has
everything that is trained or random. A training computes the summaries of all videos once (``inference/pooled_cache``)
and repeats only the second step.
"""

from torch import Tensor, nn

from yt8m_core.models.outputs import Pooled


class CacheablePooling(nn.Module):
    """g(I) = finish(summarize(I)).

    Attributes:
        is_cacheable: Whether summaries can replace the frames. False if a wrapped pooling does not allow it.
        summary: Description of what ``summarize`` computes; poolings with equal descriptions have equal summaries.
        summary_features: s, the width of a summary.
        out_features: d.
    """

    is_cacheable = True
    summary: str
    summary_features: int
    out_features: int

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → summaries [B, s] and, if the pooling has attention, attention [B, T]."""
        raise NotImplementedError

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Summaries [B, s], num_frames [B] and, if the pooling needs them, labels [B, C] → vector [B, d]."""
        return summaries

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d] and, if the pooling has attention, attention [B, T]."""
        summaries, attention = self.summarize(frames, mask)
        return Pooled(self.finish(summaries, mask.sum(dim=1), labels), attention)
