"""Multi-label center loss: draw videos with a label in common together (section 2.5.1, equations 21 and 22, Table 4).

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

    The paper does not say how the centers c_j move; here, as where it has them from (Wen et al. 2016), each goes a part
    α_c of the way to the videos of its label, c_j ← c_j - α_c Σ_{b∋j} (c_j - e_b) / (1 + n_j), after each optimizer
    step. In the authors' code they never do, since nothing runs their update, so L_c is there the size of e.
    """

    centers: Tensor
    sums: Tensor
    numbers: Tensor

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
            embedding_features: e, the width of the embedding.
            weight: λ.
            rate: α_c.
            dims: whether a squared distance is the "sum" over the e dimensions or their "mean", which makes L_c e times
                smaller; None is the variant's own, "sum" for the paper's and "mean" for the authors'.
            update: "wen", or "none" for centers that stay at 0; None is the variant's own, "wen" for the paper's and
                "none" for the authors'.
            loss: L_s, another loss, which the registry builds from its text.
            variant: "paper", or "authors" with the mean over all pairs of a video and a label in place of that over
                videos, so that a video counts as often as it has labels.

        Raises:
            UserError: a name is unknown, λ is negative, α_c is not within 0 to 1, or ``loss`` is a center loss as well.
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
        self.moves = update == "wen"
        self.counts_pairs = variant == "authors"
        self.loss = cast(nn.Module, loss)
        self.register_buffer("centers", torch.zeros(num_classes, embedding_features))
        # Σ_b y_bj e_b and n_j since the last step, over all its forwards: gradients may add up over several.
        self.register_buffer("sums", torch.zeros(num_classes, embedding_features), persistent=False)
        self.register_buffer("numbers", torch.zeros(num_classes), persistent=False)

    def forward(self, scores: Scores, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores and targets [B, C] of 0 and 1 → L; its parts are itself, those of L_s, and L_c as center_distance."""
        total, parts = self.loss(scores, targets)
        with torch.autocast(targets.device.type, enabled=False):
            embedding = promote_to_float32(scores.embedding)  # [B, e]
            targets = targets.to(embedding.dtype)
            if self.training and self.moves:
                self.sums += targets.T @ embedding.detach()
                self.numbers += targets.sum(dim=0)
            labels = targets.sum(dim=1)  # [B], N
            shares = targets / labels.clamp(min=1).unsqueeze(1)  # [B, C], 1/N at each label
            means = shares @ self.centers  # [B, e], c̄
            # Mean of ||e - c_j||² = ||e - c̄||² + (mean of ||c_j||² - ||c̄||²), without a tensor [B, C, e]. All that the
            # gradient sees is the first term, no difference of large numbers, so it keeps its digits near the centers.
            spread = shares @ self.centers.square().sum(dim=1) - means.square().sum(dim=1)
            distances = self.scale * ((embedding - means).square().sum(dim=1) + spread)  # [B]
            if self.counts_pairs:
                distance = (labels * distances).sum() / labels.sum().clamp(min=1)
            else:
                distance = ((labels > 0) * distances).mean()
            total = total + self.weight * distance
        return total, {**parts, "center": total.detach(), "center_distance": distance.detach()}

    @torch.no_grad()
    def after_step(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """Move the centers to the videos since the last step; ``reduce`` sums a tensor over the processes."""
        if self.moves:
            sums, numbers = reduce(self.sums), reduce(self.numbers).unsqueeze(1)
            self.centers -= self.rate * (numbers * self.centers - sums) / (1 + numbers)
            self.sums.zero_()
            self.numbers.zero_()
