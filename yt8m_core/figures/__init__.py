"""The pictures of the app and the notebooks: pure functions from a table or an array to a plotly figure.

Every figure says in its subtitle which scale made its numbers, for example "demo world". Color is never the only
sign: symbols, patterns, dashes or texts say the same. Backgrounds are transparent, for light pages and dark ones.
"""

from yt8m_core.figures.ablations import differences, gain
from yt8m_core.figures.attribution import SYMBOLS, experts, partners, seconds, side_by_side, threshold_curve
from yt8m_core.figures.cooccurrence import against_truth, gap_by_weight, overview
from yt8m_core.figures.label_counts import LARGEST_WINDOW, correlation, cumulative_share, rank_frequency
from yt8m_core.figures.label_precision import gain_by_band, gain_by_label, noise_strength, precision_by_label
from yt8m_core.figures.occlusion import excess, frames, left_out, parts, two_attentions
from yt8m_core.figures.runs import intervals, learning_curve
from yt8m_core.figures.video import attention, predictions

__all__ = [
    "LARGEST_WINDOW",
    "SYMBOLS",
    "against_truth",
    "attention",
    "correlation",
    "cumulative_share",
    "differences",
    "excess",
    "experts",
    "frames",
    "gain",
    "gain_by_band",
    "gain_by_label",
    "gap_by_weight",
    "intervals",
    "learning_curve",
    "left_out",
    "noise_strength",
    "overview",
    "partners",
    "parts",
    "precision_by_label",
    "predictions",
    "rank_frequency",
    "seconds",
    "side_by_side",
    "threshold_curve",
    "two_attentions",
]
