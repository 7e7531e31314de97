"""A run on a data set: the tables and arrays that the charts of the app draw, each computed on first use."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from yt8m_core.analysis import per_label
from yt8m_core.analysis.data_labels import Labels, count_labels, name_pairs
from yt8m_core.analysis.label_mixing import MixingTerms, mixing_terms
from yt8m_core.analysis.learned_correlation import (
    MATRIX_KINDS,
    CorrelationMatrices,
    correlation_matrices,
    trained_matrix,
)
from yt8m_core.analysis.noise_strength import PAPER_OPTIONS, noise_options, noise_strength
from yt8m_core.analysis.pair_calibration import compare_with_truth
from yt8m_core.analysis.thresholds import ThresholdCounts, threshold_counts
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.scale import SCALE_NAMES, detect_scale, find_demo_world
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.explain.attention_study import study_attention
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import CachedScores, load_scores
from yt8m_core.inspection.video import VideoInspection
from yt8m_core.labels import clustering, cooccurrence
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.label_processing.correlation_matrix import correlation_matrix
from yt8m_core.runs.run import Run


class Inspection:
    """A data set and a run on it, with the tables and arrays that the charts of the app draw.

    "Copy as Python" in the app opens the run and the data set of a chart as ``view``. Everything is computed on first
    use and kept; scores come from the cache of the workspace, which the app shares.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Inspection, Slot, figures, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> _ = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> view = Inspection(folder / "run", folder / "data" / "validation")
    >>> len(view.videos), view.scale, view.label_counts["count"].is_monotonic_decreasing
    (32, 'demo world', True)
    >>> figure = figures.precision_by_label(view.label_table, view.precision_by_frequency, minimum=10, scale=view.scale)
    >>> figure.layout.title.text
    'Average precision by label'

    Args:
        run: A run folder; None for the members that need the data set only.
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
    """

    def __init__(self, run: str | Path | None, data: str | Path) -> None:
        self.data = str(data)
        self._run = None if run is None else Run.open(run)

    @property
    def run(self) -> Run:
        """The run. Raises UserError without one."""
        if self._run is None:
            raise UserError("no run", where=f"Inspection(None, {self.data!r})", expected="a run folder")
        return self._run

    # --- the data set

    @cached_property
    def videos(self) -> Videos:
        """The videos of the data set, whether or not they fit the run."""
        streams = () if self._run is None else self._run.experiment.data.streams
        if streams:
            with suppress(UserError):  # the data set has other streams than the run
                return open_videos(self.data, streams=streams)
        return open_videos(self.data)

    @cached_property
    def scale(self) -> str:
        """Which data the numbers are about, in words: demo world, sample or full data set."""
        return SCALE_NAMES[detect_scale(self.data, len(self.videos))]

    @cached_property
    def labels(self) -> Labels:
        """The labels of the videos as a matrix [labeled videos, C]. Raises UserError where no video has labels."""
        vocabulary = "" if self._run is None else self._run.experiment.data.vocabulary
        return count_labels(self.videos, self.data, vocabulary or None)

    @property
    def label_counts(self) -> pd.DataFrame:
        """The labels with their counts and frequency bands, most frequent first (``statistics.rank_frequency``)."""
        return self.labels.table

    def names(self, labels: Sequence[int]) -> list[str]:
        """Return the names of labels."""
        return [self.labels.vocabulary.name(label) for label in labels]

    @cached_property
    def cooccurrence(self) -> csr_array:
        """The number of videos of each pair of labels, sparse [C, C]."""
        return cooccurrence.count_pairs(self.labels.matrix)

    @cached_property
    def label_order(self) -> clustering.LabelOrder:
        """The labels that occur, in cluster order."""
        return clustering.label_order(self.cooccurrence, self.labels.num_videos)

    @property
    def clusters(self) -> pd.DataFrame:
        """The clusters of labels (``LabelOrder.clusters``), with the name of the most frequent label of each."""
        clusters = self.label_order.clusters
        return clusters.assign(name=self.names(clusters["label"].tolist()))

    def strongest_pairs(self, measure: str, minimum_support: int, label: int | None = None) -> pd.DataFrame:
        """Rank the pairs of labels with a minimum number of videos, or those of one label, strongest first.

        Args:
            measure: One of ``cooccurrence.MEASURES``.
            minimum_support: Minimum number of videos of a pair.
            label: Label that the pairs have.
        """
        pairs = cooccurrence.strongest_pairs(
            self.cooccurrence, self.labels.num_videos, measure, minimum_support, limit=self.cooccurrence.nnz
        )
        return pairs if label is None else pairs[(pairs["label_a"] == label) | (pairs["label_b"] == label)]

    def pair_matrix(self, labels: Sequence[int], measure: str, minimum_support: int) -> NDArray[np.float64]:
        """Return the association of some labels [L, L], NaN for pairs in fewer videos than the minimum support.

        Args:
            labels: Label ids [L].
            measure: One of ``cooccurrence.MEASURES``, or of ``MATRIX_KINDS`` for the matrix of the run.
            minimum_support: Minimum number of videos of a pair.
        """
        ids = np.asarray(labels, np.int64)
        if measure in MATRIX_KINDS:
            values = self.correlation_matrices.entries(measure, *np.ix_(ids, ids))
        else:
            values = cooccurrence.measure(self.cooccurrence, self.labels.num_videos, measure, ids)
        return clustering.mask_unsupported(values, self.cooccurrence, ids, minimum_support)

    def pooled_matrix(self, measure: str, minimum_support: int) -> NDArray[np.float64]:
        """Return the association of all labels in cluster order, pooled to [S, S]; arguments as ``pair_matrix``."""
        pairs = self.cooccurrence
        if measure in MATRIX_KINDS:
            values = self.correlation_matrices.supported(measure, pairs, minimum_support)
        else:
            values = cooccurrence.measure(pairs, self.labels.num_videos, measure)
            values = clustering.filter_by_support(values, pairs, minimum_support)
        return clustering.pool_matrix(values, self.label_order.labels)

    # --- the run

    @cached_property
    def model(self) -> VideoClassifier:
        """The trained model of the run."""
        return self.run.load_model()

    @cached_property
    def training(self) -> "Inspection":
        """The run on its training data."""
        return Inspection(self.run.path, self.run.experiment.data.train)

    @cached_property
    def correlation_matrices(self) -> CorrelationMatrices:
        """M_c and M'_c of the run. Raises UserError for a run whose label processing is not ``correlation``."""
        training = None
        with suppress(UserError):  # M_c may be stored in the run
            training = self.training.labels.matrix
        return correlation_matrices(self.model.label_processing, training)

    def noise_table(self, factor: float = 1.0) -> pd.DataFrame:
        """Return ``label_counts`` with γ of adaptive noise, times a factor (``noise_strength``).

        γ has the options of the run if it was trained with adaptive noise, else the paper's. Labels are counted in the
        training videos of the run; without a run with these labels whose training videos can be read, in this data set.
        """
        counted, options = self.labels.matrix, PAPER_OPTIONS
        if self._run is not None:
            options = noise_options(self._run.experiment.pooling)
            with suppress(UserError):
                training = self.training.labels.matrix
                counted = training if training.shape[1] == counted.shape[1] else counted
        width = self.videos.schema.width
        noise = noise_strength(counted, self.labels.matrix, width=width, options=options, factor=factor)
        return self.label_counts.merge(noise.table, on="label")

    # --- the run on the data set

    @cached_property
    def run_videos(self) -> Videos:
        """The videos of the data set as the run reads them. Raises UserError where they do not fit the run."""
        return open_run_data(self.run, self.data)

    @cached_property
    def scores(self) -> CachedScores:
        """The probabilities of the labeled videos, or of a sample, and the true labels."""
        return load_scores(self.run, self.run_videos)

    @cached_property
    def label_precision(self) -> pd.DataFrame:
        """The average precision of each label (``per_label.label_precision``)."""
        return per_label.label_precision(self.scores)

    @cached_property
    def label_table(self) -> pd.DataFrame:
        """``label_counts`` with positives and average precision; NaN for labels without positives."""
        return self.label_counts.merge(self.label_precision, on="label", how="left")

    @cached_property
    def precision_by_frequency(self) -> pd.DataFrame:
        """The average precision by label frequency (``per_label.precision_by_frequency``)."""
        return per_label.precision_by_frequency(self.label_table)

    def pair_calibration(self, first: ArrayLike, second: ArrayLike) -> pd.DataFrame:
        """Return observed and expected counts of pairs, with names (``pair_calibration.compare_with_truth``).

        Args:
            first: Label ids [P].
            second: The other label of each pair [P].
        """
        table = compare_with_truth(self.scores, np.asarray(first, np.int64), np.asarray(second, np.int64))
        return name_pairs(table, self.labels.vocabulary)

    @cached_property
    def mixing_terms(self) -> MixingTerms:
        """The parts of the scores that α, β and γ weight. Raises UserError if the training labels are gone."""
        matrix = correlation_matrix(self.training.labels.matrix, "cond_row").numpy()
        return mixing_terms(self.scores, matrix, trained_matrix(self.model))

    @cached_property
    def threshold_counts(self) -> ThresholdCounts:
        """Counts at every threshold (``thresholds.threshold_counts``)."""
        return threshold_counts(self.scores)

    # --- videos

    def attention_study(self, clusters: int) -> pd.DataFrame:
        """Return where the attention lies in each video (``attention_study.study_attention``)."""
        return study_attention(self.model, self.run_videos, clusters, scene=self.main_scene)

    def main_scene(self, video_id: str, num_frames: int) -> list[tuple[int, int]] | None:
        """Return the true main scene of a demo video as intervals of frames; None for any other video."""
        return None if self._truth is None else demo.main_scene(self._truth, video_id, num_frames)

    @cached_property
    def _truth(self) -> pd.DataFrame | None:
        world = find_demo_world(self.data)
        return None if world is None else demo.read_truth(world)

    def video(self, video_id: str) -> VideoInspection:
        """Open a video of the data set. Raises UserError where there is none with this id."""
        position = self.run_videos.find(video_id)
        if position is None:
            raise UserError(f"no video '{video_id}'", where=self.data, advice="Choose one of view.videos.ids.")
        videos = self.run_videos
        return VideoInspection(
            self.model,
            self.run.vocabulary,
            video_id,
            videos.frames(position),
            videos.labels(position).tolist() if videos.is_labeled[position] else None,
            self.main_scene(video_id, int(videos.num_frames[position])),
        )
