"""Predict the labels of the videos in a feature file: .npz, MediaPipe's features.pb, Parquet, and more."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.feature_check.profile import mean_frame_norm, split_streams
from yt8m_core.data.feature_check.scale import MAX_RATIO
from yt8m_core.data.features.fit import UploadedVideo, fit_to_model
from yt8m_core.data.importer.sources import find_parts
from yt8m_core.inference.compute import choose_compute
from yt8m_core.inference.prediction import Prediction, predict_video
from yt8m_core.runs.run import Run


@dataclass(frozen=True)
class PredictedVideo:
    """Prediction for one video of a feature file.

    Attributes:
        id: id of the video, or the name of its file.
        prediction: probabilities of all labels, and the attention.
        notes: what was converted, and what is unusual about the features.
        run: the run that predicted.
    """

    id: str
    prediction: Prediction
    notes: tuple[str, ...]
    run: Run

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the names and probabilities of the most probable labels."""
        ranking = self.prediction.ranking(self.run.vocabulary).head(count)
        return list(zip(ranking["name"].tolist(), ranking["probability"].tolist(), strict=True))

    def to_dict(self, count: int = 5) -> dict[str, Any]:
        """Return the id, the most probable labels and the notes as plain values for JSON."""
        ranking = self.prediction.ranking(self.run.vocabulary).head(count)
        labels = ranking[["label", "name", "probability"]].to_dict("records")
        return {"id": self.id, "labels": labels, "notes": list(self.notes)}


def predict_file(run: Run, features: str | Path) -> Iterator[PredictedVideo]:
    """Yield the predictions of a run for the videos of a feature file, or of a folder of them.

    >>> import tempfile
    >>> import numpy as np
    >>> from yt8m_core import Experiment, Slot, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> run = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> np.savez(folder / "clip.npz", rgb=np.zeros((9, 1024), np.uint8), audio=np.zeros((9, 128), np.uint8))
    >>> [(video.id, len(video.top(3))) for video in predict_file(run, folder / "clip.npz")]
    [('clip', 3)]

    Args:
        run: finished run.
        features: any file that ``yt8m import`` takes, with the streams of the run.

    Raises:
        UserError: the run has no weights, or a file cannot be read or does not have the streams of the run.
    """
    model = run.load_model(choose_compute().device)
    for part in find_parts(Path(features)):
        for contents in part.read():
            for video in fit_to_model(contents, run.facts.schema, run.experiment.data.max_frames, Path(part.name).name):
                yield PredictedVideo(
                    video.id, predict_video(model, video.frames), (*video.notes, *_scale_notes(run, video)), run
                )


def _scale_notes(run: Run, video: UploadedVideo) -> Iterator[str]:
    """Say which streams have another scale than the training videos of the run."""
    streams: dict[str, NDArray[Any]] = split_streams(video.frames, run.facts.schema)
    for (name, values), expected in zip(streams.items(), run.facts.feature_norms, strict=False):
        norm = mean_frame_norm(values)
        is_filled = any(f"no '{name}'" in note for note in video.notes)
        if expected and not is_filled and not 1 / MAX_RATIO <= norm / expected <= MAX_RATIO:
            yield (
                f"'{name}' has a mean norm of {norm:.3g}, but {expected:.3g} in the training videos: another scale or "
                "extractor, so the predictions are probably meaningless."
            )
