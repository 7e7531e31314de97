"""The line in code: the paper's Figure 1 (https://arxiv.org/abs/1706.07960), I → g → O_g → h → O_h → C → O_c."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.normalization import NORMALIZATIONS, normalize
from yt8m_core.models.outputs import Pooled, Scores
from yt8m_core.models.pooling.base import PooledOnce
from yt8m_core.models.registry import build, takes_frames

Choice = tuple[str, Mapping[str, Any]]  # a method's name in its slot, and its options
NO_POOLING: Choice = ("none", {})  # what stands before a classification that takes the frames themselves


class Trace(NamedTuple):
    """What passed between the slots."""

    attention: Tensor | None  # [B, T], of a pooling that attends
    vector: Tensor | None  # [B, d], O_g; None where the classification takes the frames themselves
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
        fusion: Choice = ("concat", {}),
        normalization: str = "joint",
    ) -> None:
        """Build each slot through the registry.

        Args:
            streams: name and width of each feature stream; D is their sum.
            num_classes: C, from the vocabulary or the index.
            pooling: name and options of g; "none" before a classification that takes the frames themselves.
            classification: name and options of h.
            label_processing: name and options of C.
            fusion: name and options of what joins the streams of a frame (section 2.1).
            normalization: how frames become unit vectors (``features.normalize``).

        Raises:
            UserError: a name, an option or its value is unknown or refused.
        """
        super().__init__()
        check_choice("normalization", normalization, NORMALIZATIONS)
        self.streams = tuple(streams)
        self.normalization = normalization
        self.fusion = build("fusion", *fusion, streams=self.streams)
        self.recipe = f"{normalization}, {fusion[0]} {dict(fusion[1])}"  # of the frames that the pooling sees
        in_features = cast(int, self.fusion.out_features)
        self.pooling = None
        if not takes_frames(classification[0]):
            self.pooling = build("pooling", *pooling, in_features=in_features, num_classes=num_classes)
            in_features = cast(int, self.pooling.out_features)
        elif pooling != NO_POOLING:
            raise UserError(
                f"pooling '{pooling[0]}' before classification '{classification[0]}'",
                expected="pooling 'none', since this classification takes the frames themselves",
            )
        self.classification = build("classification", *classification, in_features=in_features, num_classes=num_classes)
        self.label_processing = build("label_processing", *label_processing, num_classes=num_classes)

    def fit_label_prior(self, labels: csr_array) -> None:
        """Show the training split's labels [N, C] to the methods that use them as a prior, before they are trained."""
        for module in self.modules():
            if module is not self and (fit_label_prior := getattr(module, "fit_label_prior", None)):
                fit_label_prior(labels)

    def prepare(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, D] as stored and num_frames [B] → what the pooling sees, [B, T, D of the fusion], and mask."""
        frames, mask = normalize(frames, num_frames, streams=self.streams, mode=self.normalization)
        return self.fusion(frames, mask), mask

    def summarize(self, frames: Tensor, num_frames: Tensor) -> Pooled:
        """Frames [B, T, D] as stored and num_frames [B] → summaries [B, s] of a pooling that pools once."""
        return cast(PooledOnce, self.pooling).summarize(*self.prepare(frames, num_frames))

    def forward(self, frames: Tensor, num_frames: Tensor, targets: Tensor | None = None) -> tuple[Scores, Trace]:
        """Frames [B, T, D] as stored and num_frames [B] → scores [B, C], and the steps on the way.

        In the place of the frames there may be their summaries [B, s]; the trace is then without attention.
        ``targets`` [B, C] go to the pooling alone: adaptive noise needs them while it trains.
        """
        if self.pooling is None or frames.ndim == 3:
            return self.score(*self.prepare(frames, num_frames), targets)
        vector = cast(PooledOnce, self.pooling).finish(frames, num_frames, targets)
        return self._scores_of(self.classification(vector), vector, None)

    def score(self, frames: Tensor, mask: Tensor, targets: Tensor | None = None) -> tuple[Scores, Trace]:
        """Frames [B, T, D of the fusion] and mask [B, T], as ``prepare`` gives them → what ``forward`` returns."""
        if self.pooling is None:
            return self._scores_of(self.classification(frames, mask), None, None)
        vector, attention = self.pooling(frames, mask, targets)
        return self._scores_of(self.classification(vector), vector, attention)

    def _scores_of(self, classified: Scores, vector: Tensor | None, attention: Tensor | None) -> tuple[Scores, Trace]:
        processed: Scores = self.label_processing(classified)
        return processed, Trace(attention, vector, classified, processed)
