"""Commands that make runs or change them: train and relocate."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.cli.arguments import Accelerator, Allowed, RunArgument, absolute, choose_device, format_gap
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.progress import console_progress
from yt8m_core.runs.data_paths import follow_workspace
from yt8m_core.storage.json_file import read_json

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
