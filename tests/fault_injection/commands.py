"""The long commands, on inputs that take seconds."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.tiny import CLASSES, STREAMS, write_tiny
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary

TRAIN = ("--epochs", "2", "--batch-size", "16", "--learning-rate", "0.02")
ALL_STATE = (
    *("--pooling", "adaptive_noise(scale=5.0, pooling='lstm(width=8, layer_norm=True, dropout=0.5)')"),
    *("--label-processing", "correlation(beta=0.05, gamma=0.05)", "--loss", "center(weight=0.1)"),
    *("--ema", "0.9", "--accumulate", "2"),
)
SERVED = ("trainaa.tfrecord", "trainbF.tfrecord", "trainZz.tfrecord")


@dataclass(frozen=True)
class Command:
    """A command that is run in a folder ``work`` with a workspace ``work/home``.

    Attributes:
        arguments: Its arguments.
        needs: Names of the commands whose results lie in the folder when it starts.
        grows: Files that are incomplete, or there only while it runs: the same command completes or removes them.
        varies: Files that differ between two runs without faults; a pattern with ``*`` also stands for differing names.
        variables: Environment variables.
    """

    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    varies: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def commands(inputs: Path, work: Path, address: str) -> dict[str, Command]:
    """Return all long commands by name.

    Args:
        inputs: Folder of ``write_inputs``.
        work: Folder in which they run.
        address: Address of a server with ``served_files``.
    """
    train, validation = str(inputs / "train"), str(inputs / "validation")
    streams = ("--streams", *(f"{name}:{width}" for name, width in STREAMS))
    data = ("--train", train, "--validation", validation, *streams)
    run, other, out = str(work / "run"), str(work / "other"), str(work / "out")
    features = (str(inputs / "features"), "--labels", str(inputs / "labels.csv"))
    missing = (*("--train", train, *streams), *("--output", f"{out}/missing.csv", "--folds", "2"), *TRAIN)
    growing, smoke = ("/log.csv", "/checkpoint.safetensors"), (("YT8M_SCALE", "smoke"),)
    ablations = (*growing, "/ablations/*/model.safetensors")  # weights that are removed when their run is finished
    runs, both = ("/metrics.json",), ("train", "train with all state")
    caches = ("/index/*.parquet", "/pooled/*.npy", "/scored/*.npy")  # depend on the times of shards and weights
    worlds = (*caches, *runs)
    return {
        "index": Command(("index", train, *streams)),
        "labels": Command(("labels", train, *streams)),
        "download": Command(("download", "2/video/train", "--output", out, "--mirror", address)),
        "import": Command(("import", *features, "--output", out, "--yes"), varies=worlds),
        "train": Command(("train", "--run", run, *data, *TRAIN), (), growing, runs),
        "train with all state": Command(("train", "--run", other, *data, *TRAIN, *ALL_STATE), (), growing, runs),
        "evaluate": Command(("evaluate", run, "--data", validation), ("train",), ("/parts/*",), caches),
        "calibrate": Command(("calibrate", run, "--data", validation), ("train",), varies=caches),
        "predict": Command(
            ("predict", run, "--data", train, "--output", f"{out}/scores.csv"), ("train",), varies=caches
        ),
        "ensemble": Command(
            ("ensemble", run, other, "--data", train, "--output", f"{out}/scores.parquet"), both, varies=caches
        ),
        "export": Command(("export", run, "--output", f"{out}/model.pt2"), ("train",), varies=caches),
        "missing-labels": Command(("missing-labels", *missing), (), growing, runs),
        "demo": Command(("demo",), (), growing, worlds, smoke),
        "ablate": Command(("ablate", "fusion", "--output", out), ("demo",), ablations, worlds, smoke),
        "rates": Command(("rates", "--tables", "fusion"), ("demo",), ablations, worlds, smoke),
    }


def write_inputs(folder: Path) -> None:
    """Write shards, feature files with a label table, and shards for a server."""
    write_tiny(folder / "train", 120, seed=1)
    write_tiny(folder / "validation", 40, seed=2)
    random = np.random.default_rng(3)
    (folder / "features").mkdir()
    rows = ["id,label"]
    for number in range(120):
        frames = random.integers(0, 256, (random.integers(20, 60), 1152)).astype(np.uint8)
        np.savez(folder / "features" / f"v{number:03d}.npz", rgb=frames[:, :1024], audio=frames[:, 1024:])
        rows += [f"v{number:03d},{label}" for label in {number % CLASSES, number % 4}]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def served_files(folder: Path) -> dict[str, bytes]:
    """Return shards with their plan, by path on the server."""
    for number, name in enumerate(SERVED):
        write_tiny(folder / name.partition(".")[0], 900, seed=number, shards=1)
    shards = {name: next((folder / name.partition(".")[0]).iterdir()).read_bytes() for name in SERVED}
    digests = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in shards.items()}
    files = {f"2/video/train/{name}": content for name, content in shards.items()}
    vocabulary = folder / "vocabulary.csv"
    write_vocabulary(vocabulary, Vocabulary(tuple("abcdef"), ("x",) * CLASSES, np.arange(CLASSES)))
    files["vocabulary.csv"] = vocabulary.read_bytes()
    return files | {"2/download_plans/video_train.json": json.dumps({"files": digests}).encode()}
