"""Video classifier: the paper's Figure 1, I → g → O_g → h → O_h → C → O_c (https://arxiv.org/abs/1706.07960)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.normalization import NORMALIZATIONS, normalize
from yt8m_core.models.outputs import Pooled, Scores
from yt8m_core.models.pooling.base import CacheablePooling
from yt8m_core.models.registry import build, takes_frames

Method = tuple[str, Mapping[str, Any]]  # registry name and options
NO_POOLING: Method = ("none", {})  # the pooling of a classification that takes frames


class Trace(NamedTuple):
    """Intermediate results of a forward pass."""

    attention: Tensor | None  # [B, T], if the pooling has attention
    vector: Tensor | None  # [B, d], O_g; None if the classification takes frames
    raw_scores: Scores  # [B, C], O_h, before label processing
    scores: Scores  # [B, C], O_c, after label processing


class VideoClassifier(nn.Module):
    """Video pooling g, classification h and label processing C, each chosen by name. The loss is separate.

    >>> import torch
    >>> model = VideoClassifier(
    ...     streams=[("rgb", 4), ("audio", 2)],
    ...     num_classes=3,
    ...     pooling=("indirect_clustering", {}),
    ...     classification=("moe", {"experts": 16}),
    ...     label_processing=("identity", {}),
    ... )
    >>> frames = torch.zeros(8, 300, 6, dtype=torch.uint8)  # [B, T, D]
    >>> scores, trace = model(frames, num_frames=torch.full([8], 230))
    >>> scores.p.shape, trace.attention.shape
    (torch.Size([8, 3]), torch.Size([8, 300]))
    """

    def __init__(
        self,
        *,
        streams: Sequence[tuple[str, int]],
        num_classes: int,
        pooling: Method,
        classification: Method,
        label_processing: Method,
        fusion: Method = ("concat", {}),
        normalization: str = "joint",
    ) -> None:
        """Build the method of each slot.

        Args:
            streams: Name and width of each feature stream; D is the sum of the widths.
            num_classes: C, from the vocabulary or the index.
            pooling: Name and options of g; "none" for a classification that takes frames.
            classification: Name and options of h.
            label_processing: Name and options of C.
            fusion: Name and options of the method that combines the streams of a frame (section 2.1).
            normalization: Normalization of the frames; see ``normalize``.

        Raises:
            UserError: A name or option is unknown, or the value of an option is invalid.
        """
        super().__init__()
        check_choice("normalization", normalization, NORMALIZATIONS)
        self.streams = tuple(streams)
        self.normalization = normalization
        self.fusion = build("fusion", *fusion, streams=self.streams)
        self.preprocessing = f"{normalization}, {fusion[0]} {dict(fusion[1])}"  # part of the key of cached summaries
        in_features = cast(int, self.fusion.out_features)
        self.pooling = None
        if not takes_frames(classification[0]):
            self.pooling = build("pooling", *pooling, in_features=in_features, num_classes=num_classes)
            in_features = cast(int, self.pooling.out_features)
        elif pooling != NO_POOLING:
            raise UserError(
                f"pooling '{pooling[0]}' before classification '{classification[0]}'",
                expected="pooling 'none', because this classification takes frames",
            )
        self.classification = build("classification", *classification, in_features=in_features, num_classes=num_classes)
        self.label_processing = build(
            "label_processing",
            *label_processing,
            num_classes=num_classes,
            embedding_features=self.classification.embedding_features,
        )

    def preprocess(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, D] as stored and num_frames [B] → normalized, fused frames [B, T, D'] and mask [B, T].

        D' is the width of the fusion, D for ``concat``.
        """
        frames, mask = normalize(frames, num_frames, streams=self.streams, mode=self.normalization)
        return self.fusion(frames, mask), mask

    def summarize(self, frames: Tensor, num_frames: Tensor) -> Pooled:
        """Frames [B, T, D] as stored and num_frames [B] → summaries [B, s] of a ``CacheablePooling``."""
        return cast(CacheablePooling, self.pooling).summarize(*self.preprocess(frames, num_frames))

    def forward(self, frames: Tensor, num_frames: Tensor, targets: Tensor | None = None) -> tuple[Scores, Trace]:
        """Compute scores and intermediate results.

        Args:
            frames: [B, T, D] as stored; or the summaries [B, s] of a ``CacheablePooling``, without attention in the
                trace.
            num_frames: [B].
            targets: [B, C], passed to the pooling only: adaptive noise needs them during training.

        Returns:
            Scores [B, C] and the trace.
        """
        if self.pooling is None or frames.ndim == 3:
            return self.score(*self.preprocess(frames, num_frames), targets)
        vector = cast(CacheablePooling, self.pooling).finish(frames, num_frames, targets)
        return self._process_labels(self.classification(vector), vector, None)

    def score(self, frames: Tensor, mask: Tensor, targets: Tensor | None = None) -> tuple[Scores, Trace]:
        """Frames [B, T, D'] and mask [B, T] from ``preprocess`` → the output of ``forward``."""
        if self.pooling is None:
            return self._process_labels(self.classification(frames, mask), None, None)
        vector, attention = self.pooling(frames, mask, targets)
        return self._process_labels(self.classification(vector), vector, attention)

    def _process_labels(
        self, raw_scores: Scores, vector: Tensor | None, attention: Tensor | None
    ) -> tuple[Scores, Trace]:
        scores: Scores = self.label_processing(raw_scores)
        return scores, Trace(attention, vector, raw_scores, scores)
