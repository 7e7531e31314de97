"""Fuzzing target: command lines of every command, from its signature, with valid and hostile values."""

import contextlib
import io
import multiprocessing.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.support.command_arguments import Argument, arguments
from tests.support.hostile_paths import KINDS, time_limit
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.cli.main import main
from yt8m_core.models import size
from yt8m_core.models.registry import SLOTS, default_options
from yt8m_core.models.slot import Slot
from yt8m_core.training.loop import train

MAX_SECONDS = 60
MEMORY = 256 << 20  # bytes of a command on a few hundred tiny videos; the limit is three times as much
WEIGHTS = 64 << 20  # bytes of a model with its training
STATUS = {0, 1, 2, 141, 143}
NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "0.5",
    "1000000000",
    "9" * 30,
    "9" * 5000,
    "1e308",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "٣",
)
TEXTS = (
    "", " ", "-", "--", "-x", "--run", "--help=1", "\udcff", "é" * 9, "a" * 5000, "a\nb", "\x1b[31m", "{}", "%s",
    "~nobody/x", "*", "[", "**/*", "http://[", "/etc/passwd", "/dev/stdin", "/proc/self/mem", "../x", ".",
)  # fmt: skip
SLOT_TEXTS = ("2+2", "mean(", "mean(x=1)", "mean(1)", "none", "__import__('os')", "(" * 500, "mean(**{})", "moe" * 999)
# Arguments without which a command runs for minutes, opens a server or needs a network: they are never valid.
ALWAYS_HOSTILE = {
    ("ablate", "table"),
    ("rates", "scale"),
    ("readings", "scale"),
    ("export", "run"),
    ("download", "mirror"),
}
NEVER = {"compile"}  # half a minute
LONG = {"epochs": ("0", "1", "2", "-1", "nan", "9" * 30, ""), "folds": ("2", "1", "0", "-1", "1000000000", "x")}
NEEDED = {"train", "validation", "streams", *LONG}  # of a command on the tiny data that does not take minutes
OUTPUTS = {"output", "run_folder"}
CHOICES = {
    "epochs": ("1",), "folds": ("2",), "batch_size": ("64",),
    "normalization": ("joint", "none"), "unlabeled": ("error", "skip"), "precision": ("float32", "bfloat16"),
    "schedule": ("decay", "cosine"), "pool_once": ("no", "float32"), "average": ("probability", "logit"),
    "allow": ("constant-features", "other-scale"), "fold": ("1/2", "3/3"), "partition": ("2/frame/train",),
    "scale": ("smoke",), "tables": ("pooling",), "repo": ("owner/name",), "license_id": ("mit",),
    "fraction": ("1,100",),
}  # fmt: skip


@cache
def world() -> Path:
    """Return a folder with valid values; one for all mutants of a process, at whose end it is removed."""
    root = Path(tempfile.mkdtemp(prefix="yt8m-commands-"))
    multiprocessing.util.Finalize(None, shutil.rmtree, (root, True), exitpriority=0)
    os.environ["YT8M_HOME"] = str(root / "home")
    with contextlib.redirect_stderr(io.StringIO()):
        train(tiny_experiment(root), root / "run")
    np.savez(root / "features.npz", rgb=np.ones((3, 24), np.uint8), audio=np.ones((3, 8), np.uint8))
    (root / "labels.csv").write_text("id,label\nfeatures,cat\n")
    (root / "vocabulary.csv").write_text("id,name\n" + "".join(f"{label},label{label}\n" for label in range(6)))
    return root


@cache
def by_command() -> dict[str, list[Argument]]:
    return {command: [*group] for command, group in groupby(arguments(), lambda one: one.command)}


def valid_value(random: Random, one: Argument, folder: Path) -> list[str]:
    """Return a valid value of an argument, as texts; copies of what a command may change."""
    root, name = world(), one.name
    if name in ("train", "data", "validation") or (one.command, name) == ("labels", "data"):
        return [str(root / ("validation" if name == "data" else name))]
    if name in ("run", "init", "members", "runs"):
        run = folder / f"run{random.randrange(10**6)}"
        shutil.copytree(root / "run", run)
        return [str(run)]
    if name in OUTPUTS:
        return [str(folder / f"new{random.choice(('.csv', '.parquet', '', '.md'))}")]
    if name in ("features", "labels", "vocabulary"):
        return [str(root / {"features": "features.npz"}.get(name, f"{name}.csv"))]
    if name == "experiment":
        return [str(root / "run" / "config.json")]
    if name == "streams":
        return [f"{stream}:{width}" for stream, width in STREAMS]
    if name in SLOTS:
        return ["logistic" if name == "classification" else next(iter(SLOTS[name]))]
    numbers = {int: ("1", "2", "30"), float: ("0.5", "0.001")}
    return [random.choice(CHOICES.get(name, numbers.get(one.kind, ("x",))))]


def hostile_value(random: Random, one: Argument, folder: Path) -> list[str]:
    """Return a hostile value of an argument, as texts."""
    if one.name in LONG:
        return [random.choice(LONG[one.name])]
    if one.name in SLOTS:
        return [hostile_slot(random, one.name)]
    if one.may_be_path and random.random() < 0.6:
        path = folder / f"hostile{random.randrange(10**6)}{random.choice(('', '.csv', '.parquet', '.json', '.npz'))}"
        KINDS[random.choice(list(KINDS))](path, world() / random.choice(("run", "labels.csv")))
        return [str(path)]
    texts = [text for text in TEXTS if one.name not in OUTPUTS | {"run"} or not text.startswith(("/", ".."))]
    return random.choices(NUMBERS + tuple(texts), k=random.choice((1, 1, 1, 0, 3)))


def hostile_slot(random: Random, slot: str) -> str:
    if random.random() < 0.3:
        return random.choice(SLOT_TEXTS)
    method = random.choice(list(SLOTS[slot]))
    options = default_options(slot, method)
    value = random.choice((10**9, 1 << 24, 0, -1, 1, 2, True, None, "x", "", [], [[]], {}, 1e308, -0.5, 10**400))
    return str(Slot(method, {random.choice([*options, "x"]): value}))


def command_line(random: Random, folder: Path) -> list[str]:
    """Return a command with the required arguments and some others, most of them valid."""
    command = random.choice(list(by_command()))
    positional: list[str] = []
    flags: list[str] = []
    hostile_share = random.choice((0.02, 0.1, 0.3, 0.9))
    for one in by_command()[command]:
        is_hostile = (command, one.name) in ALWAYS_HOSTILE
        is_needed = one.is_required or is_hostile or one.name in NEEDED
        if (
            one.name in NEVER
            or (not is_needed and random.random() < 0.8)
            or (random.random() < 0.02 and not is_hostile)
        ):
            continue
        if one.kind is bool:
            flags.append(one.flag)
            continue
        make = hostile_value if is_hostile or random.random() < hostile_share else valid_value
        values = make(random, one, folder)
        if not one.flag:
            positional += values
        elif len(values) == 1 and random.random() < 0.5:
            flags.append(f"{one.flag}={values[0]}")
        else:
            flags += [one.flag, *values]
    if random.random() < 0.05:
        flags.append(random.choice(TEXTS))
    return [command, *positional, *flags] if random.random() < 0.8 else [command, *flags, *positional]


WRITES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.truncate"}
_watched: list[Path] = []  # folders in which a command may write, while one runs
_written: list[str] = []  # what it wrote elsewhere


def _watch(event: str, values: tuple[Any, ...]) -> None:
    """Record paths that are opened to write, made, renamed or removed outside the watched folders."""
    if not _watched or event not in (
        "open",
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
    ):
        return
    if event == "open" and not (values[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    paths = values[:2] if event in ("os.rename", "os.symlink") else values[:1]
    for path in paths:
        if isinstance(path, str | bytes) and os.fsdecode(path) != os.devnull:
            parent, name = os.path.split(os.path.abspath(os.fsdecode(path)))
            absolute = Path(os.path.realpath(parent), name)
            if not any(absolute.is_relative_to(folder) for folder in _watched):
                _written.append(f"{event} {os.fsdecode(path)!a}")


_install = cache(partial(sys.addaudithook, _watch))  # cannot be removed: once


@contextlib.contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Fail if the block writes outside some folders."""
    _install()
    _written.clear()
    _watched.extend(Path(os.path.realpath(folder)) for folder in folders)
    try:
        yield
    finally:
        _watched.clear()
    assert not _written, _written[:5]


def commands(random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    world()
    with tempfile.TemporaryDirectory(prefix="yt8m-fuzz-") as name, contextlib.chdir(name):
        folder = Path(name)
        line = command_line(random, folder)
        environment = {
            "YT8M_HOME": str(world() / "home"), "HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": name, "HOME": name,
            "TMPDIR": name, "YT8M_RUNS": "", "YT8M_SCALE": "none", "YT8M_DATA": "",
        }  # fmt: skip
        set_memory_limit(MEMORY)
        output = io.TextIOWrapper(io.BytesIO(), "utf-8")
        with (
            patch.dict(os.environ, environment),
            patch.object(sys, "argv", ["yt8m", *line]),
            patch.object(tempfile, "tempdir", name),
            patch.object(size, "_machine_bytes", lambda: WEIGHTS),
            patch.object(subprocess, "call", lambda *arguments, **options: 0),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
            watched(folder, world()),
            time_limit(MAX_SECONDS),
        ):
            status = end_of_command()
        check_end(status, line)


def end_of_command() -> object:
    """Run the command of ``sys.argv``, and return its status or its sentence."""
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


def check_end(status: object, line: list[str]) -> None:
    """Check that a command ended with a status or a sentence."""
    if isinstance(status, int):
        assert status in STATUS, (status, line)
        return
    sentence = str(status)
    assert sentence.startswith("yt8m: "), (sentence, line)
    assert "an error of this program" not in sentence, (sentence, line)
    assert "not enough memory" not in sentence, (sentence, line)
    assert len(sentence) < 2000 + 2 * len(" ".join(line)), line
    sentence.encode()


TARGETS = {"commands": (3, commands)}
