"""Each argument that names a path, with paths of other types: every command ends soon, with a sentence."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import yt8m
from tests.support.command_arguments import arguments
from tests.support.hostile_paths import KINDS, SPECIAL, copy_to_undecodable_name, time_limit
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.training.loop import train

SECONDS = 30
FAST = ("--streams", *(f"{name}:{width}" for name, width in STREAMS))
TRAINING = (*FAST, "--epochs", "1", "--batch-size", "64", "--classification", "logistic")
TEXTS = {  # arguments that take a text, a number or a name, and no path
    "partition", "mirror", "fraction", "id_column", "label_column", "streams", "normalization", "schedule", "precision",
    "pool_once", "unlabeled", "allow", "fold", "average", "tables", "table", "scale", "license_id", "repo", "revision",
}  # fmt: skip
# Folders in which a command makes files, after work that takes minutes or a network; ``mkdir`` refuses other types.
FOLDERS = {("download", "output"), ("ablate", "output"), ("readings", "output"), ("pull", "run")}
SERVED = {("app", "runs"), ("app", "data")}  # tests/app/test_faults.py
# By command and argument: the command line with the hostile path as {path}; what a valid one is; its ending.
MATRIX: dict[tuple[str, str], tuple[list[str], str, str]] = {
    ("import", "features"): (["{path}", "--output", "{out}/i", "--yes"], "features", ".npz"),
    ("import", "output"): (["{root}/features.npz", "--output", "{path}", "--yes"], "train", ""),
    ("import", "labels"): (["{root}/features.npz", "--output", "{out}/i", "--labels", "{path}"], "labels", ".csv"),
    ("import", "vocabulary"): (
        ["{root}/features.npz", "--output", "{out}/i", "--labels", "{root}/labels.csv", "--vocabulary", "{path}"],
        "vocabulary",
        ".csv",
    ),
    ("index", "data"): (["{path}", *FAST], "train", ""),
    ("labels", "data"): (["{path}", *FAST], "train", ""),
    ("labels", "vocabulary"): (["{root}/train", *FAST, "--vocabulary", "{path}"], "vocabulary", ".csv"),
    ("missing-labels", "train"): (["--train", "{path}", "--output", "{out}/c.csv", *TRAINING], "train", ""),
    ("missing-labels", "output"): (
        ["--train", "{root}/train", "--output", "{path}", "--folds", "2", *TRAINING], "labels", ".csv",
    ),
    ("missing-labels", "run_folder"): (
        ["--train", "{root}/train", "--output", "{out}/c.csv", "--folds", "2", "--run-folder", "{path}", *TRAINING],
        "train",
        "",
    ),
    ("missing-labels", "vocabulary"): (
        ["--train", "{root}/train", "--output", "{out}/c.csv", "--folds", "2", "--vocabulary", "{path}", *TRAINING],
        "vocabulary",
        ".csv",
    ),
    ("train", "run"): (
        ["--train", "{root}/train", "--validation", "{root}/validation", "--run", "{path}", *TRAINING], "run", "",
    ),
    ("train", "train"): (
        ["--train", "{path}", "--validation", "{root}/validation", "--run", "{out}/r", *TRAINING], "train", "",
    ),
    ("train", "validation"): (
        ["--train", "{root}/train", "--validation", "{path}", "--run", "{out}/r", *TRAINING], "validation", "",
    ),
    ("train", "vocabulary"): (
        ["--train", "{root}/train", "--validation", "{root}/validation", "--run", "{out}/r", "--vocabulary", "{path}",
         *TRAINING],
        "vocabulary",
        ".csv",
    ),
    ("train", "init"): (
        ["--train", "{root}/train", "--validation", "{root}/validation", "--run", "{out}/r", "--init", "{path}",
         *TRAINING],
        "run",
        "",
    ),
    ("train", "experiment"): (["--run", "{out}/r", "--experiment", "{path}"], "run/config.json", ".json"),
    ("evaluate", "run"): (["{path}", "--data", "{root}/validation"], "run", ""),
    ("evaluate", "data"): (["{root}/run", "--data", "{path}"], "validation", ""),
    ("calibrate", "run"): (["{path}", "--data", "{root}/validation"], "run", ""),
    ("calibrate", "data"): (["{root}/run", "--data", "{path}"], "validation", ""),
    ("predict", "run"): (["{path}", "--data", "{root}/validation", "--output", "{out}/p.csv"], "run", ""),
    ("predict", "features"): (["{root}/run", "{path}"], "features", ".npz"),
    ("predict", "data"): (["{root}/run", "--data", "{path}", "--output", "{out}/p.csv"], "validation", ""),
    ("predict", "output"): (["{root}/run", "--data", "{root}/validation", "--output", "{path}"], "labels", ".csv"),
    ("predict", "vocabulary"): (
        ["{root}/run", "--data", "{root}/validation", "--output", "{out}/p.csv", "--segments", "all", "--vocabulary",
         "{path}"],
        "vocabulary",
        ".csv",
    ),
    ("submission", "file"): (["{path}", "--vocabulary", "{root}/vocabulary.csv"], "submission", ".csv"),
    ("submission", "vocabulary"): (["{root}/submission.csv", "--vocabulary", "{path}"], "vocabulary", ".csv"),
    ("submission", "data"): (
        ["{root}/submission.csv", "--vocabulary", "{root}/vocabulary.csv", "--data", "{path}"], "validation", "",
    ),
    ("ensemble", "members"): (["{path}", "--data", "{root}/validation"], "scores", ".csv"),
    ("ensemble", "data"): (["{root}/run", "--data", "{path}"], "validation", ""),
    ("ensemble", "output"): (["{root}/run", "--data", "{root}/validation", "--output", "{path}"], "labels", ".csv"),
    ("export", "run"): (["{path}", "--output", "{out}/e.pt2"], "run", ""),
    ("export", "output"): (["{root}/run", "--output", "{path}"], "labels", ".pt2"),
    ("relocate", "run"): (["{path}", "--train", "{root}/train"], "run", ""),
    ("relocate", "train"): (["{run}", "--train", "{path}"], "train", ""),
    ("relocate", "validation"): (["{run}", "--validation", "{path}"], "validation", ""),
    ("relocate", "vocabulary"): (["{run}", "--vocabulary", "{path}"], "vocabulary", ".csv"),
    ("card", "run"): (["{path}", "--output", "{out}/README.md"], "run", ""),
    ("card", "output"): (["{root}/run", "--output", "{path}"], "labels", ".md"),
    ("push", "run"): (["{path}", "owner/name"], "run", ""),
}  # fmt: skip
OUTPUTS = {"output", "run_folder"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with valid values of all arguments."""
    root = tmp_path_factory.mktemp("valid")
    train(tiny_experiment(root), root / "run")
    np.savez(root / "features.npz", rgb=np.ones((3, 24), np.uint8), audio=np.ones((3, 8), np.uint8))
    (root / "labels.csv").write_text("id,label\nfeatures,cat\n")
    (root / "vocabulary.csv").write_text("id,name\n" + "".join(f"{label},label{label}\n" for label in range(6)))
    (root / "submission.csv").write_text("Class,Segments\n" + "".join(f"{label},v:0\n" for label in range(6)))
    with pytest.MonkeyPatch.context() as patch:
        yt8m(patch, "predict", root / "run", "--data", root / "validation", "--output", root / "scores.csv")
    return root


def valid_path(root: Path, name: str) -> Path:
    return next(path for path in (root / name, root / f"{name}.csv", root / f"{name}.npz") if path.exists())


def run_command(patch: pytest.MonkeyPatch, root: Path, out: Path, command: str, template: list[str], path: Path) -> str:
    """Run a command; return its sentence, or an empty text if it succeeds."""
    patch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    run = out / "run"
    if any("{run}" in part for part in template):
        shutil.copytree(root / "run", run)
    texts = [part.format(path=path, root=root, out=out, run=run) for part in template]
    return ended(patch, command, *texts)


def ended(patch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """Run a command; return its sentence, or an empty text if it succeeds."""
    with time_limit(SECONDS):
        try:
            yt8m(patch, *arguments)
        except SystemExit as end:
            return str(end.code)
    return ""


def test_every_argument_that_may_name_a_path_has_an_entry() -> None:
    found = {(one.command, one.name) for one in arguments() if one.may_be_path and one.name not in TEXTS}
    assert found == MATRIX.keys() | FOLDERS | SERVED
    assert {one.name for one in arguments()} >= TEXTS


@pytest.mark.fault
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("command", "argument"), MATRIX)
def test_path_of_another_type_ends_soon_with_a_sentence(
    command: str, argument: str, kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, valid, ending = MATRIX[command, argument]
    path = tmp_path / f"hostile{ending}"
    KINDS[kind](path, valid_path(root, valid))
    before = path.lstat()
    sentence = run_command(monkeypatch, root, tmp_path, command, template, path)
    assert sentence.startswith("yt8m: ") or (not sentence and argument in OUTPUTS | {"run", "vocabulary"}), sentence
    assert "an error of this program" not in sentence
    assert len(sentence) < 1000
    if kind in SPECIAL:
        assert sentence
        assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(before.st_mode)


@pytest.mark.fault
@pytest.mark.parametrize(("command", "argument"), MATRIX)
def test_name_that_is_not_utf8_is_used_or_refused(
    command: str, argument: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, valid, ending = MATRIX[command, argument]
    path = copy_to_undecodable_name(valid_path(root, valid), tmp_path)
    if argument in OUTPUTS:
        path = tmp_path / os.fsdecode(b"\xff" + ending.encode())
    sentence = run_command(monkeypatch, root, tmp_path, command, template, path)
    assert not sentence or sentence.startswith("yt8m: ")
    assert "an error of this program" not in sentence
    sentence.encode()


@pytest.mark.fault
@pytest.mark.parametrize("kind", SPECIAL)
def test_pipe_or_device_in_a_run_folder_ends_each_command_soon(
    kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(path.name for path in (root / "run").iterdir() if path.is_file())
    assert len(files) >= 6
    data = root / "validation"
    for name in files:
        run = tmp_path / f"without {name}"
        shutil.copytree(root / "run", run)
        (run / name).unlink()
        KINDS[kind](run / name, root / "run" / name)
        for command in (
            ("evaluate", run, "--data", data), ("calibrate", run, "--data", data), ("card", run),
            ("predict", run, "--data", data, "--output", tmp_path / "p.csv", "--threshold", "calibrated"),
            ("train", "--experiment", root / "run" / "config.json", "--run", run),
        ):  # fmt: skip
            sentence = ended(monkeypatch, *command)
            assert not sentence or sentence.startswith("yt8m: "), (name, command)
            assert "an error of this program" not in sentence, (name, command)
