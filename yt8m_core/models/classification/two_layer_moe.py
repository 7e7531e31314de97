"""2-layer mixture of experts: a hidden layer before gates and experts (section 2.3.2, equations 16 and 17, Table 2).

"2 Layer MoE-2" and "2 Layer MoE-16" are ``experts=2`` and ``experts=16``. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import VARIANTS, Scores


class TwoLayerMixtureOfExperts(nn.Module):
    """Mixture as in ``moe`` with e_i = σ(v_e·(W_e O_g + b'_e) + b_e) and g = softmax(v_g·(W_g O_g + b'_g)).

    There is no activation between the two layers. So with d' ≥ d they express no more than one layer does; only the
    optimization differs. The authors' code has the hidden layer before the gates only. As in ``moe`` the gates have no
    bias b_g; v_g·b'_g acts as one.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        experts: int = 2,
        hidden: int = 2048,
        dummy: bool = True,
        variant: str = "paper",
    ) -> None:
        """Set the number of experts and the width of the hidden layers.

        Args:
            in_features: d.
            num_classes: C.
            experts: k, without the dummy.
            hidden: d'. The default is that of the authors' code; the paper gives no number.
            dummy: Whether each class has a dummy expert that always predicts 0.
            variant: "paper", or "authors" without a hidden layer before the experts.

        Raises:
            UserError: ``experts`` or ``hidden`` is less than 1, or ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        for option, value in {"experts": experts, "hidden": hidden}.items():
            if value < 1:
                raise UserError(str(value), where=f"two_layer_moe, option '{option}'", expected="1 or more")
        self.embedding_features = in_features
        self.num_classes = num_classes

        def two_layers(width: int, *, bias: bool) -> nn.Sequential:
            inner = xavier_linear(in_features, hidden, bias=True)
            return nn.Sequential(inner, xavier_linear(hidden, width, bias=bias))

        # The rows of both are class-major: the k gates of class 0, those of class 1, …
        self.gate = two_layers(num_classes * (experts + dummy), bias=False)
        self.expert: nn.Module
        if variant == "paper":
            self.expert = two_layers(num_classes * experts, bias=True)
        else:
            self.expert = xavier_linear(in_features, num_classes * experts, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]. The embedding is the vector."""
        per_class = (vector.shape[0], self.num_classes, -1)
        gates = self.gate(vector).view(per_class)  # [B, C, k or k + 1]
        experts = self.expert(vector).view(per_class)  # [B, C, k]
        return Scores.from_mixture(gates, experts, embedding=vector)
