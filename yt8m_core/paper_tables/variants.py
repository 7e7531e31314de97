"""Paper versus published code: the six places where the two compute something else, side by side.

Poolings (before MoE-2) and scorings (after indirect clustering) are a table each, since they need other data: the
former a video's frames, the latter its labels. https://github.com/seilna/youtube-8m
"""

from dataclasses import dataclass, replace

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import classification, label_processing, loss
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.label_processing import MOE_16
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.paper_tables.table import Row, Table

AUTHORS = {"variant": "authors"}
SUM = "Sum, L2 (both published as Position Encoding and as Adaptive Noise)"
PUBLISHED_CLUSTERING = "Indirect Clustering, published (sum, layer norm, ReLU)"


def _pooling(name: str, pooling: str, gap: float | None = None, **options: object) -> Row:
    return Row(name, gap, Slot(pooling, options), MOE_2)


POOLING = Table(
    title="Paper and published code: pooling",
    claim="The published code neither attends, nor encodes positions, nor adds noise: three rows of Table 1 are sums.",
    baseline=SUM,
    rows=(
        _pooling(SUM, "sum", 0.782),
        _pooling("Position Encoding, paper", "position_encoding"),
        # γ of 1/S(y) is next to nothing for unit frames; with the largest γ as 1, a tenth of it is some noise.
        _pooling("Adaptive Noise, paper", "adaptive_noise"),
        _pooling("Adaptive Noise, γ up to 0.1", "adaptive_noise", gamma_norm="max", scale=0.1),
        _pooling(PUBLISHED_CLUSTERING, "indirect_clustering", 0.801, **AUTHORS),
        replace(_pooling("Indirect Clustering, paper", "indirect_clustering"), against=PUBLISHED_CLUSTERING),
        # With the same end as the published one, all that differs is the attention.
        replace(
            _pooling("Indirect Clustering, paper, layer norm, ReLU", "indirect_clustering", post="ln_relu"),
            against=PUBLISHED_CLUSTERING,
        ),
    ),
    ledger=(
        Claim(
            "The 0.801 of indirect clustering over 0.782 is layer norm and ReLU after a sum, not attention.",
            "published code, of Table 1",
            ((PUBLISHED_CLUSTERING, SUM),),
        ),
    ),
    frames=True,
)

MOE, TWO_LAYERS = classification.TABLE.row("MoE-2 (of Table 1)"), classification.TABLE.row("2 Layer MoE-2")
CORRELATION = label_processing.TABLE.row("MoE - (1.0, 0.0, 0.1)")
CENTER, NO_CENTER = loss.TABLE.row(loss.EMBEDDED_CENTER), loss.TABLE.row(loss.EMBEDDED)
ONE_LAYER, PLAIN, EMBEDDED = "MoE-2", "MoE-16", "MoE-16, embedding of 2048"

SCORING = Table(
    title="Paper and published code: classification, label processing and loss",
    claim="The published two-layer mixture has a hidden layer before its gates alone, its correlation acts on the "
    "experts, and its centers never move.",
    baseline=PLAIN,
    rows=(
        Row(PLAIN, 0.798, CLUSTERING, MOE_16),
        replace(CORRELATION, name="Correlation of scores, γ = 0.1, paper"),
        replace(
            CORRELATION,
            name="Correlation of experts, γ = 0.1, published",
            gap=None,
            label_processing=Slot("correlation", {"gamma": 0.1, **AUTHORS}),
        ),
        # With a layer before the experts: without one there is nothing that either center loss could move.
        replace(NO_CENTER, name=EMBEDDED),
        replace(CENTER, name="Center loss, paper", against=EMBEDDED),
        replace(
            CENTER,
            name="Center loss, published",
            loss=Slot("center", {"weight": 0.001, **AUTHORS}),
            against=EMBEDDED,
        ),
        replace(MOE, name=ONE_LAYER),
        replace(TWO_LAYERS, name="2 Layer MoE-2, paper", gap=None, against=ONE_LAYER),
        replace(
            TWO_LAYERS,
            name="2 Layer MoE-2, published",
            classification=replace(TWO_LAYERS.classification, options={**TWO_LAYERS.classification.options, **AUTHORS}),
            against=ONE_LAYER,
        ),
    ),
    ledger=(
        Claim(
            "The published two-layer mixture (0.424) reaches what one layer does.",
            "published code, of Table 2",
            (("2 Layer MoE-2, published", ONE_LAYER),),
            says="alike",
        ),
    ),
)


@dataclass(frozen=True)
class Difference:
    """A place where the published code computes something else than the paper says."""

    what: str
    table: str  # a key of ``TABLES``, which has both lines
    paper: str  # its row as the paper says
    published: str  # its row as the code does
    gap: float  # in the paper
    measured: str  # what this GAP is of, therefore


DIFFERENCES = (
    Difference(
        "Indirect clustering: the softmax runs over an axis of length 1",
        "pooling_variants",
        "Indirect Clustering, paper",
        PUBLISHED_CLUSTERING,
        0.801,
        "a sum over frames, then layer norm and ReLU; nothing attends",
    ),
    Difference(
        "Position encoding: integer divisions make every weight 1",
        "pooling_variants",
        "Position Encoding, paper",
        SUM,
        0.782,
        "a sum over frames, normalized; no position counts",
    ),
    Difference(
        "Adaptive noise: only a switch for one noise that all videos share",
        "pooling_variants",
        "Adaptive Noise, paper",
        SUM,
        0.782,
        "the same sum as position encoding's, to the same three digits",
    ),
    Difference(
        "Center loss: the update of the centers is never run",
        "scoring_variants",
        "Center loss, paper",
        "Center loss, published",
        0.799,
        "a penalty on the size of the embedding; and the published code cannot train this row at all",
    ),
    Difference(
        "Two-layer MoE: a hidden layer before the gates alone, and no activation",
        "scoring_variants",
        "2 Layer MoE-2, paper",
        "2 Layer MoE-2, published",
        0.424,
        "a one-layer mixture written in another way, so its collapse is not one of capacity",
    ),
    Difference(
        "Label correlation: inside the mixture, on the experts' logits, with weights 1 - γ and γ",
        "scoring_variants",
        "Correlation of scores, γ = 0.1, paper",
        "Correlation of experts, γ = 0.1, published",
        0.788,
        "not known: what the paper writes down was never published as code",
    ),
)
