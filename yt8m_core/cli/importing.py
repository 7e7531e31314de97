"""Command ``import``: features and labels in other formats to shards."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.cli.arguments import Streams
from yt8m_core.errors import UserError
from yt8m_core.progress import console_progress


def import_(
    features: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FEATURES")],
    output: Path,
    labels: Path | None = None,
    split: float = 0.2,
    vocabulary: Path | None = None,
    streams: Streams = (),
    quantize: bool = False,
    id_column: str = "",
    label_column: str = "",
    yes: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False,
) -> None:
    """Convert features and labels in other formats to shards for training.

    Shows how the first three videos were understood, and asks before it converts (on a terminal). Videos that cannot be
    used are left out and listed. The same command resumes an interrupted import.

    Args:
        features: A feature file, or a folder of them: .npz, .npy, .parquet, .arrow, .h5, .tar, .pb, .tfrecord.
        output: Folder for the folders train and validate, vocabulary.csv and import.json.
        labels: Labels of the videos: .csv, .tsv, .parquet, .json. Default: the labels in the feature files.
        split: Share of the videos for validation, chosen by a hash of their ids.
        vocabulary: Vocabulary file with the ids and names of the labels. Default: names are numbered by frequency.
        streams: Feature streams as name:width. Default: those of YouTube-8M or AudioSet, or the names of the arrays.
        quantize: Store float frames as bytes in YouTube-8M's range [-2, 2]. Default: floats stay floats.
        id_column: Column of the video ids in the label table. Default: it is recognized.
        label_column: Column of the labels in the label table. Default: it is recognized.
        yes: Convert without asking.
    """
    from yt8m_core.data.importer.plan import make_plan
    from yt8m_core.data.importer.run import import_features

    progress = console_progress()
    plan = make_plan(
        features,
        output,
        labels=labels,
        vocabulary=vocabulary,
        split=split,
        streams=streams,
        quantize=quantize,
        id_column=id_column,
        label_column=label_column,
        progress=progress,
    )
    print(plan.describe())
    if not yes and sys.stdin.isatty() and not _confirm():
        raise UserError("nothing was converted", advice="Correct the options and run the command again.")
    print(import_features(plan, progress=progress).describe())


def _confirm() -> bool:
    """Ask on the terminal; the end of its input (Ctrl-D) is a no."""
    try:
        return input("\nConvert? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
