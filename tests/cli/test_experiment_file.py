"""Hostile files of ``yt8m train --experiment``: each a sentence that names the file and the entry."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import yt8m
from tests.support.hostile_paths import time_limit

DATA = {"train": "nowhere/a", "validation": "nowhere/b"}


def experiment(**changes: Any) -> dict[str, Any]:
    return {"data": DATA, **changes}


def training(text: str) -> bytes:
    return b'{"data": {"train": "a", "validation": "b"}, "training": %s}' % text.encode()


HOSTILE: dict[str, tuple[Any, str]] = {
    "empty": (b"", "invalid JSON"),
    "list": ([1], "found list; expected a JSON object"),
    "null": (None, "found NoneType"),
    "text": ("x", "found str"),
    "not UTF-8": (b'{"data": "\xff"}', "invalid JSON .*utf-8"),
    "surrogate": (b'{"data": {"train": "\\udcff"}}', "invalid JSON"),
    "nested lists": (b"[" * 100_000, "invalid JSON .*recursion"),
    "nested objects": (b'{"data":' * 100_000, "invalid JSON .*recursion"),
    "100 MB": (b" " * (100 << 20), "found 104,857,600 bytes; expected at most"),
    "an entry twice": (b'{"data": {"train": "a", "train": "b"}}', "entry 'train' twice"),
    "unknown entry": (experiment(pool="mean"), "experiment: unknown entry 'pool'. Did you mean 'pooling'"),
    "long name": (experiment(**{"x" * 10**6: 1}), "unknown entry 'xxx"),
    "long value": (experiment(seed="y" * 10**6), "seed: found 'yyy.*expected a value of type int"),
    "data of another type": ({"data": [1]}, "experiment, data: found list"),
    "experiment of another type": ({"experiment": [1]}, "experiment: found list"),
    "workspace of another type": ({"experiment": experiment(), "workspace": 3}, "workspace: found 3"),
    "boolean seed": (experiment(seed=True), "seed: found True"),
    "float seed": (experiment(seed=1.5), "seed: found 1.5"),
    "huge seed": (experiment(seed=10**400), "seed: found 1000.*expected a number from 0 to"),
    "number of 5000 digits": (b'{"seed": %s}' % (b"9" * 5000), "invalid JSON"),
    "huge epochs": (training(f'{{"epochs": {10**30}}}'), "training, epochs: found 1000"),
    "NaN epochs": (training('{"epochs": NaN}'), "epochs: found nan"),
    "NaN rate": (training('{"learning_rate": NaN}'), "learning_rate: found nan"),
    "infinite rate": (training('{"learning_rate": Infinity}'), "learning_rate: found inf"),
    "overflow": (training('{"learning_rate": 1e999}'), "learning_rate: found inf"),
    "slot as text": (experiment(pooling="mean"), "experiment, pooling: found str"),
    "name of a slot": (experiment(pooling={"name": 3}), "pooling, name: found 3"),
    "options of a slot": (experiment(pooling={"name": "mean", "options": [1]}), r"pooling, options: found \[1\]"),
    "width of a stream": ({"data": {**DATA, "streams": [["rgb", 1.5]]}}, "data, streams: found"),
    "boolean width": ({"data": {**DATA, "streams": [["rgb", True]]}}, "data, streams: found"),
    "a stream twice": ({"data": {**DATA, "streams": [["rgb", 4], ["rgb", 4]]}}, "data, streams: found a stream twice"),
    "streams as text": ({"data": {**DATA, "streams": "ab"}}, "data, streams: found 'ab'"),
    "streams by name": ({"data": {**DATA, "streams": {"ab": 1}}}, "data, streams: found"),
    "path with NUL": ({"data": {**DATA, "train": "a\0"}}, "data, train: found"),
    "path of 10^5 characters": ({"data": {**DATA, "train": "a" * 10**5}}, "data, train: found"),
    "fold": ({"data": {**DATA, "fold": "9/1"}}, "data, fold: found '9/1'"),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_experiment_file_is_a_sentence_with_the_file_and_the_entry(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, message = HOSTILE[name]
    file = tmp_path / "e.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with time_limit(10), pytest.raises(SystemExit) as ended:
        yt8m(monkeypatch, "train", "--run", tmp_path / "run", "--experiment", file)
    text = str(ended.value.code)
    assert text.startswith(f"yt8m: {file}: ")
    assert re.search(message, text), text
    assert len(text) < 700
    assert not (tmp_path / "run").exists()


def test_experiment_file_with_a_byte_order_mark_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(experiment()).encode())
    with pytest.raises(SystemExit, match=r"no file matches .*nowhere/a"):
        yt8m(monkeypatch, "train", "--run", tmp_path / "run", "--experiment", tmp_path / "e.json")
