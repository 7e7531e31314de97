"""Test the paper's claims against measured differences: supported, contradicted or inconclusive."""

from collections.abc import Sequence

import pandas as pd

from yt8m_core.ablation.recipe import SCALES
from yt8m_core.ablation.runner import Ablation
from yt8m_core.metrics.bootstrap import Estimate
from yt8m_core.paper_tables.claims import SMALL_DIFFERENCE

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
VERDICTS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE)
COLUMNS = ("claim", "source", "verdict", "evidence", "table", "scale", "data")


def claim_verdict(expects: str, differences: Sequence[Estimate]) -> str:
    """Return the verdict on a claim from the differences of its pairs.

    A claim is contradicted if the whole interval of one pair is on the opposite side, and supported if the whole
    interval of every pair is on its side. "similar" needs whole intervals within ±``SMALL_DIFFERENCE``.

    >>> claim_verdict("better", [Estimate(0.02, 0.01, 0.03), Estimate(0.01, -0.01, 0.03)])
    'inconclusive'
    >>> claim_verdict("similar", [Estimate(0.001, -0.001, 0.003)])
    'supported'
    """
    verdicts = [_pair_verdict(expects, difference) for difference in differences]
    return next((verdict for verdict in (CONTRADICTED, INCONCLUSIVE) if verdict in verdicts), SUPPORTED)


def _pair_verdict(expects: str, difference: Estimate) -> str:
    _, low, high = difference
    if expects == "worse":
        low, high = -high, -low
    if expects == "similar":
        supported = low > -SMALL_DIFFERENCE and high < SMALL_DIFFERENCE
        contradicted = low >= SMALL_DIFFERENCE or high <= -SMALL_DIFFERENCE
    else:
        supported, contradicted = low > 0, high < 0
    return SUPPORTED if supported else CONTRADICTED if contradicted else INCONCLUSIVE


def check_claims(ablation: Ablation) -> pd.DataFrame:
    """Return the claims of a table: ``COLUMNS``. A claim about a row that was not trained is inconclusive.

    ``evidence`` is a list of texts: the difference of each pair.
    """
    rows = []
    for claim in ablation.table.claims:
        is_trained = all(row in ablation.row_gaps for pair in claim.pairs for row in pair)
        pairs = claim.pairs if is_trained else ()
        differences = [ablation.row_gaps[row].minus(ablation.row_gaps[reference]) for row, reference in pairs]
        evidence = [format_evidence(*pair, difference) for pair, difference in zip(pairs, differences, strict=True)]
        rows.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "verdict": claim_verdict(claim.expects, differences) if is_trained else INCONCLUSIVE,
                "evidence": evidence or ["not all rows were trained"],
                "table": ablation.name,
                "scale": SCALES[ablation.scale],
                "data": ablation.source.name,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def format_evidence(row: str, reference: str, difference: Estimate) -> str:
    """Return the difference of a pair as text.

    >>> format_evidence("CNN-256", "LSTM", Estimate(-0.06, -0.0782, -0.0415))
    'CNN-256 vs. LSTM: −0.0600 [−0.0782, −0.0415]'
    """
    if difference == Estimate(0, 0, 0):
        return f"{row} vs. {reference}: 0 (identical predictions)"
    return f"{row} vs. {reference}: {format_difference(difference)}"


def format_difference(difference: Estimate) -> str:
    """Return a difference with its 95% CI, to four digits: a paired difference is more precise than either GAP.

    >>> format_difference(Estimate(-0.2, -0.21, -0.19))
    '−0.2000 [−0.2100, −0.1900]'
    """
    value, low, high = (f"{number:+.4f}".replace("-", "−") for number in difference)
    return f"{value} [{low}, {high}]"
