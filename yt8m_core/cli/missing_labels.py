"""Command ``missing-labels``: candidates for missing labels of a data set."""

from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.cli.arguments import Accelerator, Allowed, Streams, absolute, choose_device
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.progress import console_progress
from yt8m_core.storage.paths import check_replaceable

# The rate with the best GAP of mean pooling with moe, on the demo world and on the sample of real data.
TRAINING = Training(learning_rate=0.03)
PRINTED = 10


def missing_labels(
    train: str,
    output: Path,
    folds: int = 5,
    limit: int = 1000,
    run_folder: Path | None = None,
    vocabulary: str = "",
    streams: Streams = (),
    max_frames: int = 300,
    pooling: Slot = Slot("mean"),
    classification: Slot = Slot("moe"),
    label_processing: Slot = Slot("identity"),
    loss: Slot = Slot("cross_entropy"),
    fusion: Slot = Slot("concat"),
    normalization: str = "joint",
    training: Annotated[Training, tyro.conf.OmitArgPrefixes] = TRAINING,
    seed: int = 0,
    skip_bad: bool = False,
    unlabeled: str = "error",
    allow: Allowed = (),
    accelerator: Accelerator = None,
) -> None:
    """List labels that videos probably lack, with the evidence, as a CSV file for review. Changes no data.

    Trains one run per fold on the other videos, and scores each video with the run that has not seen it. The same
    command resumes an interrupted training and trains only what is missing. Slots and training options are those of
    `yt8m train`.

    Args:
        train: Data with labels: a shard, a folder of shards, or a glob, on a disk or at an address.
        output: CSV file to write.
        folds: Number of folds. More folds train each run on more of the videos.
        limit: Maximum number of candidates.
        run_folder: Folder for the run folders of the folds. Default: one in the workspace for these settings.
        vocabulary: Vocabulary file with the label names. Default: the one next to the data, if any.
        streams: Custom feature streams as name:width. Default: those of YouTube-8M and AudioSet are recognized.
        max_frames: Number of frames to use per video, from its start.
        pooling: Frames to one vector.
        classification: Vector to scores.
        label_processing: Scores to scores.
        loss: Loss.
        fusion: Fusion of a frame's streams.
        normalization: Normalization of a frame's features.
        training: Training settings. The default learning rate is for small data sets and mean pooling with moe.
        seed: Random seed of the weights and of the order of the videos.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        unlabeled: Videos without labels: error, skip to leave them out, or negative if they have none of the labels.
        allow: Data checks that do not stop it: repeated-labels, constant-features, shared-videos.
    """
    from yt8m_core.analysis.candidate_file import CANDIDATES, write_candidates
    from yt8m_core.analysis.missing_labels import find_missing_labels
    from yt8m_core.training.step import configure_training_process
    from yt8m_core.workspace import workspace

    check_replaceable(output, kind="a CSV file to write")
    data = Data(
        absolute(train), "", absolute(vocabulary) if vocabulary else "", streams, max_frames, unlabeled=unlabeled
    )
    experiment = Experiment(
        data, pooling, classification, label_processing, loss, fusion, normalization, training, seed
    )
    folder = run_folder or workspace() / "missing-labels" / experiment.digest
    choose_device(accelerator)
    configure_training_process()
    candidates = find_missing_labels(
        experiment, folder, folds=folds, limit=limit, skip_bad=skip_bad, allow=allow, progress=console_progress()
    )
    write_candidates(candidates, output)
    write_candidates(candidates, folder / CANDIDATES)  # where the app finds them
    shown = candidates.head(PRINTED)[["rank", "id", "name", "score", "probability", "evidence_name"]]
    print(shown.to_string(index=False, float_format="%.3f"))
    print(f"{output}: {len(candidates):,} candidates for missing labels; the runs are in {folder}")
