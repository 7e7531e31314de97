"""Many-to-Many: an LSTM that scores every frame, and the mean of those scores (section 2.3.1, equation 13, Table 2).

It takes the frames themselves, without a pooling. https://arxiv.org/abs/1706.07960
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.classification.logistic import xavier_linear
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32
from yt8m_core.models.recurrent import LSTM

AUTHORS_FRAMES = 300  # over which the authors' code takes the mean, of a shorter video too


class ManyToMany(nn.Module):
    """p = 1/n Σ_t σ(W s_t + b) over the n real frames.

    The authors' code takes the mean over 300 frames, and to those that a video does not have it gives σ(b).
    """

    takes_frames = True

    def __init__(
        self, in_features: int, num_classes: int, *, width: int = 1152, chunk: int = 16, variant: str = "paper"
    ) -> None:
        """Choose the size.

        Args:
            in_features: D.
            num_classes: C.
            width: w, the size of the LSTM's cell.
            chunk: frames that are scored at a time. All 300 of a batch of 128 videos would be 724 MB of scores.
            variant: "paper" or "authors".

        Raises:
            UserError: a size is less than 1, or the variant is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        for option, value in {"width": width, "chunk": chunk}.items():
            if value < 1:
                raise UserError(str(value), where=f"many_to_many, option '{option}'", expected="1 or more")
        self.embedding_features = width
        self.chunk = chunk
        self.counts_padding = variant == "authors"
        self.lstm = LSTM(in_features, width)
        self.output = xavier_linear(width, num_classes, bias=True)

    def forward(self, frames: Tensor, mask: Tensor) -> Scores:
        """Frames [B, T, D] and mask [B, T] → scores [B, C]; the embedding is the mean of s_t over the real frames."""
        outputs, _ = self.lstm(frames, mask)  # [B, T, w]
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        embedding = outputs.sum(dim=1) / lengths.clamp(min=1)
        if not self.counts_padding:  # a video without frames is scored as one whose only s_t is 0
            mask = torch.cat([mask[:, :1] | (lengths == 0), mask[:, 1:]], dim=1)
        # log Σ_t σ and log Σ_t (1-σ), in which no score is ever rounded to 0 or 1.
        sums: list[Tensor] | None = None
        for start in range(0, frames.shape[1], self.chunk):
            part = slice(start, start + self.chunk)
            chunk = checkpoint(self.log_sums, outputs[:, part], mask[:, part], use_reentrant=False)
            sums = chunk if sums is None else [torch.logaddexp(a, b) for a, b in zip(sums, chunk, strict=True)]
        log_yes, log_no = sums or self.log_sums(outputs, mask)
        if self.counts_padding:
            bias = promote_to_float32(self.output.bias)
            missing = (AUTHORS_FRAMES - lengths).clamp(min=0).to(bias.dtype).log()  # [B, 1]
            log_yes = torch.logaddexp(log_yes, missing + F.logsigmoid(bias))
            log_no = torch.logaddexp(log_no, missing + F.logsigmoid(-bias))
            lengths = lengths.clamp(min=AUTHORS_FRAMES)
        log_n = lengths.clamp(min=1).to(log_yes.dtype).log()
        return Scores(log_yes - log_n, log_no - log_n, embedding)

    def log_sums(self, outputs: Tensor, mask: Tensor) -> list[Tensor]:
        """log Σ_t σ(W s_t + b) and log Σ_t σ(-(W s_t + b)) [B, C] over the real frames among s_t [B, t, w]."""
        logits = promote_to_float32(self.output(outputs.to(self.output.weight.dtype)))  # [B, t, C]
        padding = ~mask[..., None]
        lowest = torch.finfo(logits.dtype).min / 2  # not -inf, from which there is no gradient
        return [F.logsigmoid(x).masked_fill(padding, lowest).logsumexp(dim=1) for x in (logits, -logits)]
