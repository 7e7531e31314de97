"""Identity: O_c = O_h, no label processing, as in Tables 1, 2 and 4 (section 2.4, https://arxiv.org/abs/1706.07960)."""

from torch import nn

from yt8m_core.models.outputs import Scores


class Identity(nn.Module):
    """C(O_h) = O_h: equation 20 with (α, β, γ) = (1, 0, 0)."""

    def __init__(self, num_classes: int) -> None:
        """Accept the number of classes, as all label processing methods do; it is not used."""
        super().__init__()

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → the same scores."""
        return scores
