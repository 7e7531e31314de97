"""The command relocate, and the errors that name it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command import yt8m
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Training
from yt8m_core.inference.evaluation import evaluate
from yt8m_core.runs.run import Run
from yt8m_core.sharing.shared_copy import shared_files
from yt8m_core.storage.atomic import exclusive_lock
from yt8m_core.training.loop import train
from yt8m_core.training.relocation import relocate
from yt8m_core.training.splits import open_training_videos

ONE_EPOCH = Training(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run in ``runs/one``, and its data in ``moved``, where the run does not know them."""
    root = tmp_path_factory.mktemp("tiny")
    train(tiny_experiment(root / "data", training=ONE_EPOCH), root / "runs" / "one")
    shutil.move(root / "data", root / "moved")
    return root


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained / "runs" / "one", tmp_path / "run"))


def config_of(run: Run) -> dict[str, object]:
    config: dict[str, object] = json.loads((run.path / "config.json").read_text())
    return config


def message_of(monkeypatch: pytest.MonkeyPatch, *command: str | Path) -> str:
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, *command)
    return str(stopped.value)


def test_relocate_changes_the_paths_and_nothing_else(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    expected = config_of(run)
    monkeypatch.chdir(trained)
    yt8m(monkeypatch, "relocate", run.path, "--train", "moved/train", "--validation", "moved/validation")
    assert capsys.readouterr().out == (
        f"{run.path}, train: {trained}/moved/train\n{run.path}, validation: {trained}/moved/validation\n"
    )
    expected["experiment"]["data"] |= {  # type: ignore[index]
        name: f"{trained}/moved/{name}" for name in ("train", "validation")
    }
    expected["workspace"] = str(run.path.parent.parent)  # the folder of all temporary folders
    assert config_of(run) == expected
    assert list(config_of(run)["experiment"]) == list(expected["experiment"])  # type: ignore[call-overload]
    after = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    config = run.path / "config.json"
    assert {**after, config: b""} == {**before, config: b""}
    opened = Run.open(run.path)
    assert opened.facts == run.facts
    assert len(open_training_videos(opened)) == 120
    assert evaluate(opened, opened.experiment.data.validation).metrics["gap"] == run.metrics["validation"]["gap"]


def test_one_path_is_relocated_and_the_others_stay(run: Run, trained: Path, tmp_path: Path) -> None:
    own = run.experiment.data
    relocate(run, validation=str(trained / "moved" / "validation" / "*.tfrecord"))
    data = Run.open(run.path).experiment.data
    assert (data.train, data.validation) == (own.train, f"{trained}/moved/validation/*.tfrecord")
    write_vocabulary(tmp_path / "labels.csv", Vocabulary(tuple("abcdef"), ("",) * CLASSES))
    relocate(run, vocabulary=str(tmp_path / "labels.csv"))
    relocated = Run.open(run.path)
    assert relocated.experiment.data.vocabulary == str(tmp_path / "labels.csv")
    assert relocated.vocabulary.names == tuple("abcdef")  # the run had no names


def test_settings_of_a_config_of_an_older_version_are_kept(run: Run, trained: Path) -> None:
    """Such a config lacks entries, and a newer one may have others."""
    config = config_of(run)
    del config["facts"]["feature_norms"]  # type: ignore[attr-defined]
    del config["workspace"]
    config["origin"] = {"note": "ä", "number": 1e-08}
    (run.path / "config.json").write_text(json.dumps(config))
    relocate(run, train=str(trained / "moved" / "train"))
    changed = config_of(run)
    del changed["workspace"]
    config["experiment"]["data"]["train"] = f"{trained}/moved/train"  # type: ignore[index]
    assert changed == config


@pytest.mark.fault
def test_missing_data_of_a_run_are_reported_with_the_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = run.experiment.data
    advice = f"They are the validation data of run run. If you have them elsewhere: yt8m relocate {run.path} "
    message = message_of(monkeypatch, "evaluate", run.path, "--data", data.validation)
    assert message == f"yt8m: no file matches {data.validation}. {advice}--validation DATA"
    with pytest.raises(UserError, match=rf"no file matches {data.train}\. .*relocate {run.path} --train DATA"):
        open_training_videos(run)
    other = message_of(monkeypatch, "evaluate", run.path, "--data", tmp_path / "nowhere")
    assert "relocate" not in other
    spaced = shutil.copytree(run.path, tmp_path / "my run")
    message = message_of(monkeypatch, "evaluate", spaced, "--data", data.validation)
    assert f"yt8m relocate '{spaced}' --validation DATA" in message


def write_others(root: Path) -> None:
    """Write data sets that differ from the run's in one thing each."""
    write_tiny(root / "fewer", 119, seed=1)
    write_tiny(root / "other", 120, seed=3)  # as many videos, with other labels
    write_tiny(root / "ids", 40, seed=4)
    write_tiny(root / "unlabeled", 40, seed=2, labeled=False)
    (root / "empty").mkdir()
    for number in (CLASSES - 1, CLASSES + 1):
        write_vocabulary(root / f"{number}.csv", Vocabulary(tuple("abcdefg"[:number]), ("",) * number))
    (root / "broken.csv").write_text("nothing")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("flag", "name", "message"),
    [
        ("--train", "fewer", "fewer: found 119 training videos; expected the 120 that the run was trained with"),
        ("--train", "other", r"other: found \d+ videos with label 0; expected \d+, as in the training data of the run"),
        ("--validation", "fewer", "found 119 validation videos; expected the 40"),
        ("--validation", "ids", "found video '040000'; expected only the validation videos of the run"),
        ("--validation", "unlabeled", "no video has labels"),
        ("--train", "empty", r"empty: no \*\.tfrecord file"),
        ("--train", "nowhere", r"no file matches .*nowhere\. Use a"),
        ("--vocabulary", "5.csv", "5.csv: found 5 labels; expected the 6 of the run. Add --vocabulary FILE; "),
        ("--vocabulary", "7.csv", "found 7 labels; expected the 6"),
        ("--vocabulary", "broken.csv", "broken.csv.*Add --vocabulary FILE"),
        ("--vocabulary", "none.csv", "none.csv: cannot be read"),
    ],
)
def test_other_data_are_refused_and_the_config_stays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, name: str, message: str
) -> None:
    write_others(tmp_path)
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(SystemExit, match=message) as stopped:
        yt8m(monkeypatch, "relocate", run.path, flag, tmp_path / name)
    assert "relocate" not in str(stopped.value)
    assert (run.path / "config.json").read_bytes() == before
    assert not list(run.path.glob(".*"))


@pytest.mark.fault
def test_other_features_labels_and_names_are_refused(run: Run, trained: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "swapped", 120, seed=1)
    moved = trained / "moved"
    config = config_of(run)
    for entry, value, message in (
        (
            "schema",
            {"level": "frame", "streams": [["rgb", 24]]},
            r"rgb \(24\) \+ audio \(8\); expected .*rgb \(24\), wh",
        ),
        ("num_classes", 4, r"found label [45] of video .*; expected 0 to 3"),
    ):
        facts = {**config["facts"], entry: value, "feature_norms": []}  # type: ignore[dict-item]
        (run.path / "config.json").write_text(json.dumps({**config, "facts": facts}))
        with pytest.raises(UserError, match=message):
            relocate(run, train=str(moved / "train"))
    (run.path / "config.json").write_text(json.dumps(config))
    write_vocabulary(run.path / "vocabulary.csv", Vocabulary(tuple("abcdef"), ("",) * CLASSES))
    write_vocabulary(tmp_path / "names.csv", Vocabulary(tuple("abcdex"), ("",) * CLASSES))
    with pytest.raises(UserError, match=r"names\.csv: found other label names; expected those of the run"):
        relocate(run, train=str(moved / "train"), vocabulary=str(tmp_path / "names.csv"))
    write_vocabulary(tmp_path / "vocabulary.csv", Vocabulary(tuple("xyz"), ("",) * 3))  # beside the shards
    with pytest.raises(UserError, match=r"vocabulary\.csv: found 3 labels; expected the 6 of the run"):
        relocate(run, train=str(tmp_path / "swapped"))
    assert config_of(run) == config


def test_run_on_a_fold_has_no_validation_data(trained: Path, tmp_path: Path) -> None:
    moved = trained / "moved"
    data = Data(str(moved / "train"), "", streams=STREAMS, fold="2/5")
    run = train(tiny_experiment(moved, data=data, training=ONE_EPOCH), tmp_path / "a" / "fold")
    copy = shutil.copytree(moved / "train", tmp_path / "copy")
    with pytest.raises(UserError, match=r"expected none, because it validates on fold 2/5 of its training data"):
        relocate(run, validation=str(copy))
    relocate(run, train=str(copy))
    assert Run.open(run.path).experiment.data == Data(str(copy), "", streams=STREAMS, fold="2/5")
    write_tiny(tmp_path / "more", 125, seed=1)
    with pytest.raises(UserError, match=r"training videos; expected the"):
        relocate(run, train=str(tmp_path / "more"))


def test_unfinished_run_is_relocated_and_resumes(run: Run, trained: Path) -> None:
    for file in run.path.iterdir():
        if file.name not in ("config.json", "vocabulary.csv"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    moved = trained / "moved"
    relocated = relocate(run, train=str(moved / "train"), validation=str(moved / "validation"))
    assert train(relocated.experiment, run.path).is_finished


def test_shared_run_is_relocated_to_own_data(run: Run, trained: Path, tmp_path: Path) -> None:
    moved = trained / "moved"
    (tmp_path / "copy").mkdir()
    for name, file in shared_files(run, tmp_path / "copy", "ada/moe").items():
        if not (target := tmp_path / "copy" / name).exists():
            shutil.copy(file, target)
    pulled = Run.open(tmp_path / "copy")
    relocated = relocate(pulled, train=str(moved / "train"), validation=str(moved / "validation"))
    assert len(open_training_videos(relocated)) == 120


@pytest.mark.fault
def test_relocation_is_refused_during_a_training_and_keeps_the_config_where_it_fails(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run.path / "config.json").read_bytes()
    command = ("relocate", run.path, "--train", trained / "moved" / "train")
    with exclusive_lock(run.path, "training"):
        assert "another training or relocation is running in this folder" in message_of(monkeypatch, *command)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("yt8m_core.storage.atomic.os.replace", fail)
        assert "No space left on device" in message_of(patch, *command)
    assert (run.path / "config.json").read_bytes() == before
    assert not list(run.path.glob(".*"))
    assert "no path to replace. Add --train" in message_of(monkeypatch, "relocate", run.path)
    assert "is not a run folder" in message_of(monkeypatch, "relocate", tmp_path / "none", "--train", tmp_path)
    assert not (tmp_path / "none").exists()


def test_experiment_file_of_a_run_follows_its_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    train(tiny_experiment(home / "data", training=ONE_EPOCH), home / "runs" / "one")
    config = shutil.move(home, tmp_path / "moved") / "runs" / "one" / "config.json"
    yt8m(monkeypatch, "train", "--experiment", config, "--run", tmp_path / "again")
    assert "95% CI [" in capsys.readouterr().out
    assert Run.open(tmp_path / "again").experiment == Run.open(config.parent).experiment
    assert Run.open(tmp_path / "again").experiment.data.train == f"{tmp_path}/moved/data/train"
