"""Ensembles (section 3.3): an average of several models, reported with 0.839 and without its members.

"We did not get a significant performance increase if we combine the better single models. Rather, […] the models
incorporated should be as diverse as possible." The strong members here are the three best rows of Table 1 by the
paper's GAP, all LSTMs. The diverse members are the best LSTM, the best MLP and the best CNN.
"""

from dataclasses import replace

from yt8m_core.paper_tables import classification, pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Table

STRONG = ("LSTM-M-O", "LSTM-M", "LSTM-M-O-LN")
MLP = classification.TABLE.row("3 Layer MLP-4096-LN")
MLP_AND_CNN = (replace(MLP, name="Indirect Clustering + MLP"), pooling.TABLE.row("CNN-256"))
STRONG_ENSEMBLE, DIVERSE_ENSEMBLE = "Ensemble of strong members", "Ensemble of diverse members"
SOURCE = "section 3.3"

TABLE = Table(
    title="Section 3.3: ensembles",
    conclusion="An average of models beats each of them, and diverse members gain more than strong ones.",
    baseline=STRONG[0],
    rows=(*(pooling.TABLE.row(name) for name in STRONG), *MLP_AND_CNN),
    ensembles={STRONG_ENSEMBLE: STRONG, DIVERSE_ENSEMBLE: (STRONG[0], *(row.name for row in MLP_AND_CNN))},
    claims=(
        Claim("The ensemble beats the best single model.", SOURCE, ((DIVERSE_ENSEMBLE, STRONG[0]),)),
        Claim(
            "An ensemble of strong members gains little.", SOURCE, ((STRONG_ENSEMBLE, STRONG[0]),), expects="similar"
        ),
        Claim("Diverse members gain more than strong members.", SOURCE, ((DIVERSE_ENSEMBLE, STRONG_ENSEMBLE),)),
    ),
    frames=True,
)
