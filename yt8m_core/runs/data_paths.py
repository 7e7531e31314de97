"""Paths of a run's data in its ``config.json``, which follow the run folder when its workspace is moved or copied.

The workspace of a run folder is the folder two levels up: W of ``W/runs/NAME`` and of ``W/ablations/DIGEST``. The
config has absolute paths, and the workspace as it was then. Where the run folder lies in another workspace now, each
path inside the former one is looked up at the same place in the present one. If nothing lies there, the path stays as
it is, because a run folder is also copied alone, without its data.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic, iglob
from pathlib import Path
from typing import TYPE_CHECKING

from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.experiment import DATA_PATHS, Experiment
from yt8m_core.storage.json_file import read_json, write_json

if TYPE_CHECKING:
    from yt8m_core.runs.run import Run


def workspace_entry(folder: Path, experiment: Experiment) -> dict[str, str]:
    """Return the entry ``workspace`` of the config in a run folder; none where no path lies in the workspace."""
    root = _workspace_of(folder)
    paths = [getattr(experiment.data, name) for name in DATA_PATHS] + [experiment.init]
    is_used = root is not None and any(_place_inside(path, str(root)) is not None for path in paths)
    return {"workspace": str(root)} if is_used else {}


def follow_workspace(experiment: Experiment, stored: object, folder: Path) -> Experiment:
    """Return the experiment with its paths in the workspace in which its run folder lies now.

    Args:
        experiment: The experiment of a config.
        stored: The config's entry ``workspace``; None where it has none.
        folder: The folder of the config.

    Raises:
        UserError: The entry is not an absolute path.
    """
    root = _workspace_of(folder)
    if stored is None:
        return experiment
    if not isinstance(stored, str) or not os.path.isabs(stored):
        raise UserError(ascii(stored)[:80], where="workspace", expected="an absolute path")
    if root is None or str(root) == stored:
        return experiment

    def follow(path: str) -> str:
        place = _place_inside(path, stored)
        return str(root / place) if place is not None and _exists(root / place) else path

    return experiment.map_paths(follow)


def rewrite_paths(folder: Path, experiment: Experiment) -> None:
    """Replace the paths in the config of a run folder by those of an experiment, and leave everything else."""
    file = folder / "config.json"
    config = read_json(file, missing=f"no file {file}")
    config.pop("workspace", None)
    config["experiment"]["data"] |= {name: getattr(experiment.data, name) for name in DATA_PATHS}
    if experiment.init:
        config["experiment"]["init"] = experiment.init
    write_json(file, {**config, **workspace_entry(folder, experiment)})


@contextmanager
def advise_relocation(run: "Run", data: str | Path) -> Iterator[None]:
    """Name the command that points a run to its data where DATA are its own and no longer there."""
    try:
        yield
    except MissingDataError as error:
        own = run.experiment.data
        for option, kind in (("train", "training"), ("validation", "validation")):
            if str(data) == getattr(own, option):
                command = f"yt8m relocate {shlex.quote(str(run.path))} --{option} DATA"
                advice = f"They are the {kind} data of run {run.name}. If you have them elsewhere: {command}"
                raise MissingDataError(error.found, advice=advice) from None
        raise


def _workspace_of(folder: Path) -> Path | None:
    """Return the workspace of a run folder; None for the home folder and those above, whose files are unrelated."""
    root = Path(os.path.abspath(folder)).parent.parent
    return None if Path(os.path.expanduser("~")).is_relative_to(root) or root == root.parent else root


def _place_inside(path: str, workspace: str) -> Path | None:
    """Return an absolute path or glob relative to a workspace; None where it lies outside."""
    place = Path(os.path.normpath(path))
    return place.relative_to(workspace) if path and place.is_relative_to(workspace) else None


def _exists(path: Path) -> bool:
    """Whether a file, a folder or a match of a glob exists. Of a glob over folders, the folder that has them must."""
    folder = path.parent
    while has_magic(str(folder)) and not os.path.isdir(folder):
        folder = folder.parent
    if folder != path.parent:
        return os.path.isdir(folder)
    return os.path.exists(path) or any(True for _ in iglob(path.name, root_dir=folder))
