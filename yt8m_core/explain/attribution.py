"""Attribution of a label's score to the seconds of a video, the experts, and the other labels.

Attribution describes what the score depends on, not whether the model is right about the video.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.outputs import Mixture, Scores


@dataclass(frozen=True)
class Attribution:
    """Contributions to the score of one label.

    Attributes:
        label: The label.
        classified: Its probability after classification.
        processed: Its probability after label processing.
        experts: For a mixture of experts, one row per expert: expert (from 1; 0 is the dummy expert, whose probability
            is 0), gate, probability, and contribution = gate · probability. Contributions sum to ``classified``.
        label_contributions: For label processing that combines labels, one row per label with a nonzero contribution,
            largest first: label, score, fixed (β M_c), trained (γ M'_c), and added, the sum of both.
        space: Space in which labels are combined, one of ``Correlation``; "" if they are not.
        own_contribution: α times the label's own score in that space.
        second_contributions: Gradient · input of the log-odds for each second [T]: the decrease of the log-odds per
            fraction by which the second is scaled down. None for a video-level record, which has no time axis.
    """

    label: int
    classified: float
    processed: float
    experts: pd.DataFrame | None = None
    label_contributions: pd.DataFrame | None = None
    space: str = ""
    own_contribution: float = 0.0
    second_contributions: NDArray[np.float32] | None = None


def attribute_label(model: VideoClassifier, frames: NDArray[Any], label: int) -> Attribution:
    """Decompose the score of one label.

    ``Attribution.second_contributions`` is the gradient of log p/(1-p) with respect to each frame vector, times that
    vector; one backward pass covers all seconds. For mean pooling and logistic classification it is the exact
    contribution of each second; in general it is a first-order approximation. Occluding each second in turn would take
    T forward passes, minutes for a large recurrent model.

    Args:
        model: The model, in evaluation mode.
        frames: Frames [T, D], uint8 as stored or float32 already dequantized.
        label: The label.
    """
    batch = torch.from_numpy(np.ascontiguousarray(frames))[None]  # [1, T, D]
    has_time_axis = len(frames) > 1
    with torch.set_grad_enabled(has_time_axis):
        with torch.no_grad():
            prepared, mask = model.preprocess(batch, torch.tensor([len(frames)]))
        scores, trace = model.score(prepared.requires_grad_(has_time_axis), mask)
        second_contributions = None
        if has_time_axis:
            log_odds = scores.log_p[0, label] - scores.log_not_p[0, label]
            (gradient,) = torch.autograd.grad(log_odds, prepared)
            second_contributions = (gradient * prepared).sum(dim=2)[0].detach().numpy()
    with torch.no_grad():
        label_contributions, space, own_contribution = _label_contributions(model, trace.raw_scores, label)
        return Attribution(
            label,
            float(trace.raw_scores.p[0, label]),
            float(scores.p[0, label]),
            None if trace.raw_scores.mixture is None else _experts(trace.raw_scores.mixture, label),
            label_contributions,
            space,
            own_contribution,
            second_contributions,
        )


def _experts(mixture: Mixture, label: int) -> pd.DataFrame:
    gates = mixture.log_gates[0, label].exp().double().numpy()  # [k or k + 1]
    probabilities = mixture.expert_logits[0, label].double().sigmoid().numpy()  # [k]
    numbers = np.arange(1, len(gates) + 1)
    if len(gates) > len(probabilities):
        probabilities, numbers[-1] = np.append(probabilities, 0.0), 0
    return pd.DataFrame(
        {"expert": numbers, "gate": gates, "probability": probabilities, "contribution": gates * probabilities}
    )


def _label_contributions(model: VideoClassifier, scores: Scores, label: int) -> tuple[pd.DataFrame | None, str, float]:
    """Return the label_contributions, space, and own_contribution of ``Attribution``."""
    processing: Any = model.label_processing
    if (contributions := getattr(processing, "label_contributions", None)) is None:
        return None, "", 0.0
    space: str = processing.space
    fixed, trained = (term[0].double().numpy() for term in contributions(label, scores))
    table = pd.DataFrame(
        {
            "label": np.arange(len(fixed)),
            "score": scores.p[0].double().numpy(),
            "fixed": fixed,
            "trained": trained,
            "added": fixed + trained,
        }
    )
    table = table[table["added"] != 0]
    table = table.iloc[np.argsort(-table["added"].abs().to_numpy(), kind="stable")].reset_index(drop=True)
    return table, space, processing.alpha * float(_scores_in_space(scores, space)[0, label])


def _scores_in_space(scores: Scores, space: str) -> Tensor:
    """Return the scores [B, C] that label processing combines; for experts, the gate-weighted mean of their logits."""
    if space in ("prob", "average"):
        return scores.p
    if space == "expert_logit" and scores.mixture is not None:
        log_gates, experts = scores.mixture
        return (log_gates[..., : experts.shape[2]].exp() * experts).sum(dim=2)
    return scores.log_p - scores.log_not_p
