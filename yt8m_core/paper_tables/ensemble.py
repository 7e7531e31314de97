"""The ensemble (section 3.3): a simple average of several models, for which the paper gives 0.839 and no members.

"We did not get a significant performance increase if we combine the better single models. Rather, […] the models
incorporated should be as diverse as possible." The strong members here are the three best rows of Table 1 by the
paper's own numbers, all of them LSTMs; the diverse ones are the best LSTM, the best MLP and the best CNN.
"""

from dataclasses import replace

from yt8m_core.paper_tables import classification, pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Table

STRONG = ("LSTM-M-O", "LSTM-M", "LSTM-M-O-LN")
MLP = classification.TABLE.row("3 Layer MLP-4096-LN")
MLP_AND_CNN = (replace(MLP, name="Indirect Clustering + MLP"), pooling.TABLE.row("CNN-256"))
STRONG_ONES, DIVERSE_ONES = "Ensemble of strong members", "Ensemble of diverse members"

TABLE = Table(
    title="Section 3.3: ensembles",
    claim="An average of models beats each of them, and gains more from members that differ than from strong ones.",
    baseline=STRONG[0],
    rows=(*(pooling.TABLE.row(name) for name in STRONG), *MLP_AND_CNN),
    ensembles={STRONG_ONES: STRONG, DIVERSE_ONES: (STRONG[0], *(row.name for row in MLP_AND_CNN))},
    ledger=(
        Claim("The ensemble beats the best single model.", "section 3.3", ((DIVERSE_ONES, STRONG[0]),)),
        Claim("Strong members alone gain little.", "section 3.3", ((STRONG_ONES, STRONG[0]),), says="alike"),
        Claim("Diverse members gain more than strong ones.", "section 3.3", ((DIVERSE_ONES, STRONG_ONES),)),
    ),
    frames=True,
)
