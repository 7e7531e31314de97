"""Checkpoints and logs that another training, a damage or a stranger has left: refused by name, never trained on."""

import json
import math
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import yt8m_core.training.loop as training_module
from tests.fuzz.outcome import outcome
from tests.support.damage import damaged
from tests.support.tiny import tiny_experiment
from yt8m_core.errors import TrainingStoppedError, UserError
from yt8m_core.training.checkpoint import Epochs, TrainingProgress, TrainingState, load_checkpoint, save_checkpoint
from yt8m_core.training.log import COLUMNS, RunLog
from yt8m_core.training.loop import CHECKPOINT, train

EPOCHS = Epochs(3, lambda epoch: [4, 4, 4, 2])
PROGRESS = TrainingProgress(epoch=1, step=2, examples=22, seconds=1.5)
STEPS = 6


class Centers(nn.Module):
    """A loss with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centers", torch.ones(2, 3))


def make_state(steps: int) -> TrainingState:
    torch.manual_seed(steps)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
    state = TrainingState(model, Centers(), optimizer, AveragedModel(model))  # type: ignore[no-untyped-call]
    for _ in range(steps):
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert state.average is not None
        state.average.update_parameters(model)
    return state


def contents(state: TrainingState) -> list[Tensor]:
    """Return copies of all tensors of a state."""
    tensors = [tensor for module in state.modules.values() for tensor in module.state_dict().values()]
    tensors += [values[key] for values in state.optimizer.state_dict()["state"].values() for key in sorted(values)]
    return [tensor.clone() for tensor in tensors]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("good") / "checkpoint.safetensors"
    save_checkpoint(file, make_state(STEPS), PROGRESS)
    return file


def rewritten(good: Path, file: Path, change: Callable[[dict[str, Tensor], dict[str, Any]], Any]) -> None:
    """Write a copy whose tensors and position are changed."""
    with safe_open(good, framework="pt") as stored:
        position = json.loads(stored.metadata()["position"])
    tensors = load_file(good)
    result = change(tensors, position)
    metadata = result if isinstance(result, dict) else {"position": json.dumps(position)}
    save_file(tensors, file, metadata or None)


def refused(file: Path) -> str:
    """Return why a checkpoint is refused; the state must stay."""
    state = make_state(1)
    before = contents(state)
    with pytest.raises(UserError) as error:
        load_checkpoint(file, state, EPOCHS)
    assert all(map(torch.equal, contents(state), before))
    message = str(error.value)
    assert str(file) in message
    assert message.endswith("Delete the checkpoint to start over.")
    assert len(message) < 1000
    return message


def test_checkpoint_restores_the_state_and_the_progress(good: Path) -> None:
    state = make_state(1)
    assert load_checkpoint(good, state, EPOCHS) == PROGRESS
    assert all(map(torch.equal, contents(state), contents(make_state(STEPS))))
    assert load_checkpoint(good.with_name("missing"), state, EPOCHS) == TrainingProgress()


POSITIONS = [
    *({name: value} for name in ("epoch", "step", "examples", "seconds") for value in (
        -1, 10**9, 10**30, 1.5, "2", None, True, [1], {}, math.nan, math.inf, -0.5, 2**63,
    ) if (name, value) not in [("seconds", 10**9), ("seconds", 1.5)]),
    {"epoch": 0}, {"epoch": 2}, {"step": 0}, {"step": 3}, {"examples": 21}, {"examples": 0},
    {"epoch": 3, "step": 0, "examples": 42},  # follows from the epochs, but not from the optimizer's steps
    {"epoch": 3, "step": 1, "examples": 46}, {"epoch": 1, "step": 5, "examples": 28},
    {"epoch": 0, "step": 2, "examples": 8},
    {"other": 1},
]  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("changes", POSITIONS, ids=str)
def test_position_that_does_not_follow_from_the_training_is_refused(
    good: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    rewritten(good, tmp_path / "a", lambda tensors, position: position.update(changes))
    refused(tmp_path / "a")


@pytest.mark.parametrize(
    "metadata",
    [{}, {"other": "x"}, *({"position": text} for text in ("", "{", "[]", "3", "null", "{}", "[" * 100_000, '"x"'))],
    ids=lambda metadata: str(metadata)[:30],
)
def test_position_that_cannot_be_read_is_refused(good: Path, tmp_path: Path, metadata: dict[str, str]) -> None:
    rewritten(good, tmp_path / "a", lambda tensors, position: metadata)
    refused(tmp_path / "a")


NAMES = (
    "model.weight", "model.bias", "loss.centers", "average.module.weight", "average.n_averaged",
    "optimizer.0.step", "optimizer.0.exp_avg", "optimizer.1.exp_avg_sq",
)  # fmt: skip
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "NaN": lambda tensor: torch.full(tensor.shape, math.nan),
    "infinite": lambda tensor: torch.full(tensor.shape, -math.inf),
    "float64": lambda tensor: tensor.double(),
    "float16": lambda tensor: tensor.half(),
    "int32": lambda tensor: tensor.int(),
    "larger": lambda tensor: torch.cat([tensor.reshape(1, -1)] * 2),
    "empty": lambda tensor: tensor.reshape(-1)[:0],
    "flat": lambda tensor: tensor.reshape(1, -1),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_tensor_of_another_type_or_shape_or_not_finite_is_refused(
    good: Path, tmp_path: Path, name: str, change: str
) -> None:
    rewritten(good, tmp_path / "a", lambda tensors, position: tensors.update({name: CHANGES[change](tensors[name])}))
    assert f"'{name}'" in refused(tmp_path / "a")


@pytest.mark.parametrize("name", NAMES)
def test_missing_or_renamed_tensor_is_refused(good: Path, tmp_path: Path, name: str) -> None:
    rewritten(good, tmp_path / "a", lambda tensors, position: tensors.pop(name) is None)
    refused(tmp_path / "a")
    for other in (f"{name}.x", f"other.{name}", "optimizer.x.step", "optimizer.7.step", "optimizer", "optimizer.0"):
        rewritten(
            good, tmp_path / "a", lambda tensors, position, other=other: tensors.update({other: tensors[name].clone()})
        )
        refused(tmp_path / "a")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("optimizer.0.step", "optimizer.1.step") for value in (0, 5, 7, -6, 1e9, 6.5)),
        *(("average.n_averaged", value) for value in (0, 5, -6, 10**9)),
        ("optimizer.0.exp_avg_sq", -1e-9),
    ],
)
def test_optimizer_and_average_after_other_steps_are_refused(
    good: Path, tmp_path: Path, name: str, value: float
) -> None:
    rewritten(good, tmp_path / "a", lambda tensors, position: tensors[name].fill_(value))
    assert f"'{name}'" in refused(tmp_path / "a")


def with_header(size: int, header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", size) + header + data


OFFSETS = b'{"model.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"model.weight":%s}'
CONTENTS = {
    "empty": b"",
    "text": b"no checkpoint",
    "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(1000),
    "header of gigabytes": with_header(1 << 33, b"{}"),
    "header of exabytes": with_header((1 << 64) - 1, b"{}"),
    "no tensors": with_header(2, b"{}"),
    "no JSON": with_header(4, b"{{{{"),
    **{f"offsets {text[-20:]!a}": with_header(len(OFFSETS % text), OFFSETS % text, bytes(64)) for text in (
        b'{"dtype":"F32","shape":[2],"data_offsets":[4,12]}',
        b'{"dtype":"F32","shape":[2],"data_offsets":[8,4]}',
        b'{"dtype":"F32","shape":[1099511627776],"data_offsets":[8,4398046511112]}',
        b'{"dtype":"F32","shape":[-1],"data_offsets":[8,16]}',
        b'{"dtype":"F9","shape":[2],"data_offsets":[8,16]}',
    )},
}  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("content", CONTENTS)
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_bytes(CONTENTS[content])
    refused(tmp_path / "a")


@pytest.mark.fault
@pytest.mark.parametrize(
    "create",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/dev/tty")],
    ids=["folder", "pipe", "endless device", "terminal"],
)
def test_folder_pipe_or_device_as_a_checkpoint_is_refused(tmp_path: Path, create: Callable[[Path], None]) -> None:
    create(tmp_path / "a")
    refused(tmp_path / "a")


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_checkpoint_is_refused_or_has_valid_values(
    tmp_path_factory: pytest.TempPathFactory, good: Path, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    file.write_bytes(data.draw(damaged(good.read_bytes())))
    state = make_state(1)
    progress = outcome(lambda: load_checkpoint(file, state, EPOCHS))
    if isinstance(progress, str):
        assert str(file) in progress
    else:
        assert (progress.epoch, progress.step, progress.examples) == (1, 2, 22)
        assert all(bool(tensor.isfinite().all()) for tensor in contents(state))


# ---- logs

ROWS = ["0,4,14,0.1,2.0,1.0,,,,,0.1,0.1,", "1,0,14,,,,0.5,0.5,0.5,0.5,,,", "1,2,22,0.1,1.5,1.0,,,,,0.1,0.1,"]
HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (ROWS, 3),
        (ROWS[:2], 2),
        ([], 0),
        ([*ROWS, "1,3,26,0.1,1.4,1.0,,,,,0.1,0.1,"], 3),
        ([*ROWS, f"{10**9},3,26,0.1,1.4,1.0,,,,,0.1,0.1,"], 3),
        ([*ROWS, "1,3"], 3),  # of a killed process: the last line end is missing
    ],
)
def test_log_is_continued_after_its_last_line_of_the_checkpoint(tmp_path: Path, rows: list[str], kept: int) -> None:
    end = "" if rows and rows[-1] == "1,3" else "\n"
    (tmp_path / "log.csv").write_text("\n".join([HEADER, *rows]) + end)
    with RunLog(tmp_path, PROGRESS) as log:
        assert log.file.read_text().splitlines() == [HEADER, *rows[:kept]]


def row(position: int, **values: str) -> list[str]:
    """Return the rows with some values of one replaced."""
    fields = dict(zip(COLUMNS, ROWS[position].split(","), strict=True)) | values
    return [*ROWS[:position], ",".join(fields.values()), *ROWS[position + 1 :]]


LOGS = {
    "other columns": ["a,b,c", "1,2,3"],
    "no columns": ["1,2,3"],
    "more values than columns": [HEADER, *(f"{line},1,2" for line in ROWS)],
    "columns in another order": [",".join(reversed(COLUMNS)), *(",".join(reversed(line.split(","))) for line in ROWS)],
    "another column": [HEADER + ",x", *(f"{line},1" for line in ROWS)],
    "repeated line": [HEADER, ROWS[0], *ROWS],
    "every line twice": [HEADER, *(line for line in ROWS for _ in range(2))],
    "decreasing steps": [HEADER, ROWS[2], ROWS[0]],
    "a quote": [HEADER, ROWS[0], '"' + ROWS[1]],
    "an empty line": [HEADER, ROWS[0], "", *ROWS[1:]],
    "too few values": [HEADER, "0,4", *ROWS[1:]],
    "NUL": [HEADER, "\0", *ROWS],
    "a huge field": [HEADER, "9" * 200_000],
    **{f"{name} {value}": [HEADER, *row(0, **{name: value})] for name, values in {
        "epoch": ("-1", "0.5", "x", "", "nan", "1e30", "inf", str(10**30)),
        "step": ("-1", "1.5", "x", "", "nan", "inf", str(10**30)),
        "examples": ("-1", "1.5", "x", "", "nan", "inf", str(10**30), "23", "400"),
        "learning_rate": ("x", "-1", "inf"),
        "loss": ("x", "", "nan", "inf", "-1", "1e300"),
        "gradient": ("x", "-1", "inf"),
        "gap": ("x", "1.5", "-1", "inf"),
        "hit_at_1": ("x", "2"),
        "update_pooling": ("x", "-1", "inf"),
    }.items() for value in values},
}  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("log", LOGS)
def test_log_of_another_training_or_with_invalid_numbers_is_refused(tmp_path: Path, log: str) -> None:
    content = "\n".join(LOGS[log]) + "\n"
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(UserError) as error, RunLog(tmp_path, PROGRESS):
        pass
    assert str(tmp_path / "log.csv") in str(error.value)
    assert str(error.value).endswith("Move the file away to continue without its lines.")
    assert len(str(error.value)) < 1000
    assert (tmp_path / "log.csv").read_text() == content


@pytest.mark.parametrize("create", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_folder_pipe_or_device_as_a_log_is_refused(tmp_path: Path, create: Callable[[Path], None]) -> None:
    create(tmp_path / "log.csv")
    with pytest.raises(UserError, match=r"log\.csv"), RunLog(tmp_path, PROGRESS):
        pass


def test_file_in_place_of_the_folder_of_tensorboard_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(UserError, match="log cannot be written"), RunLog(tmp_path, PROGRESS):
        pass


# ---- the whole command


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a run folder whose training was stopped in the second of two epochs."""
    root = tmp_path_factory.mktemp("stopped")

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if task == "epoch 2 of 2":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YT8M_HOME", str(root / "home"))
        patch.setattr(training_module, "LOG_STEPS", 1)
        with pytest.raises(TrainingStoppedError):
            train(tiny_experiment(root), root / "run", progress=stop)
        yield root / "run"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (CHECKPOINT, lambda file: file.write_bytes(b"garbage")),
        (CHECKPOINT, lambda file: rewritten(file, file, lambda tensors, position: position.update(step=10**9))),
        (CHECKPOINT, lambda file: (file.unlink(), os.mkfifo(file))),
        ("log.csv", lambda file: file.write_text(file.read_text() * 2)),
        ("metrics.json", lambda file: file.write_text("{")),
    ],
)
def test_training_with_a_hostile_file_ends_with_its_name_and_keeps_the_checkpoint(
    stopped: Path, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    run = shutil.copytree(stopped, tmp_path / "runs" / "run")
    damage(run / name)
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        train(tiny_experiment(stopped.parent), run)
    assert sorted(path.name for path in run.iterdir()) == before


def test_stopped_training_is_resumed(stopped: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stopped, tmp_path / "runs" / "run")
    assert train(tiny_experiment(stopped.parent), run).is_finished
