"""Label priors: what a method learns from the labels of the training videos alone, before training."""

from scipy.sparse import csr_array
from torch import nn


def fit_label_prior(module: nn.Module, labels: csr_array) -> None:
    """Pass the labels [N, C] of the training split to the methods of a model or a loss that use them as a prior."""
    for method in module.modules():
        if fit := getattr(method, "fit_label_prior", None):
            fit(labels)
