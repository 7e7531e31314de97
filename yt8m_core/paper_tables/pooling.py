"""Table 1: the video pooling layer, before MoE-2 with cross entropy (section 3.2.1)."""

from yt8m_core.experiment import Slot
from yt8m_core.paper_tables.table import Row, Table

MOE_2 = Slot("moe", {"experts": 2})


def _lstm(**inside: bool) -> Slot:
    return Slot("lstm", {"width": 1152, **inside})


def _cnn(channels: int) -> Slot:
    return Slot("cnn", {"channels": channels})


TABLE = Table(
    title="Table 1: video pooling",
    claim="The more of an LSTM's inside is used the better; layer norm does not help it; CNNs are poor and get better "
    "with channels; indirect clustering beats position encoding; adaptive noise changes nothing.",
    baseline="LSTM",
    rows=(
        Row("LSTM", 0.811, _lstm(), MOE_2),
        Row("LSTM-M", 0.815, _lstm(use_input_sum=True), MOE_2),
        Row("LSTM-M-O", 0.820, _lstm(use_input_sum=True, use_output_sum=True), MOE_2),
        Row("LSTM-M-O-LN", 0.815, _lstm(use_input_sum=True, use_output_sum=True, layer_norm=True), MOE_2),
        Row("CNN-64", 0.704, _cnn(64), MOE_2),
        Row("CNN-256", 0.753, _cnn(256), MOE_2),
        Row("CNN-1024", None, _cnn(1024), MOE_2),
        Row("Position Encoding", 0.782, Slot("position_encoding"), MOE_2),
        Row("Indirect Clustering", 0.801, Slot("indirect_clustering"), MOE_2),
        Row("Adaptive Noise", 0.782, Slot("adaptive_noise"), MOE_2),
    ),
)
