"""Label queries: learned queries, one per group of labels, attend to the video and to the scores.

Not in the paper; a baseline for its section 2.4. The head of ML-Decoder: Ridnik, Sharir, Ben-Cohen, Ben-Baruch, Noy:
ML-Decoder: Scalable and Versatile Classification Head, 2021, https://arxiv.org/abs/2111.12933 (section 3).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import Scores, promote_to_float32

FEED_FORWARD = 2  # width of the feed-forward layer relative to the queries


class LabelQueries(nn.Module):
    """logit'_c = logit_c + W_c·h_g + b_c, where h_g is the output of one decoder layer for the query of c's group g.

    As in ML-Decoder, the layer has cross-attention, feed-forward and layer norms, but no self-attention, so the cost
    is linear in the groups. A group consists of labels with successive ids, and each of its labels has its own W_c.

    Differences from ML-Decoder: its tokens are the positions of a spatial feature map. Here the classification
    passes on one vector per video, so there is no map to attend to: the tokens are learned projections of the
    embedding, and one of the first stage's scores, which ML-Decoder does not see. Tokens are layer-normalized, because
    the embedding has another length after each classification; the queries are learned; there is no dropout; and W
    and b start at 0, so that training starts from the unchanged scores.

    All parameters take steps of 1/d of the learning rate: with Adam, the best step of a hidden layer decreases with its
    width (Yang et al.: Tensor Programs V, 2022, https://arxiv.org/abs/2203.03466). At the best rate of the mixture of
    experts, on the demo world with d = 512, steps of 1/30, 1/100 and 1/512 give a GAP of 0.710, 0.721 and 0.748, and
    the mixture alone 0.742. On 11,790 real videos, also with d = 512, 1/30 gives 0.625 and 1/512 gives 0.659, and the
    mixture alone 0.662.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_features: int,
        *,
        groups: int = 100,
        tokens: int = 8,
        width: int = 128,
        heads: int = 8,
    ) -> None:
        """Set the size.

        Args:
            num_classes: C.
            embedding_features: e, width of the embedding.
            groups: G, number of queries, at most one per label.
            tokens: Number of tokens from the embedding.
            width: d, of queries and tokens, split equally among the heads.
            heads: Number of attention heads.

        Raises:
            UserError: A value is less than 1, or ``width`` is not a multiple of ``heads``.
        """
        super().__init__()
        for option, value in (("groups", groups), ("tokens", tokens), ("heads", heads)):
            if value < 1:
                raise UserError(str(value), where=f"label_queries, option '{option}'", expected="1 or more")
        if width < 1 or width % heads:
            raise UserError(str(width), where="label_queries, option 'width'", expected=f"a multiple of {heads} heads")
        groups = min(groups, num_classes)
        self.heads = heads
        self.embedding_tokens = xavier_linear(embedding_features, tokens * width, bias=True)
        self.score_token = xavier_linear(num_classes, width, bias=True)
        self.token_norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(groups, width))
        self.query_norm = nn.LayerNorm(width)
        self.query = xavier_linear(width, width, bias=True)
        self.key = xavier_linear(width, width, bias=False)  # a softmax over tokens ignores a bias
        self.value = xavier_linear(width, width, bias=True)
        self.attended = xavier_linear(width, width, bias=True)
        self.attended_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            xavier_linear(width, FEED_FORWARD * width, bias=True),
            nn.ReLU(),
            xavier_linear(FEED_FORWARD * width, width, bias=True),
        )
        self.output_norm = nn.LayerNorm(width)
        members = -(-num_classes // groups)  # labels per group; the last groups may have fewer
        self.output = nn.Parameter(torch.zeros(groups, width, members))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.step_scales = {name: 1 / width for name, _ in self.named_parameters()}

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C] with the same embedding."""
        dtype = self.queries.dtype  # may be half precision
        B, d = scores.p.shape[0], self.queries.shape[1]
        embedding_tokens = self.embedding_tokens(scores.embedding.to(dtype)).view(B, -1, d)
        score_token = self.score_token(scores.p.to(dtype)).view(B, 1, d)
        tokens = self.token_norm(torch.cat([embedding_tokens, score_token], dim=1))  # [B, n, d]
        queries = self.query_norm(self.queries)  # [G, d]
        x = self.attended_norm(queries + self.attended(self._attend(queries, tokens)))  # [B, G, d]
        x = self.output_norm(x + self.feed_forward(x))
        residual = torch.einsum("bgd,gdm->bgm", x, self.output).flatten(1)[:, : len(self.bias)]  # [B, C]
        return scores.add_to_logits(promote_to_float32(residual) + self.bias)

    def _attend(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Compute multi-head attention of queries [G, d] to tokens [B, n, d] → [B, G, d]."""
        query = self.query(queries).unflatten(1, (self.heads, -1)).transpose(0, 1)  # [H, G, d/H]
        key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.key, self.value)
        )  # [B, H, n, d/H]
        attended = F.scaled_dot_product_attention(
            query.expand(tokens.shape[0], -1, -1, -1), key, value
        )  # [B, H, G, d/H]
        return attended.transpose(1, 2).flatten(2)
