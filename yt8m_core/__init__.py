"""Multi-label video classification on YouTube-8M features, after arXiv 1706.07960.

Videos pass through four exchangeable slots: pooling → classification → label processing → loss. An ``Experiment``
names a method for each; ``train`` turns it into a ``Run``; ``evaluate`` and ``predict`` apply the run to a data set,
``Inspection`` has the tables behind the charts of the app, and ``export_run`` writes the run as a file that runs
without this package.

>>> import yt8m_core
>>> print(yt8m_core.Slot.parse("moe(experts=16)"))
moe(experts=16)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yt8m_core.data.dataset import open_videos
    from yt8m_core.experiment import Experiment
    from yt8m_core.export.exporter import export_run
    from yt8m_core.inference.evaluation import evaluate
    from yt8m_core.inference.feature_files import predict_file
    from yt8m_core.inference.prediction import predict
    from yt8m_core.inspection.inspection import Inspection
    from yt8m_core.metrics.top_k import global_average_precision
    from yt8m_core.models.classifier import VideoClassifier
    from yt8m_core.models.slot import Slot
    from yt8m_core.runs.run import Run
    from yt8m_core.training.loop import train

__all__ = [
    "Experiment",
    "Inspection",
    "Run",
    "Slot",
    "VideoClassifier",
    "evaluate",
    "export_run",
    "global_average_precision",
    "open_videos",
    "predict",
    "predict_file",
    "train",
]

# Imported on first use, because torch takes seconds to import.
_MODULES = {
    "Experiment": "yt8m_core.experiment",
    "Inspection": "yt8m_core.inspection.inspection",
    "Run": "yt8m_core.runs.run",
    "Slot": "yt8m_core.models.slot",
    "VideoClassifier": "yt8m_core.models.classifier",
    "evaluate": "yt8m_core.inference.evaluation",
    "export_run": "yt8m_core.export.exporter",
    "global_average_precision": "yt8m_core.metrics.top_k",
    "open_videos": "yt8m_core.data.dataset",
    "predict": "yt8m_core.inference.prediction",
    "predict_file": "yt8m_core.inference.feature_files",
    "train": "yt8m_core.training.loop",
}

# Each step allocates hundreds of megabytes of frames and gradients, which takes half the time in huge pages. torch
# reads this variable at its first allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'yt8m_core' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
