"""Registry: the methods of each slot by name.

To add a method, add one file and one line in ``SLOTS``; the tests run over the registry.
"""

import inspect
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.classification.logistic import Logistic
from yt8m_core.models.classification.many_to_many import ManyToMany
from yt8m_core.models.classification.mlp import MLP
from yt8m_core.models.classification.moe import MixtureOfExperts
from yt8m_core.models.classification.two_layer_moe import TwoLayerMixtureOfExperts
from yt8m_core.models.fusion import CompactBilinear, Concat
from yt8m_core.models.label_processing.chain import Chain
from yt8m_core.models.label_processing.context_gating import ContextGating
from yt8m_core.models.label_processing.correlation import Correlation
from yt8m_core.models.label_processing.identity import Identity
from yt8m_core.models.label_processing.label_graph import LabelGraph
from yt8m_core.models.label_processing.label_queries import LabelQueries
from yt8m_core.models.losses.asymmetric import Asymmetric
from yt8m_core.models.losses.center import Center
from yt8m_core.models.losses.class_balanced import ClassBalanced
from yt8m_core.models.losses.cross_entropy import CrossEntropy
from yt8m_core.models.losses.distribution_balanced import DistributionBalanced
from yt8m_core.models.losses.focal import Focal
from yt8m_core.models.losses.hill import Hill
from yt8m_core.models.losses.logit_adjusted import LogitAdjusted
from yt8m_core.models.losses.pseudo_huber import PseudoHuber
from yt8m_core.models.pooling.adaptive_noise import AdaptiveNoise
from yt8m_core.models.pooling.attention import Attention
from yt8m_core.models.pooling.cnn import CNN
from yt8m_core.models.pooling.indirect_clustering import IndirectClustering
from yt8m_core.models.pooling.largest_cluster import LargestCluster
from yt8m_core.models.pooling.lstm import LSTMPooling
from yt8m_core.models.pooling.mean import Mean
from yt8m_core.models.pooling.netvlad import NetVLAD
from yt8m_core.models.pooling.position_encoding import PositionEncoding
from yt8m_core.models.pooling.sum import Sum
from yt8m_core.models.slot import Slot

MAX_SIZE = (1 << 31) - 1  # of an integer option; ``size.py`` limits the weights of a training
SLOTS: Mapping[str, Mapping[str, type[nn.Module]]] = {
    "fusion": {"concat": Concat, "compact_bilinear": CompactBilinear},
    "pooling": {
        "mean": Mean,
        "sum": Sum,
        "lstm": LSTMPooling,
        "cnn": CNN,
        "position_encoding": PositionEncoding,
        "indirect_clustering": IndirectClustering,
        "largest_cluster": LargestCluster,
        "adaptive_noise": AdaptiveNoise,
        "attention": Attention,
        "netvlad": NetVLAD,
    },
    "classification": {
        "logistic": Logistic,
        "moe": MixtureOfExperts,
        "mlp": MLP,
        "two_layer_moe": TwoLayerMixtureOfExperts,
        "many_to_many": ManyToMany,
    },
    "label_processing": {
        "identity": Identity,
        "correlation": Correlation,
        "context_gating": ContextGating,
        "chain": Chain,
        "label_graph": LabelGraph,
        "label_queries": LabelQueries,
    },
    "loss": {
        "cross_entropy": CrossEntropy,
        "pseudo_huber": PseudoHuber,
        "center": Center,
        "focal": Focal,
        "asymmetric": Asymmetric,
        "class_balanced": ClassBalanced,
        "logit_adjusted": LogitAdjusted,
        "distribution_balanced": DistributionBalanced,
        "hill": Hill,
    },
}


def default_options(slot: str, name: str) -> dict[str, Any]:
    """Return the options of a method with their defaults (its keyword-only arguments).

    >>> default_options("classification", "moe")
    {'experts': 2, 'dummy': True, 'embedding': 0}
    """
    return {p.name: p.default for p in _parameters(_find_method(slot, name)) if p.kind is p.KEYWORD_ONLY}


def build(slot: str, name: str, options: Mapping[str, Any], **arguments: Any) -> nn.Module:
    """Build a method of a slot from its name and options.

    Args:
        slot: A key of ``SLOTS``.
        name: A method of that slot.
        options: Options that differ from their defaults. An option with the name of the slot holds an inner method of
            the same slot, as text: ``adaptive_noise(pooling="indirect_clustering")``.
        arguments: Sizes that the rest of the model determines, such as ``in_features``. The method receives those that
            it has positional parameters for.

    Raises:
        UserError: The method or an option is unknown, or the value of an option is invalid.
    """
    method, defaults = _find_method(slot, name), default_options(slot, name)
    where = f"{slot} '{name}'"
    if not isinstance(options, Mapping):
        raise UserError(repr(options), where=f"{where}, options", expected="names with values, such as {}")
    for option, value in options.items():
        check_choice("option", option, defaults, where=where)
        if not _has_type_of(value, defaults[option]):
            expected = f"a value such as {json.dumps(defaults[option])}"
            if isinstance(value, int | list | tuple) and not isinstance(value, bool):
                expected += f", at most {MAX_SIZE:,}"
            raise UserError(repr(value), where=f"{where}, option '{option}'", expected=expected)
    if slot in defaults:
        inner = Slot.parse(options.get(slot, defaults[slot]))
        options = {**options, slot: build(slot, inner.name, inner.options, **arguments)}
    positional = [p.name for p in _parameters(method) if p.kind is p.POSITIONAL_OR_KEYWORD]
    try:
        return method(**{parameter: arguments[parameter] for parameter in positional}, **options)
    except RuntimeError as error:  # from torch, for tensors that exceed the address space
        raise UserError(f"cannot be built ({str(error)[:200]})", where=where) from None


def takes_frames(classification: str) -> bool:
    """Return whether a classification takes frames, so that the model has no pooling (equation 13).

    >>> takes_frames("moe")
    False
    """
    return getattr(_find_method("classification", classification), "takes_frames", False)


def _find_method(slot: str, name: str) -> type[nn.Module]:
    check_choice("slot", slot, SLOTS)
    check_choice(slot, name, SLOTS[slot])
    return SLOTS[slot][name]


def _parameters(method: type[nn.Module]) -> Iterable[inspect.Parameter]:
    return inspect.signature(method).parameters.values()


def _has_type_of(value: Any, default: Any) -> bool:
    """Return whether a JSON value has the type of the default; 'false' must not pass for True."""
    if default is None:  # the method checks the value
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(
            not isinstance(item, int) or (type(item) is int and abs(item) <= MAX_SIZE) for item in value
        )
    return type(value) is type(default) and (not isinstance(value, int) or abs(value) <= MAX_SIZE)
