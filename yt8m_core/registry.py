"""Name → class for each slot. A new method is one new file and one line here; the tests run over these tables."""

import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from yt8m_core.classification.logistic import Logistic
from yt8m_core.classification.mlp import MLP
from yt8m_core.classification.moe import MixtureOfExperts
from yt8m_core.errors import UserError, check_choice
from yt8m_core.label_processing.identity import Identity
from yt8m_core.losses.cross_entropy import CrossEntropy
from yt8m_core.pooling.indirect_clustering import IndirectClustering
from yt8m_core.pooling.mean import Mean

SLOTS: Mapping[str, Mapping[str, type[nn.Module]]] = {
    "pooling": {"mean": Mean, "indirect_clustering": IndirectClustering},
    "classification": {"logistic": Logistic, "moe": MixtureOfExperts, "mlp": MLP},
    "label_processing": {"identity": Identity},
    "loss": {"cross_entropy": CrossEntropy},
}


def options(slot: str, name: str) -> dict[str, Any]:
    """The options of a method and their defaults (its keyword-only arguments).

    >>> options("classification", "moe")
    {'experts': 2, 'dummy': True}
    """
    parameters = inspect.signature(_method(slot, name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build(slot: str, name: str, chosen: Mapping[str, Any], *facts: int) -> nn.Module:
    """Build a method of a slot from its name and options; ``facts`` are the widths that its position in the line fixes.

    Raises UserError, with the nearest name, for an unknown method, option, or a value that the method refuses.
    """
    method, defaults = _method(slot, name), options(slot, name)
    where = f"{slot} '{name}'"
    if not isinstance(chosen, Mapping):
        raise UserError(repr(chosen), where=f"{where}, options", expected="names with values, such as {}")
    for option, value in chosen.items():
        check_choice("option", option, defaults, where=where)
        if not _fits(value, defaults[option]):
            expected = f"a value such as {json.dumps(defaults[option])}"
            raise UserError(repr(value), where=f"{where}, option '{option}'", expected=expected)
    return method(*facts, **chosen)


def _method(slot: str, name: str) -> type[nn.Module]:
    check_choice("slot", slot, SLOTS)
    check_choice(slot, name, SLOTS[slot])
    return SLOTS[slot][name]


def _fits(value: Any, default: Any) -> bool:
    """Whether a value out of JSON is of the default's kind, so that 'false' is never taken for True."""
    if default is None:  # the method tells
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(default, tuple):
        return isinstance(value, list | tuple)
    return type(value) is type(default)
