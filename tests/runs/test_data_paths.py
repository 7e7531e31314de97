"""Paths of a run's data when its workspace or its folder is moved, copied or linked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.data.schema import Schema
from yt8m_core.data.vocabulary import unnamed_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.runs.run import Facts, Run
from yt8m_core.sharing.shared_copy import shared_experiment
from yt8m_core.training.loop import train

FACTS = Facts(Schema("frame", STREAMS), 3, "sample", 7, 5)


def put(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def create(folder: Path, data: Data, init: str = "") -> Run:
    return Run.create(folder, Experiment(data, init=init), FACTS, unnamed_vocabulary(3))


def stored(folder: Path) -> dict[str, object]:
    config: dict[str, object] = json.loads((folder / "config.json").read_text())
    return config


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a workspace with two runs, the second from the weights of the first, on globs with a vocabulary."""
    home = tmp_path / "home"
    put(*(home / "data" / name for name in ("train0.tfrecord", "train1.tfrecord", "validate0.tfrecord", "labels.csv")))
    data = home / "data"
    named = Data(str(data / "train*.tfrecord"), str(data / "validate0.tfrecord"), str(data / "labels.csv"))
    create(home / "runs" / "first", named)
    create(home / "runs" / "second", named, init=str(home / "runs" / "first"))
    return home


def paths(run: Run) -> list[str]:
    data = run.experiment.data
    return [data.train, data.validation, data.vocabulary, run.experiment.init]


def expected_paths(home: Path) -> list[str]:
    names = ("data/train*.tfrecord", "data/validate0.tfrecord", "data/labels.csv", "runs/first")
    return [f"{home}/{name}" for name in names]


@pytest.mark.fault
@pytest.mark.parametrize("place", [shutil.copytree, shutil.move])
def test_paths_follow_a_workspace_that_is_copied_or_moved(
    home: Path, tmp_path: Path, place: Callable[[Path, Path], object]
) -> None:
    assert paths(Run.open(home / "runs" / "second")) == expected_paths(home)
    assert stored(home / "runs" / "second")["workspace"] == str(home)
    place(home, tmp_path / "other" / "place")
    run = Run.open(tmp_path / "other" / "place" / "runs" / "second")
    assert paths(run) == expected_paths(tmp_path / "other" / "place")
    if home.exists():
        assert paths(Run.open(home / "runs" / "second")) == expected_paths(home)


def test_paths_follow_a_workspace_that_is_moved_twice_and_written_between(home: Path, tmp_path: Path) -> None:
    second = shutil.move(home, tmp_path / "second")
    run = Run.open(second / "runs" / "second")
    Run.create(run.path, run.experiment, run.facts, run.vocabulary)  # as a training that resumes
    assert stored(run.path)["workspace"] == str(second)
    third = shutil.move(second, tmp_path / "third")
    assert paths(Run.open(third / "runs" / "second")) == expected_paths(third)


@pytest.mark.fault
def test_run_folder_that_is_copied_alone_keeps_its_data(home: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "alone", tmp_path / "a" / "b" / "c" / "alone", home / "runs" / "renamed"):
        shutil.copytree(home / "runs" / "second", folder)
        assert paths(Run.open(folder)) == expected_paths(home)


def test_each_path_follows_only_where_something_lies_there(home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(home, tmp_path / "copy")
    (copy / "data" / "validate0.tfrecord").unlink()
    for shard in (copy / "data").glob("train*"):
        shard.unlink()
    names = expected_paths(home)
    assert paths(Run.open(copy / "runs" / "second")) == [*names[:2], *expected_paths(copy)[2:]]
    (copy / "data" / "train7.tfrecord").touch()
    assert paths(Run.open(copy / "runs" / "second"))[0] == expected_paths(copy)[0]


def test_glob_over_folders_follows_the_folder_that_has_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(home / "data" / "a" / "0.tfrecord")
    create(home / "runs" / "one", Data(f"{home}/data/*/*.tfrecord", f"{home}/data/[ab]/?.tfrecord"))
    copy = shutil.copytree(home, tmp_path / "copy")
    assert paths(Run.open(copy / "runs" / "one"))[:2] == [f"{copy}/data/*/*.tfrecord", f"{copy}/data/[ab]/?.tfrecord"]
    shutil.rmtree(copy / "data")
    assert paths(Run.open(copy / "runs" / "one"))[0] == f"{home}/data/*/*.tfrecord"


def test_workspace_with_characters_of_globs_in_its_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(home / "data" / "train.tfrecord")
    create(home / "runs" / "one", Data(f"{home}/data/train.tfrecord", f"{home}/data"))
    moved = shutil.move(home, tmp_path / "home [1] *")
    assert paths(Run.open(moved / "runs" / "one"))[:2] == [f"{moved}/data/train.tfrecord", f"{moved}/data"]


def test_data_outside_the_workspace_keep_their_paths(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "shards" / "train" / "a.tfrecord", tmp_path / "home2" / "b.tfrecord")
    outside = Data(f"{tmp_path}/shards/train", f"{tmp_path}/home2")
    create(home / "runs" / "outside", outside)
    assert "workspace" not in stored(home / "runs" / "outside")
    mixed = Data(f"{home}/data", f"{tmp_path}/shards/train")
    create(home / "runs" / "mixed", mixed)
    moved = shutil.move(home, tmp_path / "deep" / "er" / "home")
    put(tmp_path / "deep" / "er" / "shards" / "train" / "a.tfrecord")
    assert Run.open(moved / "runs" / "outside").experiment.data == outside
    assert Run.open(moved / "runs" / "mixed").experiment.data == replace(mixed, train=f"{moved}/data")


def test_home_folder_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namesake in the home folder of another person is other data."""
    ada, bob = tmp_path / "ada", tmp_path / "bob"
    put(ada / "data" / "a.tfrecord", bob / "data" / "a.tfrecord")
    monkeypatch.setenv("HOME", str(ada))
    for folder in (Path("runs", "one"), Path("one")):
        create(ada / folder, Data(f"{ada}/data", f"{ada}/data"))
        assert "workspace" not in stored(ada / folder)
        shutil.copytree(ada / folder, bob / folder)
        assert paths(Run.open(bob / folder))[0] == f"{ada}/data"
    project = ada / "project"
    create(project / "runs" / "one", Data(f"{project}/data", f"{ada}/data"))
    assert stored(project / "runs" / "one")["workspace"] == str(project)


def test_relative_paths_and_names_of_shared_data_stay_as_they_are(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    for name, experiment in (
        ("relative", Experiment(Data("data", "../home/data"))),
        ("shared", shared_experiment(Run.open(home / "runs" / "second").experiment, "ada/moe")),
    ):
        run = Run.create(home / "runs" / name, experiment, FACTS, unnamed_vocabulary(3))
        assert "workspace" not in stored(run.path)
        assert str(tmp_path) not in (run.path / "config.json").read_text()
        copy = shutil.copytree(run.path, tmp_path / "copy" / "runs" / name)
        assert Run.open(copy).experiment == experiment


def test_linked_workspace_and_paths_with_dots(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    assert paths(Run.open(link / "runs" / "second")) == expected_paths(link)
    create(home / "runs" / "dots", Data(f"{home}/runs/../data/train0.tfrecord", f"{home}/data/../../nowhere"))
    assert paths(Run.open(home / "runs" / "dots"))[0] == f"{home}/runs/../data/train0.tfrecord"
    moved = shutil.move(home, tmp_path / "moved")
    assert paths(Run.open(moved / "runs" / "dots"))[:2] == [
        f"{moved}/data/train0.tfrecord",
        f"{home}/data/../../nowhere",
    ]


@pytest.mark.fault
def test_config_of_an_older_version_opens_as_before(home: Path, tmp_path: Path) -> None:
    for folder in (home / "runs").iterdir():
        config = stored(folder)
        del config["workspace"]
        (folder / "config.json").write_text(json.dumps(config))
    copy = shutil.copytree(home, tmp_path / "copy")
    assert paths(Run.open(copy / "runs" / "second")) == expected_paths(home)


@pytest.mark.fault
@pytest.mark.parametrize("value", [3, "", "data", [], {"a": 1}, False])
def test_invalid_workspace_is_refused(home: Path, value: object) -> None:
    folder = home / "runs" / "second"
    (folder / "config.json").write_text(json.dumps({**stored(folder), "workspace": value}))
    with pytest.raises(UserError, match=r"config\.json: workspace: found .*; expected an absolute path"):
        Run.open(folder)


def test_paths_do_not_leave_the_workspace(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "secret")
    folder = home / "runs" / "second"
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["data"]["train"] = "/elsewhere/../secret"
    (folder / "config.json").write_text(json.dumps({**config, "workspace": "/elsewhere"}))
    assert paths(Run.open(folder))[0] == "/elsewhere/../secret"


@pytest.mark.parametrize("finished", [True, False])
def test_training_resumes_in_a_moved_or_linked_workspace(tmp_path: Path, finished: bool) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    run = train(tiny_experiment(home), home / "runs" / "one")
    if not finished:
        (run.path / "metrics.json").unlink()
    shutil.move(home, moved)
    resumed = train(tiny_experiment(moved), moved / "runs" / "one")
    assert resumed.is_finished
    assert Run.open(resumed.path).experiment == tiny_experiment(moved)
    home.symlink_to(moved)
    again = train(tiny_experiment(home), moved / "runs" / "one")  # the data through the link, the run without
    assert again.path == resumed.path
    with pytest.raises(UserError, match=r"another experiment.*train: "):
        train(tiny_experiment(tmp_path / "others"), moved / "runs" / "one")
