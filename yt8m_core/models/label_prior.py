"""Label priors: what a method learns from the labels of the training videos alone, before training."""

from scipy.sparse import csr_array
from torch import nn


def has_label_prior(module: nn.Module) -> bool:
    """Whether a method of a model or a loss uses the labels of the training split as a prior."""
    return any(hasattr(method, "fit_label_prior") for method in module.modules())


def fit_label_prior(module: nn.Module, labels: csr_array) -> None:
    """Pass the labels [N, C] of the training split to the methods of a model or a loss that use them as a prior."""
    for method in module.modules():
        if fit := getattr(method, "fit_label_prior", None):
            fit(labels)
