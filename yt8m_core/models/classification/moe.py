"""Mixture of experts: k experts per class, weighted by a gate (section 2.3.2, equations 14 and 15).

"MoE-2" and "MoE-16" of Tables 1, 3 and 4 are ``experts=2`` and ``experts=16``. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import Scores


class MixtureOfExperts(nn.Module):
    """p_c = Σ_i g_i e_i with experts e_i = σ(w_e·O_g + b_e) and gates g = softmax(w_g·O_g), k of each per class.

    The authors' and Google's code has one more gate, for a dummy expert that always predicts 0: it can switch off a
    class that no expert recognizes. The paper omits it (``dummy=False``). Neither code has a bias in the gates.

    The center loss acts on the embedding, which is O_g. After a pooling without weights, O_g is fixed and the loss has
    no effect. ``embedding`` adds a trainable layer before gates and experts.
    """

    def __init__(
        self, in_features: int, num_classes: int, *, experts: int = 2, dummy: bool = True, embedding: int = 0
    ) -> None:
        """Set the number of experts.

        Args:
            in_features: d.
            num_classes: C.
            experts: k, without the dummy.
            dummy: Whether each class has a dummy expert that always predicts 0.
            embedding: e, width of a layer FC → ReLU on O_g; 0 for none, as in section 2.3.2.

        Raises:
            UserError: ``experts`` is less than 1, or ``embedding`` is negative.
        """
        super().__init__()
        for option, value, minimum in (("experts", experts, 1), ("embedding", embedding, 0)):
            if value < minimum:
                raise UserError(str(value), where=f"moe, option '{option}'", expected=f"{minimum} or more")
        self.embed: nn.Module = nn.Identity()
        if embedding:
            self.embed = nn.Sequential(xavier_linear(in_features, embedding, bias=True), nn.ReLU())
            in_features = embedding
        self.embedding_features = in_features
        self.num_classes = num_classes
        # The rows of both are class-major: the k gates of class 0, those of class 1, …
        self.gate = xavier_linear(in_features, num_classes * (experts + dummy), bias=False)
        self.expert = xavier_linear(in_features, num_classes * experts, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]. The embedding is the vector, or the output of the embedding layer [B, e]."""
        vector = self.embed(vector)
        per_class = (vector.shape[0], self.num_classes, -1)
        gates = self.gate(vector).view(per_class)  # [B, C, k or k + 1]
        experts = self.expert(vector).view(per_class)  # [B, C, k]
        return Scores.from_mixture(gates, experts, embedding=vector)
