"""Name → class for each slot. A new method is one new file and one line here; the tests run over these tables."""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from yt8m_core.classification.logistic import Logistic
from yt8m_core.classification.mlp import MLP
from yt8m_core.classification.moe import MixtureOfExperts
from yt8m_core.errors import UserError
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
    method = _method(slot, name)
    known = options(slot, name)
    for option in chosen:
        if option not in known:
            raise _unknown(f"option of {slot} '{name}'", option, list(known))
    return method(*facts, **chosen)


def _method(slot: str, name: str) -> type[nn.Module]:
    if name not in SLOTS[slot]:
        raise _unknown(slot, name, list(SLOTS[slot]))
    return SLOTS[slot][name]


def _unknown(what: str, name: str, known: list[str]) -> UserError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {what} '{name}'", advice=f"{hint} Known: {', '.join(known) or 'none'}.".strip())
