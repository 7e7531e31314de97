"""Beyond the paper: the best single models and the best average found on video-level features.

The models were chosen by their GAP in the learning rate search, on training records: regularized models with a learning
rate that falls to 0. Section 3.3 does the same on frames, with LSTMs.
"""

from collections.abc import Mapping
from typing import Any

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.label_priors import MEAN
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.paper_tables.table import Row, Table

BASELINE = "MoE-2"
MLP = Slot("mlp", {"hidden": [4096], "dropout": 0.5, "input_dropout": 0.3})
COSINE: Mapping[str, Any] = {"schedule": "cosine"}
LONG_COSINE: Mapping[str, Any] = {**COSINE, "epochs": 8}  # dropout slows learning
MEMBERS = (
    Row("MoE-2, cosine", None, MEAN, MOE_2, training=COSINE),
    Row("MLP, dropout, cosine", None, MEAN, MLP, training=LONG_COSINE),
    Row("MLP, dropout, cosine, per modality", None, MEAN, MLP, normalization="per_modality", training=LONG_COSINE),
)

TABLE = Table(
    title="Best models on video-level features",
    conclusion="",
    baseline=BASELINE,
    rows=(
        Row(BASELINE, None, MEAN, MOE_2),
        Row("MoE-2, cosine, asymmetric", None, MEAN, MOE_2, loss=Slot("asymmetric"), training=COSINE),
        *MEMBERS,
    ),
    # Without the asymmetric loss, whose scores are not probabilities, so that an average would mix two scales.
    ensembles={"Average of three": tuple(row.name for row in MEMBERS)},
)
