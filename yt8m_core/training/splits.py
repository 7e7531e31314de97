"""What an experiment learns from and what it is measured on: opened, and held against each other."""

import numpy as np

from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import scale_of
from yt8m_core.data.vocabulary import Vocabulary, vocabulary_of
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.evaluation import describe, open_data
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Facts


def open_both(
    experiment: Experiment, *, skip_bad: bool, progress: Progress
) -> tuple[Videos, Videos, Vocabulary, Facts]:
    """The videos to learn from and those to measure on, their vocabulary, and what of them decides about a model.

    Raises UserError where they cannot be used, or not together.
    """
    videos, validation = (
        open_data(experiment, data, skip_bad=skip_bad, progress=progress)
        for data in (experiment.data.train, experiment.data.validation)
    )
    labels = np.concatenate([videos.label_values, validation.label_values])
    vocabulary = vocabulary_of(experiment.data.train, experiment.data.vocabulary, labels)
    _check(videos, validation, vocabulary, experiment)
    facts = Facts(
        videos.schema,
        vocabulary.num_classes,
        scale_of(experiment.data.train, len(videos)),
        len(videos),
        len(validation),
        len(videos.bad),
        len(validation.bad),
    )
    return videos, validation, vocabulary, facts


def _check(videos: Videos, validation: Videos, vocabulary: Vocabulary, experiment: Experiment) -> None:
    if videos.schema != validation.schema:
        raise UserError(
            describe(validation.schema),
            where=experiment.data.validation,
            expected=f"{describe(videos.schema)}, as the training data has",
        )
    if not videos.labeled.all():
        unlabeled = int((~videos.labeled).argmax())
        raise UserError(
            f"video '{videos.id(unlabeled)}' has no labels",
            where=videos.place(unlabeled),
            advice="Train on shards with labels; test shards have none.",
        )
    if not validation.labeled.any():
        raise UserError(
            "no video has labels", where=experiment.data.validation, advice="Validation measures with them."
        )
    for one in (videos, validation):
        one.check_labels(vocabulary.num_classes)
