"""Point a run to data that lie elsewhere now, after checking that they are the data of the run."""

from dataclasses import replace

import numpy as np

from yt8m_core.data.dataset import Videos
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.segments import select_segments
from yt8m_core.data.vocabulary import Vocabulary, find_vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.evaluation import check_run_data, open_experiment_data
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.data_paths import rewrite_paths
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import exclusive_lock
from yt8m_core.training.splits import split_fold


def relocate(
    run: Run, *, train: str = "", validation: str = "", vocabulary: str = "", progress: Progress = silent
) -> Run:
    """Replace the paths of a run's data in its config, and name its labels that have no name in its vocabulary.

    Nothing else in the run folder changes.

    Args:
        run: A run, finished or not.
        train: Training data; empty to keep the path.
        validation: Validation data; empty to keep the path.
        vocabulary: Vocabulary file; empty to keep the path and the names.
        progress: Progress callback.

    Returns:
        The run with the new paths.

    Raises:
        UserError: There is nothing to replace; the data cannot be opened, or their features, labels, number of videos
            or ids are not those of the run; the vocabulary has other labels; or a training is running in the folder.
    """
    paths = {"train": train, "validation": validation, "vocabulary": vocabulary}
    given = {name: path for name, path in paths.items() if path}
    if not given:
        raise UserError(
            "no path to replace", where=f"run {run.path}", advice="Add --train, --validation or --vocabulary."
        )
    with exclusive_lock(run.path, "training or relocation"):
        run = Run.open(run.path)
        if validation and (fold := run.experiment.data.fold):
            raise UserError(
                f"validation data {validation}",
                where=f"run {run.path}",
                expected=f"none, because it validates on fold {fold} of its training data",
            )
        data = replace(run.experiment.data, **given)  # type: ignore[arg-type]
        moved = replace(run, experiment=replace(run.experiment, data=data))
        if train or vocabulary:
            _check_vocabulary(moved)
        for name in ("train", "validation"):
            if name in given:
                _check_videos(moved, name, progress)
        rewrite_paths(run.path, moved.experiment)
        if vocabulary:
            write_vocabulary(run.path / "vocabulary.csv", _add_names(run.vocabulary, read_vocabulary(vocabulary)))
    return Run.open(run.path)


def _add_names(own: Vocabulary, named: Vocabulary) -> Vocabulary:
    """Return a vocabulary with the names and topics of another one where it has none."""
    names = tuple(name or other for name, other in zip(own.names, named.names, strict=True))
    verticals = tuple(topic or other for topic, other in zip(own.verticals, named.verticals, strict=True))
    return replace(own, names=names, verticals=verticals)


def _check_vocabulary(run: Run) -> None:
    """Raise UserError where the vocabulary file of the training data, if any, has other labels than the run."""
    data = run.experiment.data
    file = data.vocabulary or find_vocabulary(data.train)
    if file is None:
        return
    advice = f"Add --vocabulary FILE; {run.path / 'vocabulary.csv'} has the labels of the run."
    try:
        found = read_vocabulary(file)
    except UserError as error:
        raise UserError(str(error), advice=advice) from None
    number, expected = found.num_classes, run.facts.num_classes
    if number != expected:
        raise UserError(f"{number:,} labels", where=str(file), expected=f"the {expected:,} of the run", advice=advice)
    if not run.vocabulary.fits(found):
        raise UserError("other label names", where=str(file), expected="those of the run", advice=advice)


def _check_videos(run: Run, split: str, progress: Progress) -> None:
    """Raise UserError where a split has other features, labels or videos than when the run was trained."""
    data, facts = run.experiment.data, run.facts
    path, bad_records = getattr(data, split), getattr(facts, f"{split}_bad_records")
    videos = open_experiment_data(run.experiment, path, skip_bad=bad_records > 0, progress=progress)
    check_run_data(run, videos, path)
    videos = labeled_videos(select_segments(videos, data.segments), data.unlabeled)
    parts = {split: videos}
    if data.fold:
        parts = dict(zip(("train", "validation"), split_fold(videos, data.fold), strict=True))
    for name, part in parts.items():
        expected = getattr(facts, f"{name}_videos")
        if len(part) != expected:
            kind = "training" if name == "train" else name
            raise UserError(
                f"{len(part):,} {kind} videos", where=path, expected=f"the {expected:,} that the run was trained with"
            )
        (_check_counts if name == "train" else _check_ids)(run, part, path)


def _check_counts(run: Run, videos: Videos, path: str) -> None:
    """Raise UserError where a label has another number of training videos than stored with the run, if stored."""
    expected = run.training_counts
    if expected is None:
        return
    counts = np.bincount(videos.label_values, minlength=len(expected))
    if len(different := np.flatnonzero(counts != expected)):
        label = int(different[0])
        raise UserError(
            f"{counts[label]:,} videos with label {label}",
            where=path,
            expected=f"{expected[label]:,}, as in the training data of the run",
        )


def _check_ids(run: Run, videos: Videos, path: str) -> None:
    """Raise UserError where a validation video is not among those with stored predictions, if stored."""
    if not (run.path / "predictions.parquet").exists():
        return
    known = set(run.predictions["id"])
    if (other := next((video for video in videos.ids if video not in known), None)) is not None:
        raise UserError(f"video '{other}'", where=path, expected="only the validation videos of the run")
