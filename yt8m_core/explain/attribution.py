"""Why a label of a video has its score: which seconds speak for it, which experts, and which other labels.

All of it says what the score reacts to, as the model is; whether the model is right about the video is another matter.
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
class Why:
    """What made the score of one label.

    Attributes:
        label: the label.
        classified: its probability after classification.
        processed: its probability after label processing.
        experts: of a mixture of experts, a row each: expert (from 1; 0 is the dummy, which always says no), gate,
            answer and part, gate · answer. The parts sum to ``classified``.
        partners: of a label processing that adds labels to each other, a row for each that adds something, largest
            first: label, score, fixed (β M_c), trained (γ M'_c) and added, the sum of both.
        space: what ``partners`` are added to: "prob", "logit" or "expert_logit"; "" without them.
        kept: α times the label's own score in that space, to which ``partners`` are added.
        seconds: [T], how much the log-odds of the label would fall if a second faded out, per share of it that fades;
            None for a video of one row, which is no course of time.
    """

    label: int
    classified: float
    processed: float
    experts: pd.DataFrame | None = None
    partners: pd.DataFrame | None = None
    space: str = ""
    kept: float = 0.0
    seconds: NDArray[np.float32] | None = None


def why(model: VideoClassifier, frames: NDArray[Any], label: int) -> Why:
    """Take one label's score apart: uint8 [T, D] as stored, or float32 [T, D] already dequantized.

    ``Why.seconds`` are gradients of log p/(1-p) along each frame vector, one pass back through the line for all
    seconds. After a mean and a logistic classification they are the second's exact share of the score; in general they
    hold for small changes. Dropping each second in turn would take T passes, minutes for a large recurrent model.
    """
    batch = torch.from_numpy(np.ascontiguousarray(frames))[None]  # [1, T, D]
    in_time = len(frames) > 1
    with torch.set_grad_enabled(in_time):
        with torch.no_grad():
            prepared, mask = model.prepare(batch, torch.tensor([len(frames)]))
        scores, trace = model.score(prepared.requires_grad_(in_time), mask)
        seconds = None
        if in_time:
            odds = scores.log_p[0, label] - scores.log_not_p[0, label]
            (gradient,) = torch.autograd.grad(odds, prepared)
            seconds = (gradient * prepared).sum(dim=2)[0].detach().numpy()
    with torch.no_grad():
        partners, space, kept = _partners(model, trace.classified, label)
        return Why(
            label,
            float(trace.classified.p[0, label]),
            float(scores.p[0, label]),
            None if trace.classified.mixture is None else _experts(trace.classified.mixture, label),
            partners,
            space,
            kept,
            seconds,
        )


def _experts(mixture: Mixture, label: int) -> pd.DataFrame:
    gates = mixture.log_gates[0, label].exp().double().numpy()  # [k or k + 1]
    answers = mixture.expert_logits[0, label].double().sigmoid().numpy()  # [k]
    numbers = np.arange(1, len(gates) + 1)
    if len(gates) > len(answers):
        answers, numbers[-1] = np.append(answers, 0.0), 0
    return pd.DataFrame({"expert": numbers, "gate": gates, "answer": answers, "part": gates * answers})


def _partners(model: VideoClassifier, scores: Scores, label: int) -> tuple[pd.DataFrame | None, str, float]:
    """What ``Why`` says of partners, space and kept."""
    processing: Any = model.label_processing
    if (added_to := getattr(processing, "added_to", None)) is None:
        return None, "", 0.0
    space: str = processing.space
    fixed, trained = (part[0].double().numpy() for part in added_to(label, scores))
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
    return table, space, processing.alpha * float(_own(scores, space)[0, label])


def _own(scores: Scores, space: str) -> Tensor:
    """The scores [B, C] that a label processing weighs; of experts the mean by their gates."""
    if space == "prob":
        return scores.p
    if space == "expert_logit" and scores.mixture is not None:
        log_gates, experts = scores.mixture
        return (log_gates[..., : experts.shape[2]].exp() * experts).sum(dim=2)
    return scores.log_p - scores.log_not_p
