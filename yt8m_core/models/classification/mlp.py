"""Multi-layer perceptron: 3 hidden layers of 4,096, with or without layer normalization (section 2.3.3, Table 2).

"3 Layer MLP-4096-LN" is the default, "3 Layer MLP-4096" is ``layer_norm=False``. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import VARIANTS, Scores


class MLP(nn.Module):
    """Hidden layers FC → LayerNorm → ReLU, or FC → ReLU, then one sigmoid per class.

    An FC before a layer norm has no bias, because the norm has its own shift. The authors' output layer has no bias.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        hidden: Sequence[int] = (4096, 4096, 4096),
        layer_norm: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        variant: str = "paper",
    ) -> None:
        """Set the hidden layers.

        Args:
            in_features: d.
            num_classes: C.
            hidden: Width of each hidden layer.
            layer_norm: Whether to layer-normalize each hidden layer before its ReLU.
            dropout: Dropout rate of each hidden layer; the paper and its code have none.
            input_dropout: Dropout rate of the video vector.
            variant: "paper", or "authors" without output biases.

        Raises:
            UserError: ``hidden`` is empty or has a width below 1, a dropout rate is not from 0 to below 1, or
                ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        if not hidden or not all(isinstance(width, int) and width > 0 for width in hidden):
            raise UserError(
                str(hidden), where="mlp, option 'hidden'", expected="a list of widths, such as [4096, 4096]"
            )
        for option, rate in (("dropout", dropout), ("input_dropout", input_dropout)):
            if not 0 <= rate < 1:
                raise UserError(str(rate), where=f"mlp, option '{option}'", expected="0 to below 1")
        self.dropout, self.input_dropout = dropout, input_dropout
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(xavier_linear(in_features, width, bias=not layer_norm))
            if layer_norm:
                layers.append(nn.LayerNorm(width, eps=1e-12))  # TensorFlow's eps
            layers.append(nn.ReLU())
            in_features = width
        self.embedding_features = in_features
        self.hidden = nn.Sequential(*layers)
        self.output = xavier_linear(in_features, num_classes, bias=variant == "paper")

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]. The embedding is the last hidden layer [B, hidden[-1]]."""
        embedding = F.dropout(vector, self.input_dropout, self.training)
        for layer in self.hidden:
            embedding = layer(embedding)
            if isinstance(layer, nn.ReLU):
                embedding = F.dropout(embedding, self.dropout, self.training)
        return Scores.from_logits(self.output(embedding), embedding)
