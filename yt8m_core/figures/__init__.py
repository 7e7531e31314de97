"""Figures of the app and the notebooks: pure functions from a table or an array to a plotly figure.

The subtitle of each figure names the scale that produced its numbers, for example "demo world". Color is never the
only distinction: symbols, patterns, dashes, or texts repeat it. Text is dark on white; the app adapts both to its
theme.
"""

from yt8m_core.figures.ablations import differences, gain_by_setting
from yt8m_core.figures.attribution import (
    SYMBOLS,
    experts,
    label_contributions,
    run_comparison,
    second_contributions,
    threshold_curve,
)
from yt8m_core.figures.cooccurrence import correlation_overview, expected_vs_observed, gap_by_weight
from yt8m_core.figures.correlation_readings import correlation_readings
from yt8m_core.figures.ensembles import gap_by_members
from yt8m_core.figures.label_counts import LARGEST_WINDOW, correlation, cumulative_share, rank_frequency
from yt8m_core.figures.label_precision import gain_by_band, gain_by_label, noise_strength, precision_by_label
from yt8m_core.figures.occlusion import (
    attention_comparison,
    attention_excess,
    frame_overview,
    partial_predictions,
    window_occlusion,
)
from yt8m_core.figures.reliability import reliability_diagram
from yt8m_core.figures.run_differences import precision_by_run, video_precision_by_run
from yt8m_core.figures.runs import gap_intervals, learning_curve, update_ratio
from yt8m_core.figures.segments import segment_scores
from yt8m_core.figures.video import attention, frame_similarity, predictions
from yt8m_core.figures.video_map import video_map_by_outcome, video_map_by_precision

__all__ = [
    "LARGEST_WINDOW",
    "SYMBOLS",
    "attention",
    "attention_comparison",
    "attention_excess",
    "correlation",
    "correlation_overview",
    "correlation_readings",
    "cumulative_share",
    "differences",
    "expected_vs_observed",
    "experts",
    "frame_overview",
    "frame_similarity",
    "gain_by_band",
    "gain_by_label",
    "gain_by_setting",
    "gap_by_members",
    "gap_by_weight",
    "gap_intervals",
    "label_contributions",
    "learning_curve",
    "noise_strength",
    "partial_predictions",
    "precision_by_label",
    "precision_by_run",
    "predictions",
    "rank_frequency",
    "reliability_diagram",
    "run_comparison",
    "second_contributions",
    "segment_scores",
    "threshold_curve",
    "update_ratio",
    "video_map_by_outcome",
    "video_map_by_precision",
    "video_precision_by_run",
    "window_occlusion",
]
