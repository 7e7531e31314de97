"""Multi-label center loss: pull videos with a common label together (section 2.5.1, equations 21 and 22, Table 4).

"Center Loss" of Table 4 is the default, on a cross entropy. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32


class Center(nn.Module):
    """L = L_s + λL_c, where L_c is the mean over videos of (1/N) Σ_{j∈y} ||e - c_j||² (0 for a video without labels).

    The paper does not say how the centers c_j are updated. Here, as in its reference (Wen et al. 2016), each center
    moves a fraction α_c of the way to the n_j videos of its label after each optimizer step:

        c_j ← c_j - α_c Σ_{b∋j} (c_j - e_b) / (1 + n_j).

    In the authors' code the centers never move, because nothing runs their update; there, L_c is the size of e.
    """

    centers: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        num_classes: int,
        embedding_features: int,
        *,
        weight: float = 0.001,
        rate: float = 0.05,
        dims: str | None = None,
        update: str | None = None,
        loss: nn.Module | str = "cross_entropy",
        variant: str = "paper",
    ) -> None:
        """Choose the reading of equation 21.

        Args:
            num_classes: C.
            embedding_features: e, width of the embedding.
            weight: λ.
            rate: α_c.
            dims: Squared distances are the "sum" over the e dimensions or their "mean", which divides L_c by e. None
                uses the default of the variant: "sum" for "paper", "mean" for "authors".
            update: "wen", or "none" for centers fixed at 0. None uses the default of the variant: "wen" for "paper",
                "none" for "authors".
            loss: L_s, another loss; the registry builds it from its text.
            variant: "paper", or "authors", where L_c is the mean over all pairs of a video and a label, so that a video
                counts once per label.

        Raises:
            UserError: A name is unknown, λ is negative, α_c is not within 0 to 1, or ``loss`` is a center loss.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS, where="center")
        if dims is None:
            dims = "sum" if variant == "paper" else "mean"
        if update is None:
            update = "wen" if variant == "paper" else "none"
        check_choice("dims", dims, ("sum", "mean"), where="center")
        check_choice("update", update, ("wen", "none"), where="center")
        if isinstance(loss, Center):
            raise UserError("a center loss", where="center, option 'loss'", expected="another loss")
        if not weight >= 0:
            raise UserError(str(weight), where="center, option 'weight'", expected="0 or more")
        if not 0 <= rate <= 1:
            raise UserError(str(rate), where="center, option 'rate'", expected="0 to 1")
        self.weight = weight
        self.rate = rate
        self.scale = 1 if dims == "sum" else 1 / embedding_features
        self.updates_centers = update == "wen"
        self.averages_pairs = variant == "authors"
        self.loss = cast(nn.Module, loss)
        self.register_buffer("centers", torch.zeros(num_classes, embedding_features))
        # Σ_b y_bj e_b and n_j since the last step, over several forward passes with gradient accumulation.
        self.register_buffer("sums", torch.zeros(num_classes, embedding_features), persistent=False)
        self.register_buffer("counts", torch.zeros(num_classes), persistent=False)

    def forward(
        self, scores: Scores, targets: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, targets, 0 or 1, and weights [B, C] → L and its parts: L, those of L_s, and L_c as center_distance.

        L_c is over the labels whose weight is not 0.
        """
        total, parts = self.loss(scores, targets, weights)
        if weights is not None:
            targets = targets * (weights != 0)
        with torch.autocast(targets.device.type, enabled=False):
            embedding = promote_to_float32(scores.embedding)  # [B, e]
            targets = targets.to(embedding.dtype)
            if self.training and self.updates_centers:
                self.sums += targets.T @ embedding.detach()
                self.counts += targets.sum(dim=0)
            num_labels = targets.sum(dim=1)  # [B], N
            shares = targets / num_labels.clamp(min=1).unsqueeze(1)  # [B, C], 1/N at each label
            means = shares @ self.centers  # [B, e], c̄
            # Mean of ||e - c_j||² = ||e - c̄||² + (mean of ||c_j||² - ||c̄||²), without a tensor [B, C, e]. The gradient
            # depends on the first term only, which is accurate near the centers: no difference of large numbers.
            spread = shares @ self.centers.square().sum(dim=1) - means.square().sum(dim=1)  # [B]
            distances = self.scale * ((embedding - means).square().sum(dim=1) + spread)  # [B]
            if self.averages_pairs:
                distance = (num_labels * distances).sum() / num_labels.sum().clamp(min=1)
            else:
                distance = ((num_labels > 0) * distances).mean()
            total = total + self.weight * distance
        return total, {**parts, "center": total.detach(), "center_distance": distance.detach()}

    @torch.no_grad()
    def after_step(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """Update the centers from the videos since the last step. ``reduce`` sums a tensor over the processes."""
        if self.updates_centers:
            sums, counts = reduce(self.sums), reduce(self.counts).unsqueeze(1)
            self.centers -= self.rate * (counts * self.centers - sums) / (1 + counts)
            self.sums.zero_()
            self.counts.zero_()
