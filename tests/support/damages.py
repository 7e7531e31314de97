"""Damages to a run folder: each by its name, as a function that applies it to a folder."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Path], Any]
FILES = ("config.json", "metrics.json", "vocabulary.csv", "log.csv", "predictions.parquet", "model.safetensors")
LOG = "epoch,step,examples,learning_rate,loss,gradient,gap,hit_at_1,perr,map_present\n"


def set_json_value(file: str, path: str, value: Any) -> Damage:
    """Set a value of a JSON file; ``path`` has its keys, separated by slashes."""

    def damage(run: Path) -> None:
        *keys, last = path.split("/")
        root = parent = json.loads((run / file).read_text())
        for key in keys:
            parent = parent[key]
        parent[last] = value
        (run / file).write_text(json.dumps(root))

    return damage


def set_json_values(file: str, values: dict[str, tuple[Any, ...]]) -> dict[str, Damage]:
    """One damage for each path and value."""
    return {
        f"{file} {path} {str(value)[:30]!a}": set_json_value(file, path, value)
        for path, alternatives in values.items()
        for value in alternatives
    }


def write_content(file: str, content: bytes) -> Damage:
    """Overwrite a file."""
    return lambda run: (run / file).write_bytes(content)


def change_tensors(change: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
    """Change each tensor of the weights."""

    def damage(run: Path) -> None:
        weights = load_file(run / "model.safetensors")
        save_file({name: change(tensor) for name, tensor in weights.items()}, run / "model.safetensors")

    return damage


def change_column(name: str, change: Callable[[Any], Any]) -> Damage:
    """Change each value of a column of the stored predictions."""

    def damage(run: Path) -> None:
        table = pd.read_parquet(run / "predictions.parquet")
        table[name] = [change(value) for value in table[name]]
        table.to_parquet(run / "predictions.parquet")

    return damage


def replace_file(file: str, create: Callable[[Path], Any]) -> Damage:
    """Replace a file by what ``create`` makes of its path."""

    def damage(run: Path) -> None:
        (run / file).unlink()
        create(run / file)

    return damage


def truncate(file: str) -> Damage:
    """Cut a file in half."""
    return lambda run: os.truncate(run / file, (run / file).stat().st_size // 2)


def overlapping_tensors() -> bytes:
    """Return a safetensors file whose tensors share bytes."""
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": tensor, "b": {**tensor, "data_offsets": [4, 12]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(12)


# The run is not listed; the sidebar says why.
NOT_LISTED: dict[str, Damage] = {
    **set_json_values(
        "config.json",
        {
            "facts/num_classes": (-1, 0, 119, 1e400, 10**12),
            "facts/train_videos": ("x", -5, None, [1], 10**30),
            "facts/validation_videos": ("x", 1.5, 10**30),
            "facts/train_bad_records": (-1,),
            "facts/scale": ([1], 5, {}, "<b>x</b>"),
            "facts/schema": (3, {"level": "foo", "streams": [["rgb", 8]]}, {"level": "frame", "streams": []}),
            "facts/schema/streams": ([["rgb", 10**30]], [["rgb", -1]]),
            "experiment/data/validation": ("a\0b", "\ud800", "x" * 5000),
            "experiment/data/vocabulary": ("a\0b",),
            "experiment/data/streams": ([["rgb", 1e400]], [["rgb", -5]]),
            "experiment/data/max_frames": (0, 10**30),
            "experiment/training/epochs": (10**30, "x"),
            "experiment/seed": (-1, 10**30),
            "experiment/pooling/name": ("\ud800", 5),
        },
    ),
    **set_json_values(
        "metrics.json",
        {
            "validation": ([], {"gap": 1}),
            "validation/gap": ("x", None, math.nan, math.inf, -1, 7, True, 10**400),
            "validation/hit_at_1": ("x", []),
            "parameters": ("x", -1, 10**400, math.nan),
            "videos_per_second": ({}, "x"),
        },
    ),
    **{f"{file} is a {kind}": replace_file(file, create) for file in FILES[:3] for kind, create in {
        "folder": Path.mkdir,
        "link to itself": lambda path: path.symlink_to(path),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "pipe": os.mkfifo,
    }.items() if (file, kind) not in {("config.json", "folder"), ("config.json", "link to itself")}},
    **{f"{file} is truncated": truncate(file) for file in FILES[:3]},
    **{f"{file} is nested too deeply": write_content(file, b"[" * 200_000) for file in FILES[:2]},
    **{f"{file} is not text": write_content(file, b"\xff\0{") for file in FILES[:3]},
    "vocabulary.csv of another size": write_content("vocabulary.csv", b"label_id,label_name\n0,Only\n"),
    "metrics.json is missing": lambda run: (run / "metrics.json").unlink(),
    "vocabulary.csv is missing": lambda run: (run / "vocabulary.csv").unlink(),
}  # fmt: skip

# The run is listed; the pages that need the damaged file report it.
REPORTED_BY_PAGES: dict[str, Damage] = {
    "log.csv of words": write_content("log.csv", (LOG + "a,b,c,d,e,f,g,,,\n").encode()),
    "log.csv of infinities": write_content("log.csv", (LOG + "0,1,1,1,inf,1,,,,\n").encode()),
    "log.csv of negative losses": write_content("log.csv", (LOG + "0,1,1,1,-1,1,,,,\n").encode()),
    "log.csv of huge counts": write_content("log.csv", (LOG + f"0,1,{10**30},1,1,1,,,,\n").encode()),
    "log.csv of repeated lines": write_content("log.csv", (LOG + "0,1,1,1,1,1,,,,\n" * 2).encode()),
    "log.csv of fractions of steps": write_content("log.csv", (LOG + "0,1.5,1,1,1,1,,,,\n").encode()),
    "log.csv is a pipe": replace_file("log.csv", os.mkfifo),
    "predictions.parquet is truncated": truncate("predictions.parquet"),
    "predictions.parquet is a pipe": replace_file("predictions.parquet", os.mkfifo),
    "predictions.parquet is a folder": replace_file("predictions.parquet", Path.mkdir),
    "predictions.parquet without a column": lambda run: (
        pd.read_parquet(run / "predictions.parquet").drop(columns="scores").to_parquet(run / "predictions.parquet")
    ),
    "labels are words": change_column("labels", lambda labels: ["x"] * len(labels)),
    "labels are negative": change_column("labels", lambda labels: labels * 0 - 5),
    "labels beyond the vocabulary": change_column("labels", lambda labels: labels * 0 + 120),
    "labels are no lists": change_column("labels", lambda labels: 3),
    "labels are null": change_column("labels", lambda labels: None),
    "true labels far beyond the vocabulary": change_column("true_labels", lambda labels: labels * 0 + 10**9),
    "scores are NaN": change_column("scores", lambda scores: scores * math.nan),
    "scores above 1": change_column("scores", lambda scores: scores * 0 + 7),
    "fewer scores than labels": change_column("scores", lambda scores: scores[:3]),
    "ids are numbers": change_column("id", lambda video: 5),
    "ids of a megabyte": change_column("id", lambda video: "x" * (1 << 20)),
    "weights in half precision": change_tensors(torch.Tensor.half),
    "weights are integers": change_tensors(torch.Tensor.long),
    "weights are complex": change_tensors(lambda tensor: tensor.to(torch.complex64)),
    "weights are NaN": change_tensors(lambda tensor: tensor * math.nan),
    "model.safetensors with a header of gigabytes": write_content(
        "model.safetensors", (1 << 33).to_bytes(8, "little") + b"{}"
    ),
    "model.safetensors whose tensors overlap": write_content("model.safetensors", overlapping_tensors()),
    "model.safetensors is truncated": truncate("model.safetensors"),
    "model.safetensors is a pipe": replace_file("model.safetensors", os.mkfifo),
    "model.safetensors is a folder": replace_file("model.safetensors", Path.mkdir),
    **set_json_values(
        "config.json",
        {
            "experiment/pooling/options": ({"scale": 1e308}, {"a": [[[[]]]]}),
            "experiment/classification/options": ({"experts": -1}, {"experts": 10**30}, {"embedding": 10**12}),
        },
    ),
}


def damaged_copy(run: Path, folder: Path, damage: Damage, name: str = "mine") -> Path:
    """Copy a valid run into ``folder`` and damage the copy."""
    copy = shutil.copytree(run, folder / name)
    damage(copy)
    return copy
