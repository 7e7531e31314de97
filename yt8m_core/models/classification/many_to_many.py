"""Many-to-Many: an LSTM scores every frame; the scores are averaged (section 2.3.1, equation 13, Table 2).

It takes frames, without a pooling. https://arxiv.org/abs/1706.07960
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32
from yt8m_core.models.recurrent import LSTM

AUTHORS_FRAMES = 300  # the authors' code averages over this many frames, for shorter videos too


class ManyToMany(nn.Module):
    """p = 1/n Σ_t σ(W s_t + b) over the n real frames.

    The authors' code averages over 300 frames and scores missing frames as σ(b).
    """

    takes_frames = True

    def __init__(
        self, in_features: int, num_classes: int, *, width: int = 1152, chunk: int = 16, variant: str = "paper"
    ) -> None:
        """Set the size.

        Args:
            in_features: D.
            num_classes: C.
            width: w, width of the LSTM cell.
            chunk: Number of frames scored at a time. The scores of all 300 frames of 128 videos would take 724 MB.
            variant: "paper" or "authors".

        Raises:
            UserError: A size is less than 1, or ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        for option, value in {"width": width, "chunk": chunk}.items():
            if value < 1:
                raise UserError(str(value), where=f"many_to_many, option '{option}'", expected="1 or more")
        self.embedding_features = width
        self.chunk = chunk
        self.includes_padding = variant == "authors"
        self.lstm = LSTM(in_features, width)
        self.output = xavier_linear(width, num_classes, bias=True)

    def forward(self, frames: Tensor, mask: Tensor) -> Scores:
        """Frames [B, T, D] and mask [B, T] → scores [B, C]. The embedding is the mean of s_t over the real frames."""
        outputs, _ = self.lstm(frames, mask)  # [B, T, w]
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        embedding = outputs.sum(dim=1) / lengths.clamp(min=1)  # [B, w]
        if not self.includes_padding:  # score a video without frames as one frame with s_t = 0
            mask = torch.cat([mask[:, :1] | (lengths == 0), mask[:, 1:]], dim=1)
        # log Σ_t σ and log Σ_t (1-σ), in which no score is rounded to 0 or 1.
        sums: list[Tensor] | None = None
        # An exported graph has no loop whose length depends on T; it scores all frames at once.
        starts = () if torch.compiler.is_exporting() else range(0, frames.shape[1], self.chunk)
        for start in starts:
            part = slice(start, start + self.chunk)
            chunk = checkpoint(self.log_sums, outputs[:, part], mask[:, part], use_reentrant=False)
            sums = chunk if sums is None else [torch.logaddexp(a, b) for a, b in zip(sums, chunk, strict=True)]
        log_p, log_not_p = sums or self.log_sums(outputs, mask)  # [B, C]
        if self.includes_padding:
            bias = promote_to_float32(self.output.bias)
            missing = (AUTHORS_FRAMES - lengths).clamp(min=0).to(bias.dtype).log()  # [B, 1]
            log_p = torch.logaddexp(log_p, missing + F.logsigmoid(bias))
            log_not_p = torch.logaddexp(log_not_p, missing + F.logsigmoid(-bias))
            lengths = lengths.clamp(min=AUTHORS_FRAMES)
        log_n = lengths.clamp(min=1).to(log_p.dtype).log()
        return Scores(log_p - log_n, log_not_p - log_n, embedding)

    def log_sums(self, outputs: Tensor, mask: Tensor) -> list[Tensor]:
        """s_t [B, t, w] and mask [B, t] → log Σ_t σ(W s_t + b) and log Σ_t σ(-(W s_t + b)) [B, C] over real frames."""
        logits = promote_to_float32(self.output(outputs.to(self.output.weight.dtype)))  # [B, t, C]
        padding = ~mask[..., None]
        lowest = torch.finfo(logits.dtype).min / 2  # finite: -inf has no gradient
        return [F.logsigmoid(x).masked_fill(padding, lowest).logsumexp(dim=1) for x in (logits, -logits)]
