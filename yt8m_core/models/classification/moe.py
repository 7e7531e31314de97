"""Mixture of experts: each class mixes the answers of its own k experts (section 2.3.2, equations 14 and 15).

"MoE-2" and "MoE-16" of Tables 1, 3 and 4 are ``experts=2`` and ``experts=16``. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.classification.logistic import xavier_linear
from yt8m_core.models.outputs import Scores


class MixtureOfExperts(nn.Module):
    """p_c = Σ_i g_i e_i with e_i = σ(w_e·O_g + b_e) and the gates g = softmax(w_g·O_g), k of each a class.

    The published code, Google's as well, has a further gate whose expert always answers no: a class that no expert
    knows can switch itself off. The paper leaves it out (``dummy=False``). Neither code gives the gates a bias.

    The center loss pulls at the embedding, which is O_g itself: after a pooling without weights that cannot move, and
    the loss changes nothing. ``embedding`` puts a layer of so many units before gates and experts that can.
    """

    def __init__(
        self, in_features: int, num_classes: int, *, experts: int = 2, dummy: bool = True, embedding: int = 0
    ) -> None:
        """Choose the number of experts.

        Args:
            in_features: d.
            num_classes: C.
            experts: k, the dummy not counted.
            dummy: whether each class has the expert that always answers no.
            embedding: e, the units of a layer FC → ReLU in the place of O_g; 0 for none, as in section 2.3.2.

        Raises:
            UserError: there is no expert, or the embedding's width is negative.
        """
        super().__init__()
        for option, value, least in (("experts", experts, 1), ("embedding", embedding, 0)):
            if value < least:
                raise UserError(str(value), where=f"moe, option '{option}'", expected=f"{least} or more")
        self.embed: nn.Module = nn.Identity()
        if embedding:
            self.embed = nn.Sequential(xavier_linear(in_features, embedding, bias=True), nn.ReLU())
            in_features = embedding
        self.embedding_features = in_features
        self.num_classes = num_classes
        # The rows of both are class-major: class 0's k gates, class 1's, …
        self.gate = xavier_linear(in_features, num_classes * (experts + dummy), bias=False)
        self.expert = xavier_linear(in_features, num_classes * experts, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]; the embedding is the vector itself, or what its layer makes of it [B, e]."""
        vector = self.embed(vector)
        of_each_class = (len(vector), self.num_classes, -1)
        gates = self.gate(vector).view(of_each_class)  # [B, C, k or k + 1]
        experts = self.expert(vector).view(of_each_class)  # [B, C, k]
        return Scores.from_mixture(gates, experts, embedding=vector)
