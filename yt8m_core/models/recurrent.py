"""LSTMs over videos of different lengths, for the LSTM pooling and Many-to-Many (section 2.2.1, equations 1 to 6).

https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from yt8m_core.models.outputs import promote_to_float32

EPS = 1e-12  # of TensorFlow's layer norm


class LSTMOutput(NamedTuple):
    """Outputs over time and last states of an LSTM with cell width w."""

    outputs: Tensor  # [B, T, w], s_t of the last layer, 0 on padding
    states: list[Tensor]  # c_n and s_n of each layer in turn, each [B, w]; 0 for a video without frames


def glorot_uniform_(weights: list[Tensor], in_features: int, width: int) -> None:
    """Initialize the parts of one kernel [in + w, 4w] in place, as TensorFlow's LSTM cells do."""
    bound = (6 / (in_features + width + 4 * width)) ** 0.5
    for weight in weights:
        nn.init.uniform_(weight, -bound, bound)


class LSTM(nn.Module):
    """c_t = c_t-1 ∘ f_t + g_t ∘ i_t and s_t = tanh(c_t) ∘ o_t, up to the last frame of each video.

    The forget gates start with a bias of 1, as in TensorFlow's BasicLSTMCell.
    """

    def __init__(self, in_features: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.width = width
        self.lstm = nn.LSTM(in_features, width, layers, batch_first=True)
        for layer in range(layers):
            kernel = [getattr(self.lstm, f"weight_{part}_l{layer}") for part in ("ih", "hh")]
            glorot_uniform_(kernel, in_features if layer == 0 else width, width)
            # torch orders the gates i, f, g, o and adds two biases; one of them gets the 1.
            for part in ("ih", "hh"):
                bias = getattr(self.lstm, f"bias_{part}_l{layer}")
                nn.init.zeros_(bias)
                if part == "ih":
                    nn.init.ones_(bias[width : 2 * width])

    def forward(self, frames: Tensor, mask: Tensor) -> LSTMOutput:
        """Frames [B, T, D] and mask [B, T] → outputs and last states."""
        frames = frames.masked_fill(~mask[..., None], 0.0).to(next(self.parameters()).dtype)
        if torch.compiler.is_exporting():
            return self._run_padded(frames, mask)
        lengths = mask.sum(dim=1)  # [B]
        # A packed sequence cannot be empty: give a video without frames one frame, and zero its results below.
        pack = pack_padded_sequence(frames, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        # c_t sums small steps over 300 frames; bfloat16 loses steps below about 1/256 of c_t.
        with torch.autocast(frames.device.type, enabled=False):
            packed, (s, c) = self.lstm(pack)  # s, c: [layers, B, w]
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=frames.shape[1])
        has_frames = (lengths > 0)[:, None]  # [B, 1]
        states = [promote_to_float32(state) * has_frames for layer in zip(c, s, strict=True) for state in layer]
        return LSTMOutput(promote_to_float32(outputs) * has_frames[..., None], states)

    def _run_padded(self, frames: Tensor, mask: Tensor) -> LSTMOutput:
        """Compute the same without packing, which an exported graph cannot contain."""
        states = []
        for kernel, recurrent, *biases in self.lstm.all_weights:

            def step(gates: Tensor, c: Tensor, recurrent: Tensor = recurrent) -> tuple[Tensor, Tensor]:
                i, f, g, o = gates.chunk(4, dim=1)
                c = c * f.sigmoid() + g.tanh() * i.sigmoid()
                return c, c.tanh() * o.sigmoid()

            frames, c, s = run_steps(step, F.linear(frames, kernel, biases[0] + biases[1]), mask, recurrent)
            states += [c, s]
        return LSTMOutput(frames, states)


class LayerNormLSTM(nn.Module):
    """LSTM with layer normalization of each gate and of c_t; the normalized c_t is carried over.

    As TensorFlow's LayerNormBasicLSTMCell: no biases except those of the norms, 1 added to the forget gate, and
    dropout on the candidate g_t only, so that the memory is kept. It runs frame by frame, slower than ``LSTM``.

    At initialization it is chaotic on unit frames: at w = 1152 a frame contributes 1% of the input of the norms and s_t
    the rest, so float32 rounding errors grow to the size of the outputs within 300 frames. Frames of norm √D avoid
    this.
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
            glorot_uniform_(kernel, features, width)

    def forward(self, frames: Tensor, mask: Tensor) -> LSTMOutput:
        """Frames [B, T, D] and mask [B, T] → outputs and last states."""
        outputs, states = promote_to_float32(frames).masked_fill(~mask[..., None], 0.0), []
        with torch.autocast(frames.device.type, enabled=False):
            for inputs, *weights in zip(self.inputs, self.recurrent, self.gains, self.shifts, strict=True):
                outputs, c, s = self.run_layer(F.linear(outputs, inputs), mask, *weights)
                states += [c, s]
        return LSTMOutput(outputs, states)

    def run_layer(
        self, inputs: Tensor, mask: Tensor, recurrent: Tensor, gain: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Frames' share of the gates [B, T, 4w] → s_t [B, T, w], and c and s [B, w] at the last frame."""

        def step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
            gates = gates.view(gates.shape[0], 4, self.width)
            gates = F.layer_norm(gates, [self.width], eps=EPS) * gain[:4] + shift[:4]
            i, f, g, o = gates.unbind(dim=1)  # [B, w]
            candidate = F.dropout(g.tanh(), self.dropout, self.training)
            c = c * (f + 1).sigmoid() + candidate * i.sigmoid()
            c = F.layer_norm(c, [self.width], gain[4], shift[4], EPS)
            return c, c.tanh() * o.sigmoid()

        return run_steps(step, inputs, mask, recurrent)


def run_steps(
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], inputs: Tensor, mask: Tensor, recurrent: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the steps of one layer; the state of a video stays as it is after its last frame.

    Args:
        step: Gates [B, 4w] and c [B, w] → the next c and s [B, w].
        inputs: Frames' share of the gates [B, T, 4w].
        mask: Mask of the real frames [B, T].
        recurrent: Weights [4w, w] of the share of s.

    Returns:
        s_t [B, T, w], 0 on padding, and c and s [B, w] at the last frame.
    """

    def advance(state: tuple[Tensor, Tensor], frame: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        (c, s), (x, real) = state, frame
        c_new, s_new = step(x + F.linear(s, recurrent), c)
        s = torch.where(real, s_new, s)
        return (torch.where(real, c_new, c), s), s * real

    real = mask[..., None]  # [B, T, 1]
    zeros = inputs.new_zeros(inputs.shape[0], recurrent.shape[1])
    state = (zeros, zeros.clone())
    if torch.compiler.is_exporting():  # a loop over frames would fix their number in the graph
        from torch._higher_order_ops.scan import scan  # not public: only an export depends on it

        state, outputs = scan(advance, state, (inputs, real), dim=1)
        return outputs, *state
    steps = []
    for t in range(inputs.shape[1]):
        state, output = advance(state, (inputs[:, t], real[:, t]))
        steps.append(output)
    return torch.stack(steps, dim=1), *state
