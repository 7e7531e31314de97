"""Table 2 (called Table 3 in the text): the classification layer, after indirect clustering (section 3.2.2)."""

from yt8m_core.experiment import Slot
from yt8m_core.paper_tables.table import Row, Table

CLUSTERING = Slot("indirect_clustering")


def _two_layers(experts: int) -> Slot:
    return Slot("two_layer_moe", {"experts": experts, "hidden": 2048})


def _mlp(*, layer_norm: bool) -> Slot:
    return Slot("mlp", {"hidden": [4096, 4096, 4096], "layer_norm": layer_norm})


TABLE = Table(
    title="Table 2: classification",
    claim="The MLP is best, and better with layer norm; Many-to-Many stays behind a pooled LSTM; "
    "a second layer makes the mixture of experts overfit.",
    baseline="3 Layer MLP-4096",
    rows=(
        Row("Many-to-Many", 0.791, Slot("none"), Slot("many_to_many", {"width": 1152})),
        Row("2 Layer MoE-2", 0.424, CLUSTERING, _two_layers(2)),
        Row("2 Layer MoE-16", 0.421, CLUSTERING, _two_layers(16)),
        Row("3 Layer MLP-4096", 0.802, CLUSTERING, _mlp(layer_norm=False)),
        Row("3 Layer MLP-4096-LN", 0.809, CLUSTERING, _mlp(layer_norm=True)),
    ),
)
