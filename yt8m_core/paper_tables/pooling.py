"""Table 1: the video pooling layer, before MoE-2 with cross entropy (section 3.2.1)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_against, one_against_each, rising
from yt8m_core.paper_tables.table import Row, Table

MOE_2 = Slot("moe", {"experts": 2})


def _lstm(**inside: bool) -> Slot:
    return Slot("lstm", {"width": 1152, **inside})


def _cnn(channels: int) -> Slot:
    return Slot("cnn", {"channels": channels})


LSTMS = ("LSTM", "LSTM-M", "LSTM-M-O", "LSTM-M-O-LN")
OTHERS = ("CNN-64", "CNN-256", "Position Encoding", "Indirect Clustering", "Adaptive Noise")
WHERE = "section 3.2.1, Table 1"

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
    ledger=(
        Claim("The LSTM is the best way to encode the frames.", WHERE, one_against_each("LSTM-M-O", OTHERS)),
        Claim("The more of the LSTM's inside is used, the better.", WHERE, rising(*LSTMS[:3])),
        Claim("Layer norm hurts the LSTM's end result.", WHERE, (("LSTM-M-O-LN", "LSTM-M-O"),), says="worse"),
        Claim("The CNN is very poor.", WHERE, one_against_each("CNN-256", (*LSTMS, *OTHERS[2:])), says="worse"),
        Claim("The CNN gets better with channels.", WHERE, rising("CNN-64", "CNN-256", "CNN-1024")),
        Claim(
            "Position encoding and indirect clustering stay behind the LSTM.",
            WHERE,
            each_against(("Position Encoding", "Indirect Clustering"), "LSTM"),
            says="worse",
        ),
        Claim(
            "Indirect clustering beats position encoding: the main scene matters.",
            WHERE,
            (("Indirect Clustering", "Position Encoding"),),
        ),
        Claim(
            "Adaptive noise gains next to nothing (both rows are sums of frames).",
            WHERE,
            (("Adaptive Noise", "Position Encoding"),),
            says="alike",
        ),
    ),
    frames=True,
)
