"""Fusion: combine the rgb and audio streams of a frame into one vector (section 2.1).

The paper tests compact bilinear pooling of the two streams and prefers their concatenation.
https://arxiv.org/abs/1706.07960
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.normalization import l2_normalize
from yt8m_core.models.outputs import promote_to_float32

SEED = 1706_07960  # of the sketches, so that they are the same in every process and run


class Concat(nn.Module):
    """I_t = [rgb, audio]. Frames are stored with their streams side by side, so this is the identity."""

    def __init__(self, streams: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.out_features = sum(width for _, width in streams)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames [B, T, D] → the same frames."""
        return frames


class CompactBilinear(nn.Module):
    """I_t = l2(sketch(rgb) ∗ sketch(audio)): all products of an rgb and an audio feature, hashed into few buckets.

    The circular convolution ∗ of two count sketches is the count sketch of the outer product, and a product after a
    Fourier transform (https://arxiv.org/abs/1511.06062, algorithm 2; https://arxiv.org/abs/1606.01847, section 3.1).
    Both references take a signed square root before the L2 norm; the authors' code omits it. A frame in which one
    stream is all 0 becomes 0.
    """

    buckets: Tensor
    signs: Tensor

    def __init__(self, streams: Sequence[tuple[str, int]], *, width: int = 2048) -> None:
        """Draw a bucket and a sign per feature. They are not trained, but saved with the weights.

        Args:
            streams: Name and width of each of two streams.
            width: Number of buckets.

        Raises:
            UserError: There are not exactly two streams, or ``width`` is less than 1.
        """
        super().__init__()
        if len(streams) != 2:
            found = f"{len(streams)} ({', '.join(name for name, _ in streams)})"
            raise UserError(found, where="compact_bilinear, streams", expected="two", advice="Use concat.")
        if width < 1:
            raise UserError(str(width), where="compact_bilinear, option 'width'", expected="1 or more")
        self.widths = [features for _, features in streams]
        self.out_features = width
        D, random = sum(self.widths), torch.Generator("cpu").manual_seed(SEED)
        self.register_buffer("buckets", torch.randint(width, (D,), generator=random, device="cpu"))
        self.register_buffer("signs", torch.randint(2, (D,), generator=random, device="cpu") * 2.0 - 1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames [B, T, D] and mask [B, T] → unit frames [B, T, width], 0 on padding."""
        with torch.autocast(frames.device.type, enabled=False):  # the Fourier transform does not support bfloat16
            frames = promote_to_float32(frames)
            parts = (torch.split(x, self.widths, dim=-1) for x in (frames, self.buckets, self.signs))
            rgb, audio = (
                torch.fft.rfft(count_sketch(x, h, s, self.out_features)) for x, h, s in zip(*parts, strict=True)
            )
            fused = l2_normalize(torch.fft.irfft(rgb * audio, n=self.out_features))  # [B, T, width]
            return fused.masked_fill(~mask[..., None], 0.0)


def count_sketch(vectors: Tensor, buckets: Tensor, signs: Tensor, width: int) -> Tensor:
    """Add each feature, with its sign, to its bucket: [..., D] → [..., width]. Preserves inner products on average.

    >>> count_sketch(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), torch.tensor([1.0, -1.0, 1.0]), width=3)
    tensor([-2.,  0.,  5.])
    """
    signed = vectors * signs
    return signed.new_zeros(*signed.shape[:-1], width).index_add(-1, buckets, signed)
