"""Start a training from the weights of a finished run (``Experiment.init``)."""

import torch
from torch import Tensor

from yt8m_core.data.schema import describe_schema
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.runs.run import Facts, Run, build_model
from yt8m_core.runs.weights import read_weights, weights_digest


def read_initial_weights(experiment: Experiment, facts: Facts, vocabulary: Vocabulary) -> tuple[dict[str, Tensor], str]:
    """Return the weights of the run that an experiment starts from, and the digest of their file.

    Raises:
        UserError: there is no such finished run, or its features, labels or weights do not fit the experiment.
    """
    origin = Run.open(experiment.init)
    if not origin.facts.schema.accepts(facts.schema):
        raise UserError(
            describe_schema(origin.facts.schema),
            where=f"{origin.path}, --init",
            expected=f"{describe_schema(facts.schema)}, as in the training data",
        )
    if not origin.vocabulary.fits(vocabulary):
        raise UserError(
            f"other labels, {origin.facts.num_classes:,} of them",
            where=f"{origin.path}, --init",
            expected=f"the {facts.num_classes:,} labels of the training data",
            advice="Pass the --vocabulary of the run, or train without --init.",
        )
    with torch.device("meta"):
        tensors = build_model(experiment, facts).state_dict()
    weights = read_weights(origin.weights_file, tensors, "the experiment")
    return weights, weights_digest(origin.weights_file)
