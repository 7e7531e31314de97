"""Gated NetVLAD: residuals of the frames from learned cluster centers, the pooling of the 2017 winner.

Not in the paper; a baseline. NetVLAD: https://arxiv.org/abs/1511.07247 (equation 4 and section 3.1). Projection and
gate: https://arxiv.org/abs/1706.06905 (WILLOW, figure 1 and equation 1).
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.normalization import l2_normalize
from yt8m_core.models.outputs import Pooled, promote_to_float32


class NetVLAD(nn.Module):
    """V_k = Σ_t a_tk (I_t - c_k) with a_t = softmax_k(LN(W_a·I_t)); then x = LN(W·V) and O_g = σ(W_g·x + b_g) ∘ x.

    Each V_k is normalized to unit length, so that clusters with many frames do not dominate, and then V as a whole.

    Differences from WILLOW: layer normalization replaces batch normalization, which would make the scores of a video
    depend on the other videos of its batch. A plain bias cannot replace it: the logits of unit frames start near 0, so
    every frame would belong to all clusters equally and the clusters would hardly separate. The gate has the bias of
    its equation, because x already has scale 1. WILLOW pools rgb and audio separately; a pooling here receives one
    joint frame vector.
    """

    def __init__(self, in_features: int, *, clusters: int = 64, width: int = 1024, gating: bool = True) -> None:
        """Set the size.

        Args:
            in_features: D.
            clusters: K; 256 in WILLOW's best single model. The projection has K·D·d weights, 75 million by default.
            width: d, of x and O_g.
            gating: Whether to apply the context gate to x.

        Raises:
            UserError: ``clusters`` or ``width`` is less than 1.
        """
        super().__init__()
        for option, value in (("clusters", clusters), ("width", width)):
            if value < 1:
                raise UserError(str(value), where=f"netvlad, option '{option}'", expected="1 or more")
        self.out_features = width
        self.assign = nn.Linear(in_features, clusters, bias=False)
        self.assign_norm = nn.LayerNorm(clusters, eps=1e-12)
        self.centers = nn.Parameter(torch.randn(clusters, in_features) / in_features**0.5)  # unit length, like frames
        self.project = nn.Linear(clusters * in_features, width, bias=False)
        # WILLOW's initialization. That of nn.Linear is 60 times smaller at K·D inputs: a few steps of Adam would
        # overwrite it.
        nn.init.normal_(self.project.weight, std=clusters**-0.5)
        self.project_norm = nn.LayerNorm(width, eps=1e-12)
        self.gate = nn.Linear(width, width) if gating else None

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d]. No attention: a_t weights clusters, not frames."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            weights = self.assign_norm(self.assign(frames)).softmax(dim=2)  # [B, T, K]
            weights = weights * mask[..., None]
            # Σ_t a_tk I_t - (Σ_t a_tk) c_k, without the differences [B, T, K, D].
            sums = torch.einsum("btk,btd->bkd", weights, frames)
            residuals = sums - weights.sum(dim=1)[..., None] * self.centers  # [B, K, D]
            V = l2_normalize(l2_normalize(residuals).flatten(1))  # [B, K·D]
        x = self.project_norm(promote_to_float32(self.project(V)))  # [B, d]
        if self.gate is not None:
            x = promote_to_float32(self.gate(x)).sigmoid() * x
        return Pooled(x)
