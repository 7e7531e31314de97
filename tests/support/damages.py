"""What can be wrong with a run folder: each damage by its name, as a function that does it to a folder."""

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


def value(file: str, place: str, to: Any) -> Damage:
    """Put another value to a place in a JSON file."""

    def damage(run: Path) -> None:
        *way, last = place.split("/")
        whole = at = json.loads((run / file).read_text())
        for part in way:
            at = at[part]
        at[last] = to
        (run / file).write_text(json.dumps(whole))

    return damage


def content(file: str, to: bytes) -> Damage:
    return lambda run: (run / file).write_bytes(to)


def tensors(change: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
    def damage(run: Path) -> None:
        weights = load_file(run / "model.safetensors")
        save_file({name: change(tensor) for name, tensor in weights.items()}, run / "model.safetensors")

    return damage


def column(name: str, change: Callable[[Any], Any]) -> Damage:
    """Change each value of a column of the kept predictions."""

    def damage(run: Path) -> None:
        table = pd.read_parquet(run / "predictions.parquet")
        table[name] = [change(one) for one in table[name]]
        table.to_parquet(run / "predictions.parquet")

    return damage


def replaced(file: str, by: Callable[[Path], Any]) -> Damage:
    def damage(run: Path) -> None:
        (run / file).unlink()
        by(run / file)

    return damage


def cut(file: str) -> Damage:
    return lambda run: os.truncate(run / file, (run / file).stat().st_size // 2)


def of_values(file: str, wrong: dict[str, tuple[Any, ...]]) -> dict[str, Damage]:
    return {
        f"{file} {place} {str(to)[:30]!a}": value(file, place, to) for place, every in wrong.items() for to in every
    }


# Of these the sidebar tells why the run is not shown.
NOT_SHOWN: dict[str, Damage] = {
    **of_values(
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
    **of_values(
        "metrics.json",
        {
            "validation": ([], {"gap": 1}),
            "validation/gap": ("x", None, math.nan, math.inf, -1, 7, True, 10**400),
            "validation/hit_at_1": ("x", []),
            "parameters": ("x", -1, 10**400, math.nan),
            "videos_per_second": ({}, "x"),
        },
    ),
    **{f"{file} is a {what}": replaced(file, by) for file in FILES[:3] for what, by in {
        "folder": Path.mkdir,
        "link to itself": lambda path: path.symlink_to(path),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "pipe": os.mkfifo,
    }.items() if (file, what) not in {("config.json", "folder"), ("config.json", "link to itself")}},
    **{f"{file} is cut": cut(file) for file in FILES[:3]},
    **{f"{file} is nested too deeply": content(file, b"[" * 200_000) for file in FILES[:2]},
    **{f"{file} is no text": content(file, b"\xff\0{") for file in FILES[:3]},
    "vocabulary.csv of another size": content("vocabulary.csv", b"label_id,label_name\n0,Only\n"),
    "metrics.json gone": lambda run: (run / "metrics.json").unlink(),
    "vocabulary.csv gone": lambda run: (run / "vocabulary.csv").unlink(),
}  # fmt: skip

# These are told on the pages that need what is damaged; the run is listed.
TOLD: dict[str, Damage] = {
    "log.csv of words": content("log.csv", (LOG + "a,b,c,d,e,f,g,,,\n").encode()),
    "log.csv of infinities": content("log.csv", (LOG + "0,1,1,1,inf,1,,,,\n").encode()),
    "log.csv of negative losses": content("log.csv", (LOG + "0,1,1,1,-1,1,,,,\n").encode()),
    "log.csv of huge counts": content("log.csv", (LOG + f"0,1,{10**30},1,1,1,,,,\n").encode()),
    "log.csv is a pipe": replaced("log.csv", os.mkfifo),
    "predictions.parquet is cut": cut("predictions.parquet"),
    "predictions.parquet is a pipe": replaced("predictions.parquet", os.mkfifo),
    "predictions.parquet is a folder": replaced("predictions.parquet", Path.mkdir),
    "predictions.parquet without a column": lambda run: (
        pd.read_parquet(run / "predictions.parquet").drop(columns="scores").to_parquet(run / "predictions.parquet")
    ),
    "labels of words": column("labels", lambda labels: ["x"] * len(labels)),
    "labels below 0": column("labels", lambda labels: labels * 0 - 5),
    "labels beyond the vocabulary": column("labels", lambda labels: labels * 0 + 120),
    "labels that are no lists": column("labels", lambda labels: 3),
    "labels that are nothing": column("labels", lambda labels: None),
    "true labels far beyond the vocabulary": column("true_labels", lambda labels: labels * 0 + 10**9),
    "scores that are not numbers": column("scores", lambda scores: scores * math.nan),
    "scores above 1": column("scores", lambda scores: scores * 0 + 7),
    "fewer scores than labels": column("scores", lambda scores: scores[:3]),
    "ids that are numbers": column("id", lambda video: 5),
    "ids of a megabyte": column("id", lambda video: "x" * (1 << 20)),
    "weights of half precision": tensors(torch.Tensor.half),
    "weights that are whole numbers": tensors(torch.Tensor.long),
    "weights that are complex": tensors(lambda tensor: tensor.to(torch.complex64)),
    "weights that are not finite": tensors(lambda tensor: tensor * math.nan),
    "model.safetensors is cut": cut("model.safetensors"),
    "model.safetensors is a pipe": replaced("model.safetensors", os.mkfifo),
    "model.safetensors is a folder": replaced("model.safetensors", Path.mkdir),
    **of_values(
        "config.json",
        {
            "experiment/pooling/options": ({"scale": 1e308}, {"a": [[[[]]]]}),
            "experiment/classification/options": ({"experts": -1}, {"experts": 10**30}, {"embedding": 10**12}),
        },
    ),
}


def damaged(sound: Path, folder: Path, damage: Damage, name: str = "mine") -> Path:
    """A copy of a sound run below ``folder``, damaged."""
    run = shutil.copytree(sound, folder / name)
    damage(run)
    return run
