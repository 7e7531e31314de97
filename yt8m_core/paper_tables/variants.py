"""Paper versus published code: the six places where they compute different things, side by side.

Poolings (before MoE-2) and scorings (after indirect clustering) are separate tables because they need different data:
poolings need frames, scorings need many labels. https://github.com/seilna/youtube-8m
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
SUM = "Sum, L2 norm (published code)"  # published as Position Encoding and as Adaptive Noise
PUBLISHED_CLUSTERING = "Indirect Clustering, published"  # a sum, layer norm and ReLU


def _pooling(name: str, pooling: str, gap: float | None = None, **options: object) -> Row:
    return Row(name, gap, Slot(pooling, options), MOE_2)


POOLING = Table(
    title="Paper versus published code: pooling",
    conclusion="The published code has no attention, no position encoding and no adaptive noise: three rows of Table 1 "
    "are sums of frames.",
    baseline=SUM,
    rows=(
        _pooling(SUM, "sum", 0.782),
        _pooling("Position Encoding, paper", "position_encoding"),
        # γ = 1/S(y) is negligible next to unit frames; scaled to a maximum of 0.1, the noise has an effect.
        _pooling("Adaptive Noise, paper", "adaptive_noise"),
        _pooling("Adaptive Noise, γ ≤ 0.1", "adaptive_noise", gamma_norm="max", scale=0.1),
        _pooling(PUBLISHED_CLUSTERING, "indirect_clustering", 0.801, **AUTHORS),
        replace(_pooling("Indirect Clustering, paper", "indirect_clustering"), reference=PUBLISHED_CLUSTERING),
        # Ends as the published code does, so that only the attention differs.
        replace(
            _pooling("Indirect Clustering, paper + LN + ReLU", "indirect_clustering", post="ln_relu"),
            reference=PUBLISHED_CLUSTERING,
        ),
    ),
    claims=(
        Claim(
            "Layer norm and ReLU after a sum, not attention, raise indirect clustering from 0.782 to 0.801.",
            "published code of Table 1",
            ((PUBLISHED_CLUSTERING, SUM),),
        ),
    ),
    frames=True,
)

MOE, TWO_LAYERS = classification.TABLE.row("MoE-2 (Table 1)"), classification.TABLE.row("2 Layer MoE-2")
CORRELATION = label_processing.TABLE.row("MoE - (1.0, 0.0, 0.1)")
CENTER, NO_CENTER = loss.TABLE.row(loss.EMBEDDED_CENTER), loss.TABLE.row(loss.EMBEDDED)
ONE_LAYER, PLAIN, EMBEDDED = "MoE-2", "MoE-16", "MoE-16, 2048-d embedding"

SCORING = Table(
    title="Paper versus published code: classification, label processing and loss",
    conclusion="In the published code, only the gates of the two-layer mixture have a hidden layer, the correlation "
    "acts on the experts, and the centers are never updated.",
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
        # A center loss acts only through a trainable layer before the experts.
        replace(NO_CENTER, name=EMBEDDED),
        replace(CENTER, name="Center loss, paper", reference=EMBEDDED),
        replace(
            CENTER,
            name="Center loss, published",
            loss=Slot("center", {"weight": 0.001, **AUTHORS}),
            reference=EMBEDDED,
        ),
        replace(MOE, name=ONE_LAYER),
        replace(TWO_LAYERS, name="2 Layer MoE-2, paper", gap=None, reference=ONE_LAYER),
        replace(
            TWO_LAYERS,
            name="2 Layer MoE-2, published",
            classification=replace(TWO_LAYERS.classification, options={**TWO_LAYERS.classification.options, **AUTHORS}),
            reference=ONE_LAYER,
        ),
    ),
    claims=(
        Claim(
            "The published two-layer mixture (0.424) performs like a one-layer mixture.",
            "published code of Table 2",
            (("2 Layer MoE-2, published", ONE_LAYER),),
            expects="similar",
        ),
    ),
)


@dataclass(frozen=True)
class CodeDifference:
    """A place where the published code computes something else than the paper describes."""

    description: str
    table: str  # key of ``TABLES`` that has both rows
    paper: str  # row as the paper describes it
    published: str  # row as the published code computes it
    gap: float  # GAP@20 that the paper reports
    gap_measures: str  # the computation that this GAP belongs to


CODE_DIFFERENCES = (
    CodeDifference(
        "Indirect clustering: softmax over an axis of length 1",
        "pooling_variants",
        "Indirect Clustering, paper",
        PUBLISHED_CLUSTERING,
        0.801,
        "a sum over frames, layer norm and ReLU; no attention",
    ),
    CodeDifference(
        "Position encoding: integer division makes every weight 1",
        "pooling_variants",
        "Position Encoding, paper",
        SUM,
        0.782,
        "a normalized sum over frames; no positions",
    ),
    CodeDifference(
        "Adaptive noise: one switch adds the same noise to all videos",
        "pooling_variants",
        "Adaptive Noise, paper",
        SUM,
        0.782,
        "the same sum as position encoding, with the same three digits",
    ),
    CodeDifference(
        "Center loss: the center update is never run",
        "scoring_variants",
        "Center loss, paper",
        "Center loss, published",
        0.799,
        "a penalty on the norm of the embedding; the published code cannot train this row",
    ),
    CodeDifference(
        "Two-layer MoE: hidden layer for the gates only, no activation",
        "scoring_variants",
        "2 Layer MoE-2, paper",
        "2 Layer MoE-2, published",
        0.424,
        "a reparameterized one-layer mixture, so capacity does not explain the low GAP",
    ),
    CodeDifference(
        "Label correlation: on the experts' logits, with weights 1 − γ and γ",
        "scoring_variants",
        "Correlation of scores, γ = 0.1, paper",
        "Correlation of experts, γ = 0.1, published",
        0.788,
        "unknown: no code was published for what the paper describes",
    ),
)
