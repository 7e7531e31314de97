"""Experiments: data, slots, training settings and seed, frozen and convertible to JSON.

The JSON is the input of ``yt8m train --experiment``, a run folder's ``config.json`` and a row of a paper table. The
defaults are the paper's. The docstring of each field is its help text on the command line.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from yt8m_core.data.schema import MAX_WIDTH, UNLABELED_POLICIES, TrainedSegments
from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.slot import Slot
from yt8m_core.storage.address import check_address, is_address
from yt8m_core.storage.atomic import printable_name
from yt8m_core.storage.typed_json import check_number, read_fields

MAX_PATH = 4096  # characters
MAX_SEED = (1 << 32) - 1  # of NumPy
MAX_FOLDS = 1000
DATA_PATHS = ("train", "validation", "vocabulary")  # fields of Data


@dataclass(frozen=True)
class Data:
    """Data sets: each a shard, a folder of shards, or a glob; or the address of one, such as s3://bucket/train."""

    train: str
    """Training data: a shard, a folder of shards, or a glob, on a disk or at an address. Required, here or in the
    --experiment file."""
    validation: str
    """Validation data: a shard, a folder of shards, or a glob, on a disk or at an address. Required, here or in the
    --experiment file, unless there is a --fold."""
    vocabulary: str = ""
    """Vocabulary file with the label names. Default: the one next to the training data, if any."""
    streams: tuple[tuple[str, int], ...] = ()
    """Custom feature streams as name:width. Default: those of YouTube-8M and AudioSet are recognized."""
    max_frames: int = 300
    """Number of frames to use per video, from its start."""
    fold: str = ""
    """Validate on fold K of N of the training videos, written K/N, and train on the others. Replaces the validation
    data. The fold of a video depends only on its id."""
    unlabeled: str = "error"
    """Videos without labels: error, skip to leave them out, or negative if they have none of the labels."""
    segments: TrainedSegments = ""
    """Train on the rated segments of the videos (2019 edition) instead of the videos: rated. Labels that were not rated
    in a segment are unknown there, and have no part in the loss."""

    def __post_init__(self) -> None:
        """Validate the values. Raises UserError."""
        if self.fold:
            parse_fold(self.fold)
            object.__setattr__(self, "validation", "")
        for field in DATA_PATHS:
            _check_path(getattr(self, field), f"data, {field}")
        for _, width in self.streams:
            check_number(width, 1, MAX_WIDTH, where="data, streams")
        if len(dict(self.streams)) < len(self.streams):
            raise UserError("a stream twice", where="data, streams", expected="different names")
        check_number(self.max_frames, 1, where="data, max_frames")
        check_choice("unlabeled", self.unlabeled, UNLABELED_POLICIES, where="data")
        if self.segments:
            check_choice("segments", self.segments, ("rated",), where="data")

    @property
    def item(self) -> str:
        """The word for what is trained on, in the singular."""
        return "rated segment" if self.segments else "video"

    @property
    def validation_name(self) -> str:
        """Path of the validation data, or the fold of the training data in words.

        >>> Data("/shards/train", "", fold="2/5").validation_name
        'fold 2/5 of /shards/train'
        >>> Data("/shards/train", "/shards/validate", segments="rated").validation_name
        'rated segments of /shards/validate'
        """
        name = f"fold {self.fold} of {self.train}" if self.fold else self.validation
        return f"{self.segments} segments of {name}" if self.segments else name


def _check_path(path: str, where: str) -> None:
    if is_address(path):  # before its text is shown
        check_address(path)
    if "\0" in path or len(path) > MAX_PATH or printable_name(path) != path:
        raise UserError(ascii(path[:80]), where=where, expected="a path in Unicode")


def parse_fold(fold: str) -> tuple[int, int]:
    """Parse a fold written as K/N. Raises UserError for anything but 1 ≤ K ≤ N and 2 ≤ N ≤ 1000.

    >>> parse_fold("2/5")
    (2, 5)
    """
    numbers = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", fold)
    number, total = map(int, numbers.groups()) if numbers else (0, 0)
    if not (1 <= number <= total and 2 <= total <= MAX_FOLDS):
        raise UserError(
            ascii(fold[:40]), where="data, fold", expected=f"K/N with 1 ≤ K ≤ N and 2 ≤ N ≤ {MAX_FOLDS}, such as 1/5"
        )
    return number, total


@dataclass(frozen=True)
class Training:
    """Training settings of section 2.6. Values that the paper omits are those of the authors' code."""

    epochs: int = 5
    """Number of passes over the training data."""
    batch_size: int = 128
    """Number of videos per optimizer step."""
    learning_rate: float = 6e-4
    """Initial learning rate of Adam."""
    beta1: float = 0.9
    """Adam's decay of the mean gradient."""
    beta2: float = 0.999
    """Adam's decay of the mean squared gradient."""
    epsilon: float = 1e-8
    """Adam's epsilon."""
    schedule: str = "decay"
    """How the learning rate changes: decay in steps, as in the paper, or cosine from its initial value to 0 at the end
    of the training."""
    decay: float = 0.95
    """Factor of the learning rate every DECAY-EXAMPLES examples."""
    decay_examples: int = 1_500_000  # "1.5M iterations" in the paper; as steps, its run would never decay
    """Number of examples between two decays of the learning rate."""
    clip_norm: float = 1.0
    """Maximum gradient norm of each parameter tensor."""
    l2: float = 1e-8
    """L2 regularization of the weights of the classification slot."""
    accumulate: int = 1
    """Number of micro-batches per step. More of them need less memory."""
    ema: float = 0.0
    """Decay of a moving average of the weights, such as 0.999, which is evaluated and saved. 0 for none."""
    precision: str = "float32"
    """Precision of matrix products: float32, or bfloat16 on GPUs that support it."""
    compile: bool = False
    """Compile the model with torch.compile: half a minute at first, then faster steps on frames."""
    pool_once: str = "float32"
    """Precision of the cache of pooled frames, for poolings without trainable parameters: float32, bfloat16 with half
    the size, or no to read the frames in every epoch."""

    def __post_init__(self) -> None:
        """Validate the values. Raises UserError that names the first invalid one."""
        check_choice("schedule", self.schedule, ("decay", "cosine"), where="training")
        check_choice("precision", self.precision, ("float32", "bfloat16"), where="training")
        check_choice("pool_once", self.pool_once, ("float32", "bfloat16", "no"), where="training")
        for name in ("beta1", "beta2", "ema"):
            if not 0 <= (decay := getattr(self, name)) < 1:
                raise UserError(
                    f"{decay}", where=f"training, {name}", expected="a decay from 0 to below 1, such as 0.999"
                )
        for setting in dataclasses.fields(self):
            value, low = getattr(self, setting.name), 1 if setting.type is int else 0
            if setting.type in (int, float):
                check_number(value, low, where=f"training, {setting.name}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values for JSON. Those that older runs lack are omitted at their default."""
        values = dataclasses.asdict(self)
        if self.schedule == Training.schedule:
            del values["schedule"]
        return values


@dataclass(frozen=True)
class Experiment:
    """A complete description of one training.

    >>> from yt8m_core import Experiment, Slot
    >>> from yt8m_core.experiment import Data, Training
    >>> experiment = Experiment(
    ...     Data("train/*.tfrecord", "validate/*.tfrecord"),
    ...     pooling=Slot("lstm", {"width": 512}),
    ...     classification=Slot.parse("moe(experts=16)"),
    ...     training=Training(epochs=3),
    ... )
    >>> print(experiment)
    lstm(width=512) → moe(experts=16) → identity → cross_entropy
    >>> Experiment.from_dict(experiment.to_dict()) == experiment
    True
    """

    data: Data
    pooling: Slot = Slot("mean")
    """Frames to one vector: lstm, cnn, position_encoding, indirect_clustering, adaptive_noise, mean, and more."""
    classification: Slot = Slot("moe")
    """Vector to scores: moe, two_layer_moe, mlp, logistic; or many_to_many, with --pooling none."""
    label_processing: Slot = Slot("identity")
    """Scores to scores: identity, correlation, context_gating, chain, label_graph, label_queries."""
    loss: Slot = Slot("cross_entropy")
    """Loss: cross_entropy, pseudo_huber, center; against imbalance: focal, asymmetric, class_balanced, logit_adjusted,
    distribution_balanced; against missing labels: hill."""
    fusion: Slot = Slot("concat")
    """Fusion of a frame's streams (section 2.1): concat, compact_bilinear."""
    normalization: str = "joint"
    """Normalization of a frame's features (section 2.1): joint, per_modality, none."""
    training: Training = Training()
    seed: int = 0
    """Random seed of the weights and of the order of the videos."""
    init: str = ""
    """Start from the weights of this finished run, with a fresh optimizer, instead of random weights. Its slots, labels
    and features must fit."""

    def __post_init__(self) -> None:
        """Validate the seed and the path. Raises UserError."""
        check_number(self.seed, 0, MAX_SEED, where="experiment, seed")
        _check_path(self.init, "experiment, init")

    def to_dict(self) -> dict[str, Any]:
        """Return the experiment as plain values for JSON. Entries that older runs lack are omitted at their default."""
        values = dataclasses.asdict(self)
        for name in ("fold", "unlabeled", "segments"):
            if getattr(self.data, name) == getattr(Data, name):
                del values["data"][name]
        if not self.init:
            del values["init"]
        return {**values, "training": self.training.to_dict()}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Parse the output of ``to_dict``. Raises UserError for an unknown, missing or invalid entry."""
        experiment: Self = read_fields(cls, values, "experiment")
        return experiment

    @property
    def digest(self) -> str:
        """16 hex digits that identify the experiment."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def map_paths(self, change: Callable[[str], str]) -> Self:
        """Return the experiment with other paths: those of its data, of their vocabulary, and of ``init``.

        >>> Experiment(Data("train", "validate")).map_paths(str.upper).data.train
        'TRAIN'
        """

        def changed(path: str) -> str:
            return path and change(path)

        paths = {name: changed(getattr(self.data, name)) for name in DATA_PATHS}
        data = dataclasses.replace(self.data, **paths)  # type: ignore[arg-type]
        return dataclasses.replace(self, data=data, init=changed(self.init))

    def differences(self, other: "Experiment") -> dict[str, tuple[str, str]]:
        """Return the settings in which two experiments differ: this one's and the other's, as text by name.

        >>> mean = Experiment(Data("train", "validate"))
        >>> longer = dataclasses.replace(mean, training=Training(epochs=8), pooling=Slot("lstm", {"width": 512}))
        >>> mean.differences(longer)
        {'pooling': ('mean', 'lstm(width=512)'), 'epochs': ('5', '8')}
        """
        own, others = self._values(), other._values()  # compared as values: options have no order
        texts, other_texts = self.settings, other.settings
        return {name: (texts[name], other_texts[name]) for name in own if own[name] != others[name]}

    @property
    def settings(self) -> dict[str, str]:
        """All settings as they are written on the command line, by the name of their option; "none" for an empty one.

        >>> Experiment(Data("train", "validate", streams=(("rgb", 1024),))).settings["streams"]
        'rgb:1024'
        """
        streams = " ".join(f"{name}:{width}" for name, width in self.data.streams)
        return {name: str(value) or "none" for name, value in {**self._values(), "streams": streams}.items()}

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            values |= vars(value) if isinstance(value, Data | Training) else {field.name: value}
        return values

    def __str__(self) -> str:
        return " → ".join(str(slot) for slot in (self.pooling, self.classification, self.label_processing, self.loss))
