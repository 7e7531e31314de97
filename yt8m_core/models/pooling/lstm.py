"""LSTM pooling: last states and, optionally, sums over time (section 2.2.1, equations 1 to 6, Table 1).

Rows of Table 1: "LSTM" is the default. "LSTM-M" adds ``use_input_sum``, "LSTM-M-O" also ``use_output_sum``, and
"LSTM-M-O-LN" also ``layer_norm``. https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.sum import build_post
from yt8m_core.models.recurrent import LSTM, LayerNormLSTM

MAX_LAYERS = 100  # each is a module, whatever its width


class LSTMPooling(nn.Module):
    """g(I) = [c_n, s_n, M, O] with M = Σ_t I_t and O = Σ_t s_t over the n real frames, each normalized to unit length.

    The paper defines O as Σ_t g_t, "the output of each time step". The outputs are s_t, and the authors' code sums s_t;
    it also L2-normalizes both sums. With several layers, the output has c and s of every layer, first layer first.
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
        """Set the cell and the parts of the output.

        Args:
            in_features: D.
            width: w, width of the cell.
            layers: Number of stacked LSTMs.
            use_input_sum: Whether the output includes M.
            use_output_sum: Whether the output includes O.
            layer_norm: Whether to layer-normalize the gates and c_t.
            dropout: Dropout rate of the candidates g_t during training, only with ``layer_norm``, as in the authors'
                code. The paper's 0.8 is the keep probability in that code.
            sum_norm: Normalization of M and O: "l2", or "none" as the text reads.

        Raises:
            UserError: A size is less than 1, ``dropout`` is not from 0 to below 1, or ``sum_norm`` is unknown.
        """
        super().__init__()
        if width < 1:
            raise UserError(str(width), where="lstm, option 'width'", expected="1 or more")
        if not 1 <= layers <= MAX_LAYERS:
            raise UserError(str(layers), where="lstm, option 'layers'", expected=f"1 to {MAX_LAYERS}")
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
        """Frames [B, T, D] and mask [B, T] → vector [B, d], d = 2w per layer, plus D for M and w for O."""
        outputs, parts = self.lstm(frames, mask)  # outputs: [B, T, w], 0 on padding
        if self.use_input_sum:
            real_frames = promote_to_float32(frames).masked_fill(~mask[..., None], 0.0)
            parts.append(self.input_post(real_frames.sum(dim=1)))  # a matrix product would round under autocast
        if self.use_output_sum:
            parts.append(self.output_post(outputs.sum(dim=1)))
        return Pooled(torch.cat(parts, dim=1))
