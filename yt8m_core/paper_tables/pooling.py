"""Table 1: video pooling, before MoE-2 with cross entropy (section 3.2.1)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_versus, increasing, versus_each
from yt8m_core.paper_tables.table import Row, Table

MOE_2 = Slot("moe", {"experts": 2})


def _lstm(**options: bool) -> Slot:
    return Slot("lstm", {"width": 1152, **options})


def _cnn(channels: int) -> Slot:
    return Slot("cnn", {"channels": channels})


LSTMS = ("LSTM", "LSTM-M", "LSTM-M-O", "LSTM-M-O-LN")
OTHERS = ("CNN-64", "CNN-256", "Position Encoding", "Indirect Clustering", "Adaptive Noise")
SOURCE = "section 3.2.1, Table 1"

TABLE = Table(
    title="Table 1: video pooling",
    conclusion="Adding the mean input and the mean output improves the LSTM; layer norm does not. CNNs score lowest "
    "and improve with channels. Indirect clustering beats position encoding. Adaptive noise has no effect.",
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
    claims=(
        Claim("LSTM-M-O beats every pooling without an LSTM.", SOURCE, versus_each("LSTM-M-O", OTHERS)),
        Claim("The mean input and the mean output each improve the LSTM.", SOURCE, increasing(*LSTMS[:3])),
        Claim("Layer norm lowers the final GAP of the LSTM.", SOURCE, (("LSTM-M-O-LN", "LSTM-M-O"),), expects="worse"),
        Claim(
            "The CNN is worse than every other pooling.",
            SOURCE,
            versus_each("CNN-256", (*LSTMS, *OTHERS[2:])),
            expects="worse",
        ),
        Claim("More channels improve the CNN.", SOURCE, increasing("CNN-64", "CNN-256", "CNN-1024")),
        Claim(
            "Position encoding and indirect clustering are worse than the LSTM.",
            SOURCE,
            each_versus(("Position Encoding", "Indirect Clustering"), "LSTM"),
            expects="worse",
        ),
        Claim(
            "Indirect clustering beats position encoding, because the main scene matters.",
            SOURCE,
            (("Indirect Clustering", "Position Encoding"),),
        ),
        Claim(
            "Adaptive noise gains almost nothing over position encoding (both rows are sums of frames).",
            SOURCE,
            (("Adaptive Noise", "Position Encoding"),),
            expects="similar",
        ),
    ),
    frames=True,
)
