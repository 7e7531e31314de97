"""Commands on runs: train, evaluate, predict, ensemble and relocate."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from yt8m_core.cli.arguments import (
    Accelerator,
    Allowed,
    Precision,
    RunArgument,
    absolute,
    choose_device,
    format_gap,
)
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.processes.group import open_group
from yt8m_core.progress import console_progress, silent
from yt8m_core.runs.data_paths import follow_workspace
from yt8m_core.storage.json_file import read_json
from yt8m_core.storage.typed_json import check_number

Flags = Annotated[Experiment, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="experiment")]


def train_command(arguments: Sequence[str]) -> Callable[..., None]:
    """Return the command ``train`` with the defaults of the ``--experiment`` file among its arguments.

    Raises UserError for a file that cannot be read or is not an experiment.
    """
    defaults = _default_experiment(arguments) if arguments[:1] == ["train"] else Experiment(Data("", ""))

    def train(
        run: Path,
        flags: Flags = defaults,
        experiment: Path | None = None,
        skip_bad: bool = False,
        allow: Allowed = (),
        accelerator: Accelerator = None,
    ) -> None:
        """Train an experiment. The same command resumes an interrupted training.

        A slot is a name, or a name with options: --classification "moe(experts=16)". Defaults are the paper's, or those
        of --experiment.

        On several GPUs or machines: torchrun --standalone --nproc-per-node 8 -m -- yt8m_core train …

        Args:
            run: Run folder to write.
            flags: Experiment.
            experiment: JSON file with the defaults of the flags, for example the config.json of a run.
            skip_bad: Skip bad records and list them. Without it, the first one is an error.
            allow: Data checks that do not stop the training: repeated-labels, constant-features, shared-videos.
        """
        from yt8m_core.training.loop import train as train_experiment
        from yt8m_core.training.step import configure_training_process

        init = absolute(flags.init) if flags.init and flags.init != defaults.init else flags.init
        settings = replace(flags, data=_absolute_data(flags.data, defaults.data), init=init)
        choose_device(accelerator)
        configure_training_process()
        trained = train_experiment(settings, run, skip_bad=skip_bad, allow=allow, progress=console_progress())
        if os.environ.get("RANK", "0") == "0":  # one of torchrun's processes prints
            origin = f", from the weights of {trained.experiment.init}" if trained.experiment.init else ""
            print(f"{trained.path}: {trained.experiment}{origin}")
            print(f"{format_gap(trained.metrics['validation'])} ({trained.facts.scale})")

    return train


def evaluate(
    run: RunArgument,
    data: str,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
    unlabeled: str = "",
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Evaluate a run on a data set.

    Args:
        run: Run folder.
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        as_json: Print the metrics as JSON.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        unlabeled: Videos without labels: error, skip to leave them out, or negative if they have none of the labels.
            Default: as in the training of the run.
        allow: Data checks that do not stop the evaluation: repeated-labels, constant-features, other-scale.
    """
    from yt8m_core.inference.evaluation import evaluate as evaluate_run
    from yt8m_core.runs.run import Run

    choose_device(accelerator, precision)
    opened = Run.open(run)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        evaluation = evaluate_run(
            opened, data, skip_bad=skip_bad, unlabeled=unlabeled, allow=allow, group=group, progress=progress
        )
    if not group.is_first:
        return
    metrics = evaluation.metrics
    if as_json:
        print(json.dumps({"run": str(run), "data": data, "bad_records": evaluation.bad_records, **metrics}))
        return
    print(f"{opened.path} on {data}: {format_gap(metrics)}")
    for name, value in metrics.items():
        print(f"  {name}: {value:.6g}")


def predict(
    run: RunArgument,
    features: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FEATURES]")] = None,
    data: str = "",
    output: Path | None = None,
    threshold: Annotated[float | Literal["calibrated"] | None, tyro.conf.arg(metavar="{NUMBER,calibrated}")] = None,
    top: int = 5,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Print the top labels of the videos in a feature file, or write the predictions of a data set.

    FEATURES is any file that `yt8m import` takes, such as features.npz. With --data and --output, a .csv file has the
    format of the 2017 and 2018 Kaggle competitions, with the 20 top labels of each video; a .parquet file has all
    scores. Both can be members of an ensemble. With --threshold, both have the labels at or above it, however many.

    Args:
        run: Run folder.
        features: Feature file, or a folder of them.
        data: A shard, a folder of shards, or a glob, on a disk or at an address. Labels are not needed.
        output: File to write, .csv or .parquet.
        threshold: Threshold of all labels, from 0 to 1; or calibrated, for the threshold of each label that `yt8m
            calibrate` chose on one half of its data.
        top: Number of labels to print per video of FEATURES.
        as_json: Print the labels of FEATURES as one JSON object per line.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        allow: Data checks that do not stop the prediction: other-scale.
    """
    from yt8m_core.inference.feature_files import predict_file
    from yt8m_core.inference.prediction import predict as predict_run
    from yt8m_core.runs.run import Run

    if (features is None) == (not data) or bool(data) != (output is not None):
        raise UserError(
            "no videos to predict, or two kinds of them",
            expected="a feature file, or --data and --output",
            advice="yt8m predict RUN features.npz, or yt8m predict RUN --data DATA --output predictions.csv.",
        )
    choose_device(accelerator, precision)
    check_number(top, 0, where="top")
    opened = Run.open(run)
    if features is not None:
        for video in predict_file(opened, features):
            if as_json:
                print(json.dumps(video.to_dict(top), ensure_ascii=False))
                continue
            print(video.id)
            for name, probability in video.top(top):
                print(f"  {probability:.3f}  {name}")
            for note in video.notes:
                print(f"  {note}")
        return
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        num_videos = predict_run(
            opened,
            data,
            str(output),
            threshold=threshold,
            skip_bad=skip_bad,
            allow=allow,
            group=group,
            progress=progress,
        )
    if not group.is_first:
        return
    if threshold == "calibrated":
        print(opened.calibration.description)
    print(f"{output}: {num_videos:,} videos")


def ensemble(
    members: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MEMBER")],
    data: str,
    output: Path | None = None,
    weights: tuple[float, ...] = (),
    average: str = "probability",
    skip_bad: bool = False,
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Average the scores of several runs, and show the metrics and the diversity of the members.

    Args:
        members: Run folders, at least one; .parquet files that `yt8m predict` wrote for the same data; .csv files of
            any program in the format of the Kaggle competitions, whose missing labels count 0.
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        output: .csv or .parquet file to write the ensemble's predictions to.
        weights: One weight per member. Default: equal weights.
        average: Average of probability or of logit.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        allow: Data checks that do not stop the ensemble: repeated-labels, constant-features, other-scale.
    """
    from yt8m_core.inference.ensemble import Ensemble

    choose_device(accelerator, precision)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        opened = Ensemble.open(
            members, data, weights=weights, kind=average, skip_bad=skip_bad, allow=allow, group=group, progress=progress
        )
        comparison = opened.run(output, group=group, progress=progress)
    if not group.is_first:
        return
    for note in opened.notes:
        print(note)
    if output is not None:
        print(f"{output}: {len(opened.videos):,} videos")
    if comparison.is_labeled:
        print(comparison.members().to_string(index=False, float_format="%.4f"))
    if len(members) > 1:
        print("\nDiversity of the members:")
        print(comparison.diversity().to_string(index=False, float_format="%.3f"))


def relocate(run: RunArgument, train: str = "", validation: str = "", vocabulary: str = "") -> None:
    """Point a run to data that lie elsewhere now, such as those of a run that was pulled. Changes no other setting.

    Features, labels and number of videos must be those of the run.

    Args:
        run: Run folder.
        train: The training data of the run: a shard, a folder of shards, or a glob, on a disk or at an address.
        validation: The validation data of the run: a shard, a folder of shards, or a glob, on a disk or at an address.
        vocabulary: Vocabulary file of these data. Labels of the run without a name get the names in this file.
    """
    from yt8m_core.runs.run import Run
    from yt8m_core.training.relocation import relocate as relocate_run

    given = {"train": train, "validation": validation, "vocabulary": vocabulary}
    paths = {name: absolute(path) for name, path in given.items() if path}
    relocated = relocate_run(Run.open(run), **paths, progress=console_progress())
    for name in paths:
        print(f"{relocated.path}, {name}: {getattr(relocated.experiment.data, name)}")


def _default_experiment(arguments: Sequence[str]) -> Experiment:
    """Return the experiment of the ``--experiment`` file among the arguments; the paper's defaults without one."""
    file = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == "--experiment" and following:
            file = Path(following)
        elif argument.startswith("--experiment="):
            file = Path(argument.partition("=")[2])
    if file is None:
        return Experiment(Data("", ""))
    config = read_json(file, missing=f"no file {file}")
    try:
        values = config.get("experiment", config)
        data = values.get("data", {}) if isinstance(values, dict) else None
        if isinstance(data, dict):  # the flags may name the data
            values = {**values, "data": {"train": "", "validation": "", **data}}
        return follow_workspace(Experiment.from_dict(values), config.get("workspace"), file.parent)
    except UserError as error:
        raise UserError(str(error), where=str(file)) from None


def _absolute_data(data: Data, defaults: Data) -> Data:
    """Make the paths that were given as flags absolute. Raises UserError without training or validation data."""
    for name, alternative in (("train", ""), ("validation", ", or --fold K/N")):
        if not getattr(data, name) and not (name == "validation" and data.fold):
            raise UserError(
                f"no {name} data", advice=f"Add --{name} DATA (a shard, a folder of shards, or a glob){alternative}."
            )

    def path(name: str) -> str:
        value: str = getattr(data, name)
        return absolute(value) if value and value != getattr(defaults, name) else value

    return replace(data, train=path("train"), validation=path("validation"), vocabulary=path("vocabulary"))
