"""LSTM over the frames of videos of different lengths: what the pooling and Many-to-Many share (equations 1 to 6).

https://arxiv.org/abs/1706.07960
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from yt8m_core.models.outputs import promote_to_float32

EPS = 1e-12  # of TensorFlow's layer norm


class Recurred(NamedTuple):
    """What an LSTM leaves behind."""

    outputs: Tensor  # [B, T, w], s_t of the last layer, 0 on padding
    states: list[Tensor]  # c_n and s_n of the first layer, then of the next, each [B, w]; 0 for a video without frames


def glorot_(weights: list[Tensor], in_features: int, width: int) -> None:
    """Start the parts of one kernel [in + w, 4w] as TensorFlow's LSTM cells do."""
    bound = (6 / (in_features + width + 4 * width)) ** 0.5
    for weight in weights:
        nn.init.uniform_(weight, -bound, bound)


class LSTM(nn.Module):
    """c_t = c_t-1 ∘ f_t + g_t ∘ i_t and s_t = tanh(c_t) ∘ o_t, stopped at each video's last frame.

    The forget gates start with a bias of 1, as in TensorFlow's BasicLSTMCell.
    """

    def __init__(self, in_features: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.width = width
        self.lstm = nn.LSTM(in_features, width, layers, batch_first=True)
        for layer in range(layers):
            kernel = [getattr(self.lstm, f"weight_{part}_l{layer}") for part in ("ih", "hh")]
            glorot_(kernel, in_features if layer == 0 else width, width)
            # The gates are i, f, g, o, and torch adds up two biases.
            for part in ("ih", "hh"):
                bias = getattr(self.lstm, f"bias_{part}_l{layer}")
                nn.init.zeros_(bias)
                if part == "ih":
                    nn.init.ones_(bias[width : 2 * width])

    def forward(self, frames: Tensor, mask: Tensor) -> Recurred:
        """Frames [B, T, D] and mask [B, T] → the outputs and the last states."""
        frames = frames.masked_fill(~mask[..., None], 0.0).to(next(self.parameters()).dtype)
        lengths = mask.sum(dim=1)
        # A pack holds no empty sequence: a video without frames is given one, which is then taken back.
        pack = pack_padded_sequence(frames, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        # c_t adds up small steps over 300 frames, and bfloat16 loses those below about 1/256 of it.
        with torch.autocast(frames.device.type, enabled=False):
            packed, (s, c) = self.lstm(pack)  # [layers, B, w]
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=frames.shape[1])
        some = (lengths > 0)[:, None]
        states = [promote_to_float32(state) * some for layer in zip(c, s, strict=True) for state in layer]
        return Recurred(promote_to_float32(outputs) * some[..., None], states)


class LayerNormLSTM(nn.Module):
    """An LSTM with a layer norm on each gate and on c_t, which is carried on normalized.

    As TensorFlow's LayerNormBasicLSTMCell: no biases but the norms', 1 added to the forget gate, and dropout on the
    candidate g_t alone, so that what is remembered stays. It runs frame by frame, slower than ``LSTM``.

    Fresh, it is chaotic on unit frames: of what its norms see at w = 1152, a frame is 1 % and s_t the rest, so that
    rounding errors of float32 grow to the size of the outputs within 300 frames. Frames of norm √D do not do that.
    """

    def __init__(self, in_features: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.dropout = dropout
        widths = [in_features, *[width] * (layers - 1)]
        self.inputs = nn.ParameterList(torch.empty(4 * width, features) for features in widths)
        self.recurrent = nn.ParameterList(torch.empty(4 * width, width) for _ in widths)
        self.gains = nn.ParameterList(torch.ones(5, width) for _ in widths)  # of i, f, g, o and c
        self.shifts = nn.ParameterList(torch.zeros(5, width) for _ in widths)
        for features, *kernel in zip(widths, self.inputs, self.recurrent, strict=True):
            glorot_(kernel, features, width)

    def forward(self, frames: Tensor, mask: Tensor) -> Recurred:
        """Frames [B, T, D] and mask [B, T] → the outputs and the last states."""
        outputs, states = promote_to_float32(frames).masked_fill(~mask[..., None], 0.0), []
        with torch.autocast(frames.device.type, enabled=False):
            for inputs, *others in zip(self.inputs, self.recurrent, self.gains, self.shifts, strict=True):
                outputs, c, s = self.layer(F.linear(outputs, inputs), mask, *others)
                states += [c, s]
        return Recurred(outputs, states)

    def layer(
        self, inputs: Tensor, mask: Tensor, recurrent: Tensor, gain: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the frames add to the gates [B, T, 4w] → s_t [B, T, w], and c and s [B, w] at the last frame."""
        B, T, _ = inputs.shape
        c = s = inputs.new_zeros(B, self.width)
        outputs = []
        for t in range(T):
            gates = (inputs[:, t] + F.linear(s, recurrent)).view(B, 4, self.width)
            i, f, g, o = (F.layer_norm(gates, [self.width], eps=EPS) * gain[:4] + shift[:4]).unbind(dim=1)
            candidate = F.dropout(g.tanh(), self.dropout, self.training)
            c_new = c * (f + 1).sigmoid() + candidate * i.sigmoid()
            c_new = F.layer_norm(c_new, [self.width], gain[4], shift[4], EPS)
            real = mask[:, t, None]
            c, s = torch.where(real, c_new, c), torch.where(real, c_new.tanh() * o.sigmoid(), s)
            outputs.append(s * real)
        return torch.stack(outputs, dim=1), c, s
