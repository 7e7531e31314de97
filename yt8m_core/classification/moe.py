"""Mixture of experts: each class mixes the answers of its own k experts (section 2.3.2, equations 14 and 15).

"MoE-2" and "MoE-16" of Tables 1, 3 and 4 are ``experts=2`` and ``experts=16``. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.classification.logistic import xavier_linear
from yt8m_core.contracts import Scores
from yt8m_core.errors import UserError


class MixtureOfExperts(nn.Module):
    """p_c = Σ_i g_i e_i with e_i = σ(w_e·O_g + b_e) and the gates g = softmax(w_g·O_g), k of each a class.

    The published code, Google's as well, has a further gate whose expert always answers no: a class that no expert
    knows can switch itself off. The paper leaves it out (``dummy=False``). Neither code gives the gates a bias.
    """

    def __init__(self, in_features: int, num_classes: int, *, experts: int = 2, dummy: bool = True) -> None:
        """Choose the number of experts.

        Args:
            in_features: d.
            num_classes: C.
            experts: k, the dummy not counted.
            dummy: whether each class has the expert that always answers no.

        Raises:
            UserError: there is no expert.
        """
        super().__init__()
        if experts < 1:
            raise UserError(str(experts), where="moe, option 'experts'", expected="1 or more")
        self.embedding_features = in_features
        self.num_classes = num_classes
        # The rows of both are class-major: class 0's k gates, class 1's, …
        self.gate = xavier_linear(in_features, num_classes * (experts + dummy), bias=False)
        self.expert = xavier_linear(in_features, num_classes * experts, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]; the embedding is the vector itself."""
        of_each_class = (len(vector), self.num_classes, -1)
        gates = self.gate(vector).view(of_each_class)  # [B, C, k or k + 1]
        experts = self.expert(vector).view(of_each_class)  # [B, C, k]
        return Scores.from_mixture(gates, experts, embedding=vector)
