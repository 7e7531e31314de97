"""One experiment written down: four slots, data, training, seed. Frozen, and JSON there and back.

The same JSON is the CLI's input, a run folder's ``config.json`` and a row of a paper table. Defaults are the paper's.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Self

from yt8m_core.data.schema import MAX_WIDTH
from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.slot import Slot
from yt8m_core.storage.atomic import as_text
from yt8m_core.storage.typed_json import check_number, read_fields

MAX_PATH = 4096  # characters
MAX_SEED = (1 << 32) - 1  # NumPy's


@dataclass(frozen=True)
class Data:
    """Where the videos come from: each a shard, a folder of shards, or a glob."""

    train: str
    validation: str
    vocabulary: str = ""  # a vocabulary file; empty: the one beside the training data, if any
    streams: tuple[tuple[str, int], ...] = ()  # name and width of one's own feature streams; empty: recognized
    max_frames: int = 300  # the first so many seconds of a video are used

    def __post_init__(self) -> None:
        """Refuse what names no data. Raises UserError."""
        for part in ("train", "validation", "vocabulary"):
            path = getattr(self, part)
            if "\0" in path or len(path) > MAX_PATH or as_text(path) != path:
                raise UserError(ascii(path[:80]), where=f"data, {part}", expected="a path in Unicode")
        for _, width in self.streams:
            check_number(width, 1, MAX_WIDTH, where="data, streams")
        check_number(self.max_frames, 1, where="data, max_frames")


@dataclass(frozen=True)
class Training:
    """The regime of section 2.6; what the paper leaves open is as in the authors' code."""

    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 6e-4
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.95
    decay_examples: int = 1_500_000  # "1.5M iterations" in the paper: as steps, its run would never decay
    clip_norm: float = 1.0  # of each tensor's gradient
    l2: float = 1e-8  # on the weights of the classification slot
    accumulate: int = 1  # a batch is learned from in so many parts, one after the other, to take less memory
    ema: float = 0.0  # decay of a moving average of the weights, which is then what is measured and kept; 0: none
    precision: str = "float32"  # of the matrix products: float32 or bfloat16
    compile: bool = False  # the model, by torch.compile: half a minute first, then faster passes over frames
    pool_once: str = "float32"  # how a pooling without weights is kept for all epochs: float32, bfloat16, or no

    def __post_init__(self) -> None:
        """Refuse settings that nothing can be learned with. Raises UserError that names the first."""
        check_choice("precision", self.precision, ("float32", "bfloat16"), where="training")
        check_choice("pool_once", self.pool_once, ("float32", "bfloat16", "no"), where="training")
        if not 0 <= self.ema < 1:
            raise UserError(f"{self.ema}", where="training, ema", expected="a decay from 0 to below 1, such as 0.999")
        for setting in dataclasses.fields(self):
            value, low = getattr(self, setting.name), 1 if setting.type is int else 0
            if setting.type in (int, float):
                check_number(value, low, where=f"training, {setting.name}")


@dataclass(frozen=True)
class Experiment:
    """One row of a table."""

    data: Data
    pooling: Slot = Slot("mean")
    classification: Slot = Slot("moe")
    label_processing: Slot = Slot("identity")
    loss: Slot = Slot("cross_entropy")
    fusion: Slot = Slot("concat")  # of a frame's streams, section 2.1
    normalization: str = "joint"  # of a frame's features, section 2.1: joint, per_modality or none
    training: Training = Training()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a seed that no generator takes. Raises UserError."""
        check_number(self.seed, 0, MAX_SEED, where="experiment, seed")

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what ``to_dict`` wrote. Raises UserError that names an unknown, missing or mistyped entry."""
        experiment: Self = read_fields(cls, values, "experiment")
        return experiment

    @property
    def digest(self) -> str:
        """16 hex digits that two experiments share only when they are the same."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return " → ".join(str(slot) for slot in (self.pooling, self.classification, self.label_processing, self.loss))
