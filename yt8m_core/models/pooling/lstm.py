"""LSTM: its last states, and as much more of its inside as one likes (section 2.2.1, equations 1 to 6, Table 1).

Table 1: "LSTM" is the default, "LSTM-M" has ``use_input_sum``, "LSTM-M-O" ``use_output_sum`` too, and "LSTM-M-O-LN"
``layer_norm`` as well. https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.sum import build_post
from yt8m_core.models.recurrent import LSTM, LayerNormLSTM


class LSTMPooling(nn.Module):
    """g(I) = [c_n, s_n, M, O] with M = Σ_t I_t and O = Σ_t s_t over the n real frames, each made a unit vector.

    The paper writes O as Σ_t g_t, "the output of each time step": the outputs are s_t, and the authors' code adds up
    those. Both sums are L2-normalized there. Of several layers it gives the states of all, c and s of the first first.
    """

    def __init__(
        self,
        in_features: int,
        *,
        width: int = 1152,
        layers: int = 1,
        use_input_sum: bool = False,
        use_output_sum: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.2,
        sum_norm: str = "l2",
    ) -> None:
        """Choose the cell and what is taken from it.

        Args:
            in_features: D.
            width: w, the size of the cell.
            layers: how many LSTMs, each on the outputs of the one before.
            use_input_sum: whether M is there.
            use_output_sum: whether O is there.
            layer_norm: whether gates and c_t are normalized.
            dropout: part of the candidates g_t that is dropped while training, with ``layer_norm`` alone, as in the
                authors' code. The paper's rate of 0.8 is what that code keeps.
            sum_norm: what becomes of M and O: "l2", or "none" as the text reads.

        Raises:
            UserError: a size is less than 1, the dropout is not within 0 to 1, or ``sum_norm`` is unknown.
        """
        super().__init__()
        for option, value in {"width": width, "layers": layers}.items():
            if value < 1:
                raise UserError(str(value), where=f"lstm, option '{option}'", expected="1 or more")
        if not 0 <= dropout < 1:
            raise UserError(str(dropout), where="lstm, option 'dropout'", expected="0 to below 1")
        check_choice("sum_norm", sum_norm, ("l2", "none"))
        self.use_input_sum = use_input_sum
        self.use_output_sum = use_output_sum
        self.lstm = (
            LayerNormLSTM(in_features, width, layers, dropout) if layer_norm else LSTM(in_features, width, layers)
        )
        self.input_post = build_post(sum_norm, in_features)
        self.output_post = build_post(sum_norm, width)
        self.out_features = 2 * width * layers + in_features * use_input_sum + width * use_output_sum

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, 2w, and D and w more]."""
        outputs, states = self.lstm(frames, mask)
        if self.use_input_sum:
            real_frames = promote_to_float32(frames).masked_fill(~mask[..., None], 0.0)
            states.append(self.input_post(real_frames.sum(dim=1)))  # no matrix product, which autocast would round
        if self.use_output_sum:
            states.append(self.output_post(outputs.sum(dim=1)))  # 0 on padding
        return Pooled(torch.cat(states, dim=1))
