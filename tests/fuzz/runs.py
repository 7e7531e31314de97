"""Fuzzing targets: the files of a run folder, a checkpoint, a member of an ensemble, and a stored index."""

import json
import shutil
import struct
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import torch

from tests.fuzz.mutate import mutate
from tests.fuzz.outcome import outcome
from tests.runs.test_calibration_file import CALIBRATION
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment
from tests.training.test_hostile_resume import EPOCHS, PROGRESS, STEPS, contents, make_state
from yt8m_core.data import index_store
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import open_index
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.inference.prediction import predict
from yt8m_core.inference.score_files import open_score_file
from yt8m_core.runs.calibration_file import write_calibration
from yt8m_core.runs.run import Run
from yt8m_core.runs.table import run_table
from yt8m_core.training.checkpoint import load_checkpoint, save_checkpoint
from yt8m_core.training.log import RunLog
from yt8m_core.training.loop import train

VALUES = (
    None, True, -1, 0, 1.5, 10**30, 1e308, -1e-9, float("nan"), float("inf"), "", "\ud800", "a\0b", "x" * 5000,
    [], {}, [[[[]]]], [1, 2], {"name": "mean"}, [["rgb", 8]],
)  # fmt: skip


@cache
def seed_run() -> tuple[Path, Videos]:
    """Return a trained run folder with a calibration and a member's scores, and its validation videos."""
    root = Path(mkdtemp(prefix="yt8m-fuzz-runs-"))
    run = train(tiny_experiment(root), root / "run", accelerator="cpu")
    write_calibration(run.path, CALIBRATION)
    predict(run, root / "validation", run.path / "member.parquet")
    save_checkpoint(run.path / "checkpoint.safetensors", make_state(STEPS), PROGRESS)
    return run.path, open_videos(root / "validation", streams=STREAMS)


def _set_value(random: Random, content: bytes) -> bytes:
    """Set, remove or add a value of a JSON file."""
    root = json.loads(content)
    parent: Any = root
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            break
        key = random.choice(keys)
        if not isinstance(parent[key], dict | list) or random.random() < 0.2:
            match random.randrange(4):
                case 0:
                    del parent[key]
                case 1 if isinstance(parent, dict):
                    parent[random.choice(("other", "", key + "x"))] = random.choice(VALUES)
                case _:
                    parent[key] = random.choice(VALUES)
            break
        parent = parent[key]
    return json.dumps(root).encode()


def _set_header(random: Random, content: bytes) -> bytes:
    """Change the JSON header of a safetensors file, and leave the tensors."""
    size = struct.unpack("<Q", content[:8])[0]
    header = _set_value(random, content[8 : 8 + size])
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _mutate(random: Random, name: str, content: bytes, other: bytes) -> bytes:
    """Mutate a file: its structure, its end where the footer of Parquet lies, or any bytes."""
    if name.endswith(".json") and random.random() < 0.6:
        return _set_value(random, content)
    if name.endswith(".safetensors") and random.random() < 0.5:
        return _set_header(random, content)
    if name.endswith(".parquet") and random.random() < 0.7:
        footer = len(content) - random.choice((8, 200, int.from_bytes(content[-8:-4], "little") + 8))
        return content[:footer] + mutate(random, content[footer:], other)
    return mutate(random, content, other)


# ---- readers, with what must hold for what they accept


def _open(folder: Path) -> None:
    run = Run.open(folder)
    run_table({"a": run})
    run.load_model()


def _metrics(folder: Path) -> None:
    assert 0 <= Run.open(folder).metrics["validation"]["gap"] <= 1
    run_table({"a": Run.open(folder)})


def _log(folder: Path) -> None:
    log = Run.open(folder).log
    assert log["loss"].dropna().between(0, 2**53).all()
    assert log["gap"].dropna().between(0, 1).all()
    positions = [*zip(log["epoch"], log["step"], strict=True)]
    assert sorted({*positions}) == positions
    with RunLog(folder, PROGRESS):
        pass


def _predictions(folder: Path) -> None:
    run = Run.open(folder)
    table = run.predictions
    assert len(table) == run.facts.validation_videos
    for labels, scores, truth in zip(table["labels"], table["scores"], table["true_labels"], strict=True):
        assert len(labels) == len(scores)
        assert all(0 <= label < CLASSES for label in (*labels, *truth))
        assert all(0 <= score <= 1 for score in scores)


def _label_precision(folder: Path) -> None:
    table = Run.open(folder).label_precision
    assert table["label"].tolist() == [*range(CLASSES)]
    assert table["ap"].dropna().between(0, 1).all()


def _calibration(folder: Path) -> None:
    thresholds = Run.open(folder).calibration.label_thresholds
    assert len(thresholds) == CLASSES
    assert ((thresholds >= 0) & (thresholds <= 1)).all()


def _weights(folder: Path) -> None:
    assert all(bool(tensor.isfinite().all()) for tensor in Run.open(folder).load_model().state_dict().values())


def _checkpoint(folder: Path) -> None:
    state = make_state(1)
    before = contents(state)
    progress = outcome(lambda: load_checkpoint(folder / "checkpoint.safetensors", state, EPOCHS))
    if isinstance(progress, str):
        assert all(map(torch.equal, contents(state), before))
    else:
        assert (progress.epoch, progress.step, progress.examples) == (1, 2, 22)
        assert all(bool(tensor.isfinite().all()) for tensor in contents(state))


def _member(folder: Path) -> None:
    _, videos = seed_run()
    scorer = open_score_file(folder / "member.parquet", videos, CLASSES, Run.open(folder).vocabulary)
    for _, p in Ensemble(videos, CLASSES, {"a": scorer}, [1.0]).score():
        assert bool(((p >= 0) & (p <= 1.0001)).all())


READERS: dict[str, Callable[[Path], None]] = {
    "config.json": _open,
    "metrics.json": _metrics,
    "vocabulary.csv": lambda folder: _check_names(Run.open(folder)),
    "log.csv": _log,
    "predictions.parquet": _predictions,
    "label_precision.parquet": _label_precision,
    "calibration.json": _calibration,
    "model.safetensors": _weights,
    "checkpoint.safetensors": _checkpoint,
    "member.parquet": _member,
}


def _check_names(run: Run) -> None:
    vocabulary = run.vocabulary
    assert len(vocabulary.names) == len(vocabulary.verticals) == vocabulary.num_classes


def run_file(name: str, random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    seed, _ = seed_run()
    content, other = (seed / name).read_bytes(), (seed / random.choice([*READERS])).read_bytes()
    mutant = _mutate(random, name, content, other)
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        copy = Path(folder, "run")
        shutil.copytree(seed, copy)
        (copy / name).write_bytes(mutant)
        set_memory_limit(len(mutant))
        message = outcome(lambda: READERS[name](copy))
        assert message is None or len(message) < 2000


def stored_index(random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    _, videos = seed_run()
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        file = Path(folder, "a.parquet")
        index = open_index(Path(videos.shards[0].path).parent, streams=STREAMS)
        index_store.write_index(file, index)
        mutant = _mutate(random, file.name, file.read_bytes(), b"PAR1" * 20)
        file.write_bytes(mutant)
        set_memory_limit(len(mutant))
        read = index_store.read_index(file)
        assert read is None or (read == index and read.table.equals(index.table))


TARGETS = {
    **{f"run {name}": (6, partial(run_file, name)) for name in READERS},
    "stored index": (6, stored_index),
}
