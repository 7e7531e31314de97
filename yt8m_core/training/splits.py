"""Open the training and validation data of an experiment and check that they fit each other."""

import numpy as np

from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import detect_scale
from yt8m_core.data.vocabulary import Vocabulary, load_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.evaluation import describe_schema, open_experiment_data
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Facts


def open_splits(
    experiment: Experiment, *, skip_bad: bool, progress: Progress
) -> tuple[Videos, Videos, Vocabulary, Facts]:
    """Return the training videos, the validation videos, the vocabulary, and the facts that determine a model.

    Raises UserError where the data cannot be used, or the splits do not fit each other.
    """
    videos, validation = (
        open_experiment_data(experiment, data, skip_bad=skip_bad, progress=progress)
        for data in (experiment.data.train, experiment.data.validation)
    )
    labels = np.concatenate([videos.label_values, validation.label_values])
    vocabulary = load_vocabulary(experiment.data.train, experiment.data.vocabulary, labels)
    _check(videos, validation, vocabulary, experiment)
    facts = Facts(
        videos.schema,
        vocabulary.num_classes,
        detect_scale(experiment.data.train, len(videos)),
        len(videos),
        len(validation),
        len(videos.bad_records),
        len(validation.bad_records),
    )
    return videos, validation, vocabulary, facts


def _check(videos: Videos, validation: Videos, vocabulary: Vocabulary, experiment: Experiment) -> None:
    if videos.schema != validation.schema:
        raise UserError(
            describe_schema(validation.schema),
            where=experiment.data.validation,
            expected=f"{describe_schema(videos.schema)}, as in the training data",
        )
    if not videos.is_labeled.all():
        unlabeled = int((~videos.is_labeled).argmax())
        raise UserError(
            f"video '{videos.id(unlabeled)}' has no labels",
            where=videos.location(unlabeled),
            advice="Train on labeled shards; test shards have no labels.",
        )
    if not validation.is_labeled.any():
        raise UserError("no video has labels", where=experiment.data.validation, advice="Validate on labeled data.")
    for split in (videos, validation):
        split.check_labels(vocabulary.num_classes)
