"""Every method that the registry lists, with the settings, inputs and references that test_slots.py tests it by.

A new method needs one function in REFERENCES, and in OPTIONS the settings worth testing beside its defaults.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yt8m_core.contracts import Scores
from yt8m_core.features import mask_of
from yt8m_core.registry import SLOTS, build

Array = NDArray[np.float64]
Weights = dict[str, Array]
Options = dict[str, Any]

B, T, D, C = 3, 7, 6, 4
LENGTHS = [T, 4, 1]
FACTS = {"pooling": (D,), "classification": (D, C), "label_processing": (C,), "loss": ()}


# Each method once more in float64, as slowly and plainly as its equations read. Poolings take one video's real frames
# and return (vector, attention), classifications take one vector and return (p, embedding), label processings take one
# video's p, losses take the whole batch's p and targets.


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Array:
    return np.exp(np.asarray(x)) / np.sum(np.exp(x))


def layer_norm(x: Array, gain: Array, shift: Array) -> Array:
    return (x - np.mean(x)) / np.sqrt(np.var(x) + 1e-12) * gain + shift


def mean(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    return sum(frames) / len(frames), None


def indirect_clustering(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array | None]:
    n = len(frames)
    attention = None
    if options.get("variant") == "authors":
        vector = sum(frames)
    else:
        alpha, rho = options.get("scale", 1), options.get("length_exponent", 0)
        attention = softmax([alpha * sum(frames[t] @ frames[i] for i in range(n)) / n**rho for t in range(n)])
        vector = sum(attention[t] * frames[t] for t in range(n))
    post = options.get("post") or ("ln_relu" if options.get("variant") == "authors" else "none")
    if post == "l2":
        vector = vector / np.sqrt(np.sum(vector**2))
    if post == "ln_relu":
        vector = np.maximum(layer_norm(vector, weights["post.0.weight"], weights["post.0.bias"]), 0)
    return vector, attention


def logistic(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    return sigmoid(weights["output.weight"] @ vector + weights["output.bias"]), vector


def moe(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    k, dummy = options.get("experts", 2), options.get("dummy", True)
    C = len(weights["expert.bias"]) // k
    p = np.zeros(C)
    for c in range(C):
        gates = softmax([weights["gate.weight"][c * (k + dummy) + i] @ vector for i in range(k + dummy)])
        for i in range(k):
            row = c * k + i
            p[c] += gates[i] * sigmoid(weights["expert.weight"][row] @ vector + weights["expert.bias"][row])
    return p, vector


def mlp(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    layer_normed = options.get("layer_norm", True)
    for depth in range(len(options["hidden"])):
        at = depth * (3 if layer_normed else 2)
        vector = weights[f"hidden.{at}.weight"] @ vector
        if layer_normed:
            assert f"hidden.{at}.bias" not in weights
            vector = layer_norm(vector, weights[f"hidden.{at + 1}.weight"], weights[f"hidden.{at + 1}.bias"])
        else:
            vector = vector + weights[f"hidden.{at}.bias"]
        vector = np.maximum(vector, 0)
    bias = 0 if options.get("variant") == "authors" else weights["output.bias"]
    return sigmoid(weights["output.weight"] @ vector + bias), vector


def identity(p: Array, weights: Weights, options: Options) -> Array:
    return p


def cross_entropy(p: Array, targets: Array, options: Options) -> float:
    (B, C), eps, total = p.shape, options.get("eps", 0), 0.0
    for b in range(B):
        for c in range(C):
            total -= targets[b, c] * np.log(p[b, c] + eps) + (1 - targets[b, c]) * np.log(1 - p[b, c] + eps)
    return total / B


REFERENCES: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (mean, indirect_clustering, logistic, moe, mlp, identity, cross_entropy)
}
OPTIONS: dict[str, list[Options]] = {
    "indirect_clustering": [
        {},
        {"scale": 2.5, "length_exponent": 0.5, "post": "l2"},
        {"post": "ln_relu"},
        {"variant": "authors"},
        {"variant": "authors", "post": "l2"},
    ],
    "moe": [{}, {"experts": 3, "dummy": False}, {"experts": 1, "dummy": False}, {"experts": 16}],
    "mlp": [
        {"hidden": [8, 5, 7]},
        {"hidden": [8], "layer_norm": False},
        {"hidden": [8, 8], "variant": "authors"},
        {"hidden": [8, 8], "variant": "authors", "layer_norm": False},
    ],
    "cross_entropy": [{}, {"eps": 1e-5}],
}


def cases(*slots: str) -> Any:
    found = [(s, name, chosen) for s in slots for name in SLOTS[s] for chosen in OPTIONS.get(name, [{}])]
    ids = [f"{name}-{'-'.join(f'{k}={v}' for k, v in chosen.items()) or 'defaults'}" for _, name, chosen in found]
    return pytest.mark.parametrize(("slot", "name", "chosen"), found, ids=ids)


def make(slot: str, name: str, chosen: Options, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The method with random weights everywhere, so that no 0 or 1 of an initialisation hides a mistake."""
    torch.manual_seed(0)
    method = build(slot, name, chosen, *FACTS[slot]).to(dtype).eval()
    for weight in method.parameters():
        nn.init.normal_(weight)
    return method


def inputs(slot: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """What a slot takes: frames (garbage in the padding), a vector, logits and an embedding, or logits and targets."""
    torch.manual_seed(1)
    shapes = {"pooling": [(B, T, D)], "classification": [(B, D)]}.get(slot, [(B, C), (B, D)])
    values = [torch.randn(shape, dtype=dtype) for shape in shapes]
    return (values[0], torch.rand(B, C, dtype=dtype).round()) if slot == "loss" else tuple(values)


def call(
    slot: str, method: nn.Module, values: Sequence[Tensor], lengths: Sequence[int] = LENGTHS
) -> tuple[Tensor, ...]:
    """The outputs of a method as plain tensors."""
    if slot == "pooling":
        pooled = method(values[0], mask_of(torch.tensor(lengths), values[0].shape[1]))
        return (pooled.vector,) if pooled.attention is None else (pooled.vector, pooled.attention)
    if slot == "loss":
        return (method(Scores.from_logits(values[0], values[0]), values[1])[0],)
    scores = method(values[0] if slot == "classification" else Scores.from_logits(*values))
    return scores.log_p, scores.log_not_p, scores.embedding
