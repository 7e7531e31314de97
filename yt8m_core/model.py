"""The line in code: the paper's Figure 1 (https://arxiv.org/abs/1706.07960), I → g → O_g → h → O_h → C → O_c."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from yt8m_core.contracts import Pooled, Scores
from yt8m_core.errors import check_choice
from yt8m_core.features import NORMALISATIONS, normalise
from yt8m_core.registry import build

Choice = tuple[str, Mapping[str, Any]]  # a method's name in its slot, and its options


class Trace(NamedTuple):
    """What passed between the slots."""

    attention: Tensor | None  # [B, T], of a pooling that attends
    vector: Tensor  # [B, d], O_g
    classified: Scores  # [B, C], O_h
    processed: Scores  # [B, C], O_c


class VideoClassifier(nn.Module):
    """Video pooling g, classification h and label processing C, each chosen by name; the loss stands outside.

    >>> import torch
    >>> model = VideoClassifier(
    ...     streams=[("rgb", 4), ("audio", 2)],
    ...     num_classes=3,
    ...     pooling=("indirect_clustering", {}),
    ...     classification=("moe", {"experts": 16}),
    ...     label_processing=("identity", {}),
    ... )
    >>> scores, trace = model(torch.zeros(8, 300, 6, dtype=torch.uint8), num_frames=torch.full([8], 230))
    >>> scores.p.shape, trace.attention.shape
    (torch.Size([8, 3]), torch.Size([8, 300]))
    """

    def __init__(
        self,
        *,
        streams: Sequence[tuple[str, int]],
        num_classes: int,
        pooling: Choice,
        classification: Choice,
        label_processing: Choice,
        normalisation: str = "joint",
    ) -> None:
        """Build each slot through the registry.

        Args:
            streams: name and width of each feature stream; D is their sum.
            num_classes: C, from the vocabulary or the index.
            pooling: name and options of g.
            classification: name and options of h.
            label_processing: name and options of C.
            normalisation: how frames become unit vectors (``features.normalise``).

        Raises:
            UserError: a name, an option or its value is unknown or refused.
        """
        super().__init__()
        check_choice("normalisation", normalisation, NORMALISATIONS)
        self.streams = tuple(streams)
        self.normalisation = normalisation
        in_features = sum(width for _, width in streams)
        self.pooling = build("pooling", *pooling, in_features)
        self.classification = build(
            "classification", *classification, cast(int, self.pooling.out_features), num_classes
        )
        self.label_processing = build("label_processing", *label_processing, num_classes)

    def forward(self, frames: Tensor, num_frames: Tensor, targets: Tensor | None = None) -> tuple[Scores, Trace]:
        """Frames [B, T, D] as stored and num_frames [B] → scores [B, C], and the steps on the way.

        ``targets`` [B, C] go to the pooling alone: adaptive noise needs them while it trains.
        """
        frames, mask = normalise(frames, num_frames, streams=self.streams, mode=self.normalisation)
        pooled: Pooled = self.pooling(frames, mask, targets)
        classified: Scores = self.classification(pooled.vector)
        processed: Scores = self.label_processing(classified)
        return processed, Trace(pooled.attention, pooled.vector, classified, processed)
