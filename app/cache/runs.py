"""Runs and data sets of the workspace, listed once per script run; needs no torch."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd
import streamlit as st

from cache.loaders import HASH_FUNCS, DataSet, StampedRun, file_stamp, run_stamp
from yt8m_core.analysis import top_k_errors
from yt8m_core.data.schema import describe_schema, parse_streams
from yt8m_core.demo.runs import demo_experiments, demo_folder, is_ready, runs_folder, segments_folder
from yt8m_core.errors import UserError
from yt8m_core.runs import table
from yt8m_core.runs.run import Run, find_runs
from yt8m_core.storage.address import check_address, is_address, split_paths
from yt8m_core.storage.atomic import printable_name

AnyPath = TypeVar("AnyPath", str, Path)


@dataclass(frozen=True)
class Workspace:
    """The runs and data sets that were found, each by the key that links use."""

    runs: dict[str, StampedRun]  # finished and valid
    errors: dict[str, str]  # what is wrong with each other run
    data_sets: dict[str, DataSet]
    listed_paths: dict[str, str]  # of the data of the runs
    unfinished_folders: dict[str, tuple[Path, str]]  # path and stamp

    @cached_property
    def unfinished(self) -> dict[str, StampedRun]:
        """Runs that are in training or were stopped; those that cannot be opened are in ``errors``."""
        runs = {}
        for key, (path, stamp) in self.unfinished_folders.items():
            if (run := _open_unfinished_run(path, stamp)) is not None:
                runs[key] = _with_listed_paths(run, self.listed_paths)
        return runs

    @cached_property
    def table(self) -> pd.DataFrame:
        """All runs, finished or not, as in ``yt8m_core.runs.table.run_table``."""
        return _run_table((*self.runs.items(), *self.unfinished.items()))

    @cached_property
    def data_keys(self) -> dict[str, str]:
        """The key of the data set at each path."""
        return {data.path: key for key, data in self.data_sets.items()}

    def own_data(self, run_key: str) -> list[str]:
        """Return the data sets that a run was validated and trained on, by their keys."""
        if run_key not in self.runs:
            return []
        return [self.data_keys[path] for path in _own_paths(self.runs[run_key]) if path in self.data_keys]

    def is_own_data(self, data_key: str | None) -> bool:
        """Return whether any run was validated or trained on a data set."""
        return any(data_key in self.own_data(run_key) for run_key in self.runs)

    def misfit(self, run_key: str, data_key: str | None) -> str:
        """Return why a data set does not fit a run, as far as the runs that it was made for tell; empty if it does."""
        own = self.own_data(run_key)
        if not own or data_key in own:
            return ""
        run = self.runs[run_key]
        reasons = [_misfit(run, other) for key, other in self.runs.items() if data_key in self.own_data(key)]
        return min(reasons, key=len, default="")


def _own_paths(run: Run) -> list[str]:
    data = run.experiment.data
    return [path for path in (data.validation, data.train) if path]  # a run on a fold has no validation data


def _misfit(run: Run, other: Run) -> str:
    """Return why the data of another run do not fit a run; empty if they do."""
    own, found = run.facts, other.facts
    if not own.schema.accepts(found.schema):
        return f"It has {describe_schema(found.schema)}; the run reads {describe_schema(own.schema)}."
    if own.num_classes != found.num_classes:
        return f"It has {found.num_classes:,} labels; the run scores {own.num_classes:,}."
    return "" if run.vocabulary.fits(other.vocabulary) else "It has other labels than the run."


def find_workspace() -> Workspace:
    """List run folders and data sets, and open the runs."""
    folders, data_paths = search_paths()
    runs: dict[str, StampedRun] = {}
    errors: dict[str, str] = {}
    unfinished: dict[str, tuple[Path, str]] = {}
    for key, path in _keys(_run_folders(folders), parts=1).items():
        stamp = run_stamp(path)
        run = _open_run(path, stamp)
        if isinstance(run, StampedRun):
            runs[key] = run
            continue
        errors[key] = run
        if not os.path.lexists(path / "metrics.json"):
            unfinished[key] = path, stamp
    listed = _listed_paths([*data_paths, *(path for run in runs.values() for path in _own_paths(run))])
    runs = {key: _with_listed_paths(run, listed) for key, run in runs.items()}
    return Workspace(runs, errors, _data_sets(data_paths, runs.values(), listed), listed, unfinished)


def is_demo_ready() -> bool:
    """Return whether the demo world and its runs exist, as ``yt8m_core.demo.runs.is_ready``."""
    runs = [runs_folder() / name / file for name in demo_experiments() for file in ("config.json", "metrics.json")]
    return _is_demo_ready(
        file_stamp([*(folder / "world.json" for folder in (demo_folder(), segments_folder())), *runs])
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _is_demo_ready(stamp: str) -> bool:
    return is_ready()


def search_paths() -> tuple[list[Path], list[str]]:
    """Return the folders that are searched for runs, and the data sets that are listed besides those of the runs."""

    def absolute(path: str) -> str:
        return check_address(path) if is_address(path) else str(Path(path).expanduser().absolute())

    world = demo_folder()
    demo_data = [str(world / "validation"), str(world / "train")] if (world / "world.json").is_file() else []
    rated = segments_folder()
    demo_data += [str(rated / "validate")] if (rated / "world.json").is_file() else []
    folders, data = (map(absolute, split_paths(os.environ.get(name, ""))) for name in ("YT8M_RUNS", "YT8M_DATA"))
    return [runs_folder(), *map(Path, folders)], [*demo_data, *data]


def _run_folders(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        yield from [folder] if os.path.isfile(folder / "config.json") else find_runs(folder)


def _listed_paths(paths: Iterable[str]) -> dict[str, str]:
    """Map each path to the first one that leads to the same place, such as through a link or ``..``."""
    first: dict[str, str] = {}
    places = {path: path if is_address(path) else os.path.realpath(path) for path in paths}
    return {path: first.setdefault(place, path) for path, place in places.items()}


def _with_listed_paths(run: StampedRun, listed: Mapping[str, str]) -> StampedRun:
    """Return a run whose data have the paths that are listed."""
    if all(listed.get(path, path) == path for path in _own_paths(run)):
        return run
    return replace(run, experiment=run.experiment.map_paths(lambda path: listed.get(path, path)))


def _data_sets(named: Iterable[str], runs: Iterable[Run], listed: Mapping[str, str]) -> dict[str, DataSet]:
    run_data = {
        path: DataSet(path, run.experiment.data.vocabulary, run.experiment.data.streams, run)
        for run in runs
        for path in _own_paths(run)
    }
    paths = _keys([*(listed[path] for path in named), *run_data], parts=2)
    streams = parse_streams(os.environ.get("YT8M_STREAMS", "").split())
    return {key: run_data.get(path, DataSet(path, streams=streams)) for key, path in paths.items()}


def _keys(paths: Iterable[AnyPath], parts: int) -> dict[str, AnyPath]:
    """Key paths and addresses by their last parts, with a digest of the whole path where two share those."""
    keyed: dict[str, AnyPath] = {}
    for path in dict.fromkeys(paths):
        place = path.partition("://")[2] if isinstance(path, str) and is_address(path) else path
        key = printable_name("/".join(Path(place).parts[-parts:]))
        keyed[f"{key} {hashlib.sha256(os.fsencode(path)).hexdigest()[:4]}" if key in keyed else key] = path
    return keyed


@st.cache_resource(max_entries=4096, show_spinner=False)
def _open_run(path: Path, stamp: str) -> StampedRun | str:
    """Open a finished run, or return what is wrong with it."""
    try:
        run = _stamped(Run.open(path), stamp)
        _ = run.metrics
        num_names = run.vocabulary.num_classes
    except UserError as error:
        return str(error)
    if num_names != run.facts.num_classes:
        return f"{path / 'vocabulary.csv'}: names {num_names} labels, but the run scores {run.facts.num_classes}."
    return run


@st.cache_resource(max_entries=4096, show_spinner=False)
def _open_unfinished_run(path: Path, stamp: str) -> StampedRun | None:
    with contextlib.suppress(UserError):
        return _stamped(Run.open(path), stamp)
    return None


def _stamped(run: Run, stamp: str) -> StampedRun:
    return StampedRun(run.path, run.experiment, run.facts, stamp)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=HASH_FUNCS)
def _run_table(runs: tuple[tuple[str, StampedRun], ...]) -> pd.DataFrame:
    return table.run_table(dict(runs))


def training_log(run: Run) -> pd.DataFrame:
    """Return the training log of a run, up to now where the run is in training.

    Raises:
        UserError: There is no log.
    """
    return _training_log(run, file_stamp([run.path / "log.csv"]))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def _training_log(run: Run, stamp: str) -> pd.DataFrame:
    return run.log


@dataclass(frozen=True)
class Findings:
    """Results on the stored top 20 labels of a run's validation videos."""

    hardest: top_k_errors.HardestVideo | None
    false_positive: top_k_errors.FalsePositive | None  # the most confident one
    bands: pd.DataFrame


@st.cache_resource(max_entries=16, show_spinner="Reading the predictions of the run…", hash_funcs=HASH_FUNCS)
def findings(run: Run) -> Findings:
    """Find what is worth a look in a run.

    Raises:
        UserError: The stored predictions are missing.
    """
    predictions = run.predictions
    return Findings(
        top_k_errors.hardest_video(predictions),
        top_k_errors.most_confident_false_positive(predictions),
        top_k_errors.recall_by_band(predictions, run.facts.num_classes),
    )
