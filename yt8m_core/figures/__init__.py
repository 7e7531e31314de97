"""The pictures of the app and the notebooks: pure functions from a table or an array to a plotly figure.

Every figure says in its subtitle which scale made its numbers, for example "demo world". Colour is never the only
sign: symbols, patterns, dashes or texts say the same. Backgrounds are transparent, for light pages and dark ones.
"""

from yt8m_core.figures.ablations import differences, gain
from yt8m_core.figures.labels import LARGEST_WINDOW, correlation, rank_frequency
from yt8m_core.figures.runs import intervals, learning_curve
from yt8m_core.figures.video import attention, predictions
from yt8m_core.figures.why import SYMBOLS, experts, partners, seconds, side_by_side, threshold_curve

__all__ = [
    "LARGEST_WINDOW",
    "SYMBOLS",
    "attention",
    "correlation",
    "differences",
    "experts",
    "gain",
    "intervals",
    "learning_curve",
    "partners",
    "predictions",
    "rank_frequency",
    "seconds",
    "side_by_side",
    "threshold_curve",
]
