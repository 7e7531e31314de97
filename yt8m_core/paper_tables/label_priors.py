"""Beyond the paper: methods of today against its three problems of labels, imbalance, correlation and noise.

All rows follow MoE-2 on the mean of the frames, the strongest plain classifier on video-level features. Rows of the
paper's own answers are those of Tables 3 and 4.
"""

from typing import Any

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.label_processing import correlation
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.paper_tables.table import CROSS_ENTROPY, NO_PROCESSING, Row, Table

MEAN = Slot("mean")
BASELINE = "Cross entropy, no label processing"


def _loss(name: str, method: str, **options: Any) -> Row:
    return Row(name, None, MEAN, MOE_2, NO_PROCESSING, Slot(method, options))


def _processing(name: str, processing: Slot) -> Row:
    return Row(name, None, MEAN, MOE_2, processing, CROSS_ENTROPY)


TABLE = Table(
    title="Label priors today",
    conclusion="",
    baseline=BASELINE,
    rows=(
        Row(BASELINE, None, MEAN, MOE_2),
        _loss("Focal", "focal"),
        _loss("Asymmetric", "asymmetric"),
        _loss("Class-balanced", "class_balanced"),
        _loss("Logit-adjusted", "logit_adjusted"),
        _loss("Distribution-balanced", "distribution_balanced"),
        _processing("Correlation, γ = 0.01 (paper)", correlation(gamma=0.01)),
        _processing("Context gating", Slot("context_gating")),
        _processing("Chain", Slot("chain", {"width": 256, "hidden": 1024})),
        _processing("Label graph", Slot("label_graph")),
        _processing("Label queries", Slot("label_queries", {"width": 512})),
        _loss("Huber, δ = 0.5 (paper)", "pseudo_huber", delta=0.5),
        _loss("Hill", "hill"),
    ),
)
