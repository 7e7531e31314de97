"""Runs with random weights, for tests of exported files."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from tests.support.slot_cases import LABELS, C, D
from yt8m_core.data.schema import Schema
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.experiment import Data, Experiment
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.runs.run import Facts, Run, build_model

STREAMS = (("rgb", 4), ("audio", D - 4))
METRICS = {"validation": {"gap": 0.5, "gap_low": 0.4, "gap_high": 0.6}}
NAMES = ("Game", "Car, red", "Été", "")


def random_model(experiment: Experiment, facts: Facts, scale: float = 1.0) -> VideoClassifier:
    """Build a model with label priors and normally distributed weights."""
    torch.manual_seed(0)
    model = build_model(experiment, facts).eval().requires_grad_(False)
    for part in model.children():
        if hasattr(part, "fit_label_prior"):
            part.fit_label_prior(LABELS)
    for weight in model.parameters():
        nn.init.normal_(weight, std=scale)
    return model


def random_run(folder: Path, *, scale: float = 1.0, level: Any = "frame", **slots: Any) -> Run:
    """Write a finished run with random weights, whose data do not exist."""
    data = Data("nowhere/train", "nowhere/validation", streams=STREAMS, max_frames=9)
    experiment = Experiment(data, init="nowhere/base", **slots)
    facts = Facts(Schema(level, STREAMS), C, "demo", train_videos=8, validation_videos=0)
    run = Run.create(folder, experiment, facts, Vocabulary(NAMES, ("",) * C))
    run.finish(random_model(experiment, facts, scale), METRICS, pd.DataFrame(), None)
    return run
