"""A run on one video: its prediction, and what the charts of the attention and predictions pages draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.explain import attention_metrics, attention_study, localization, occlusion, segment_table
from yt8m_core.explain.attribution import Attribution, attribute_label
from yt8m_core.inference.prediction import Prediction, predict_video
from yt8m_core.models.classifier import VideoClassifier


@dataclass(frozen=True)
class VideoInspection:
    """A video and a model. ``Inspection.video`` opens it by its id.

    Attributes:
        model: Model, in evaluation mode.
        vocabulary: Names of the labels that the model scores.
        id: Id of the video.
        frames: Frames as stored [T, D].
        true_labels: Its true labels; None if unknown.
        main_scene: Its true main scene as intervals of frames; None if unknown.
    """

    model: VideoClassifier
    vocabulary: Vocabulary
    id: str
    frames: NDArray[Any]
    true_labels: list[int] | None
    main_scene: list[tuple[int, int]] | None

    @cached_property
    def prediction(self) -> Prediction:
        """The prediction of the model."""
        return predict_video(self.model, self.frames)

    @property
    def ranking(self) -> pd.DataFrame:
        """All labels by descending probability (``Prediction.ranking``)."""
        true_labels = None if self.true_labels is None else tuple(self.true_labels)
        return self.prediction.ranking(self.vocabulary, true_labels)

    def attribution(self, label: int) -> Attribution:
        """Explain the score of a label (``attribute_label``)."""
        return attribute_label(self.model, self.frames, label)

    def segment_table(self, label: int) -> pd.DataFrame:
        """Return the probability of a label in each segment of five frames (``segment_table.segment_table``)."""
        scores = localization.score_segments(self.model, self.frames)[:, label]
        return segment_table.segment_table(scores, len(self.frames), self.prediction.attention)

    def label_contributions(self, label: int) -> pd.DataFrame | None:
        """Return the contributions of other labels to the score of a label, with names; None if there are none."""
        table = self.attribution(label).label_contributions
        return None if table is None else table.assign(name=self._names(table["label"].tolist()))

    # --- attention

    @cached_property
    def _prepared(self) -> NDArray[np.float32]:
        return attention_study.prepared_frames(self.model, self.frames)

    @property
    def similarity(self) -> attention_metrics.Similarity:
        """The cosine similarity of each pair of frames, as the pooling sees them."""
        return attention_metrics.similarity(self._prepared)

    def clusters(self, clusters: int) -> NDArray[np.int64]:
        """Return the cluster of each frame [T], 0 for the largest."""
        return attention_metrics.k_means(self._prepared, clusters)

    def sharpened(self, alpha: float) -> Prediction:
        """Predict the video with a different α of the attention."""
        return predict_video(attention_study.with_sharpness(self.model, alpha), self.frames)

    # --- occlusion

    @cached_property
    def labels_of_interest(self) -> list[int]:
        """Labels that the tables of partial predictions list (``occlusion.labels_of_interest``)."""
        return occlusion.labels_of_interest(self.prediction.probabilities, self.true_labels)

    def top_parts(self, count: int) -> dict[str, NDArray[np.float32]]:
        """Predict without, and from only, the ``count`` frames of highest weight and as many random ones.

        Returns:
            Probabilities [C] by part: whole, without_top, top_alone, without_random and random_alone. Those of random
            frames are means.
        """
        removal = occlusion.remove_top_frames(self.model, self.frames, self.prediction.weights, count)
        return {
            "whole": removal.whole,
            "without_top": removal.without_top,
            "top_alone": removal.top_alone,
            "without_random": removal.without_random.mean(axis=0),
            "random_alone": removal.random_alone.mean(axis=0),
        }

    def second_parts(self, second: int) -> dict[str, NDArray[np.float32]]:
        """Predict without one frame, and from it alone: probabilities [C] by part whole, without and alone."""
        others = np.delete(np.arange(len(self.frames)), second)
        without, alone = occlusion.predict_parts(self.model, self.frames, [others, np.array([second])])
        return {"whole": self.prediction.probabilities, "without": without, "alone": alone}

    def part_table(self, parts: Mapping[str, NDArray[np.float32]]) -> pd.DataFrame:
        """Return label, name, true and the probability from each part, of the labels of interest."""
        labels, true_labels = self.labels_of_interest, self.true_labels
        is_true = [pd.NA if true_labels is None else label in true_labels for label in labels]
        table = pd.DataFrame({"label": labels, "name": self._names(labels), "true": pd.array(is_true, dtype="boolean")})
        return table.assign(**{part: p[labels] for part, p in parts.items()})

    def window_drops(self, width: int) -> pd.DataFrame:
        """Return the drop in mean probability without each window of frames, in columns start, end and drop.

        The mean is over the true labels if known, otherwise over the labels of interest.
        """
        result = occlusion.occlude_windows(self.model, self.frames, width)
        ends = np.minimum(result.starts + width, len(self.frames))
        drops = result.drops(self.true_labels or self.labels_of_interest)
        return pd.DataFrame({"start": result.starts, "end": ends, "drop": drops})

    def _names(self, labels: Sequence[int]) -> list[str]:
        return [self.vocabulary.name(label) for label in labels]
