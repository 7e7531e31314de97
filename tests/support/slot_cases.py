"""Options, inputs and slow references of all methods in the registry, for tests/models/test_slots.py.

A new method needs one function in REFERENCES, and an entry in OPTIONS to test more than its default options.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.normalization import frame_mask
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import SLOTS, build, takes_frames

Array = NDArray[np.float64]
Weights = dict[str, Array]
Options = dict[str, Any]

B, T, D, C = 3, 7, 6, 4
LENGTHS = [T, 4, 1]
LABELS = label_matrix([0, 1, 0, 1, 2, 0, 3, 1], [0, 2, 5, 7, 8], C)  # labels of the training videos
ARGUMENTS: dict[str, dict[str, Any]] = {
    "fusion": {"streams": [("rgb", 4), ("audio", D - 4)]},
    "pooling": {"in_features": D, "num_classes": C},
    "classification": {"in_features": D, "num_classes": C},
    "label_processing": {"num_classes": C, "embedding_features": D},
    "loss": {"num_classes": C, "embedding_features": C},
}


# Slow references in float64 that follow the equations. Inputs and outputs:
# - fusion: the real frames of one video → as many frames
# - pooling: the real frames of one video → (vector, attention)
# - classification: one vector → (p, embedding)
# - label processing: p and embedding of one video → p
# - loss: p and targets of the batch → the loss


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Array:
    return np.exp(np.asarray(x)) / np.sum(np.exp(x))


def layer_norm(x: Array, gain: Array, shift: Array, eps: float = 1e-12) -> Array:
    return (x - np.mean(x)) / np.sqrt(np.var(x) + eps) * gain + shift


def mean(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    return sum(frames) / len(frames), None


def post(vector: Array, name: str, weights: Weights, prefix: str = "post") -> Array:
    if name == "l2":
        vector = vector / np.sqrt(np.sum(vector**2))
    if name == "ln_relu":
        vector = np.maximum(layer_norm(vector, weights[f"{prefix}.0.weight"], weights[f"{prefix}.0.bias"]), 0)
    return vector


def sum_of_frames(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    return post(sum(frames), options.get("post", "l2"), weights), None


def position_encoding(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    n, vector = options.get("fixed_length") or len(frames), np.zeros(D)
    for t in range(1, len(frames) + 1):
        for j in range(1, D + 1):
            L = (1 - t / n) - (j / D) * (1 - 2 * t / n)
            vector[j - 1] += frames[t - 1, j - 1] * (1 if options.get("variant") == "authors" else L)
    return post(vector, options.get("post", "l2"), weights), None


def lstm_states(frames: Array, weights: Weights, prefix: str, layer: int, layer_normed: bool) -> tuple[Array, Array]:
    """Compute all s_t and the last c of one layer."""
    if layer_normed:
        U, W = weights[f"{prefix}.inputs.{layer}"], weights[f"{prefix}.recurrent.{layer}"]
        gain, shift = weights[f"{prefix}.gains.{layer}"], weights[f"{prefix}.shifts.{layer}"]
        b = np.zeros(len(U))
    else:
        U, W, *biases = (
            weights[f"{prefix}.lstm.{part}_l{layer}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        b = biases[0] + biases[1]
    width = W.shape[1]
    c, s, outputs = np.zeros(width), np.zeros(width), []
    for frame in frames:
        i, f, g, o = np.split(U @ frame + W @ s + b, 4)
        if layer_normed:
            i, f, g, o = (layer_norm(x, gain[k], shift[k]) for k, x in enumerate((i, f, g, o)))
            c = layer_norm(c * sigmoid(f + 1) + np.tanh(g) * sigmoid(i), gain[4], shift[4])
        else:
            c = c * sigmoid(f) + np.tanh(g) * sigmoid(i)
        s = np.tanh(c) * sigmoid(o)
        outputs.append(s)
    return np.array(outputs), c


def lstm(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    outputs, parts = frames, []
    for layer in range(options.get("layers", 1)):
        outputs, c = lstm_states(outputs, weights, "lstm", layer, options.get("layer_norm", False))
        parts += [c, outputs[-1]]
    norm = options.get("sum_norm", "l2")
    if options.get("use_input_sum"):
        parts.append(post(sum(frames), norm, weights))
    if options.get("use_output_sum"):
        parts.append(post(sum(outputs), norm, weights))
    return np.concatenate(parts), None


def many_to_many(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    outputs, _ = lstm_states(frames, weights, "lstm", 0, layer_normed=False)
    steps = [sigmoid(weights["output.weight"] @ s + weights["output.bias"]) for s in outputs]
    if options.get("variant") == "authors":
        steps += [sigmoid(weights["output.bias"])] * (300 - len(frames))
    return sum(steps) / len(steps), sum(outputs) / len(outputs)


def cnn(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    kernel, filters = options.get("kernel", 5), weights["conv.weight"]  # [d, D, kernel]
    length = 300 if options.get("variant") == "authors" else max(kernel, len(frames))
    padded = np.concatenate([frames, np.zeros((length - len(frames), D))])
    vector = np.full(len(filters), -np.inf)
    for t in range(length - kernel + 1):
        for channel in range(len(filters)):
            activation = weights["conv.bias"][channel]
            for k in range(kernel):
                activation += filters[channel, :, k] @ padded[t + k]
            vector[channel] = max(vector[channel], activation, 0)
    return post(vector, options.get("post", "l2"), weights), None


def adaptive_noise(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array | None]:
    """Compute the wrapped pooling: predictions have no noise."""
    return indirect_clustering(frames, weights, {}) if "pooling" in options else sum_of_frames(frames, weights, {})


def largest_cluster(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    k, n = options.get("clusters", 5), len(frames)
    centers = [frames[i * n // k] for i in range(k)]
    for _ in range(options.get("iterations", 10)):
        nearest = [min(range(k), key=lambda i: np.sum((frame - centers[i]) ** 2)) for frame in frames]
        for i in range(k):
            if i in nearest:
                centers[i] = np.mean(
                    [frame for frame, cluster in zip(frames, nearest, strict=True) if cluster == i], axis=0
                )
    sizes = [nearest.count(i) for i in range(k)]
    in_largest = np.array([cluster == sizes.index(max(sizes)) for cluster in nearest])
    return frames[in_largest].mean(axis=0), in_largest / in_largest.sum()


def indirect_clustering(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array | None]:
    n = len(frames)
    attention = None
    if options.get("variant") == "authors":
        vector = sum(frames)
    else:
        alpha, rho = options.get("scale", 1), options.get("length_exponent", 0)
        attention = softmax([alpha * sum(frames[t] @ frames[i] for i in range(n)) / n**rho for t in range(n)])
        vector = sum(attention[t] * frames[t] for t in range(n))
    return post(
        vector, options.get("post") or ("ln_relu" if options.get("variant") == "authors" else "none"), weights
    ), attention


def logistic(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    return sigmoid(weights["output.weight"] @ vector + weights["output.bias"]), vector


def moe(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    k, dummy = options.get("experts", 2), options.get("dummy", True)
    if options.get("embedding"):
        vector = np.maximum(weights["embed.0.weight"] @ vector + weights["embed.0.bias"], 0)
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
        index = depth * (3 if layer_normed else 2)
        vector = weights[f"hidden.{index}.weight"] @ vector
        if layer_normed:
            assert f"hidden.{index}.bias" not in weights
            vector = layer_norm(vector, weights[f"hidden.{index + 1}.weight"], weights[f"hidden.{index + 1}.bias"])
        else:
            vector = vector + weights[f"hidden.{index}.bias"]
        vector = np.maximum(vector, 0)
    bias = 0 if options.get("variant") == "authors" else weights["output.bias"]
    return sigmoid(weights["output.weight"] @ vector + bias), vector


def identity(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    return p


def cross_entropy(p: Array, targets: Array, options: Options) -> float:
    (B, C), eps, total = p.shape, options.get("eps", 0), 0.0
    for b in range(B):
        for c in range(C):
            total -= targets[b, c] * np.log(p[b, c] + eps) + (1 - targets[b, c]) * np.log(1 - p[b, c] + eps)
    return total / B


def concat(frames: Array, weights: Weights, options: Options) -> Array:
    return frames


def compact_bilinear(frames: Array, weights: Weights, options: Options) -> Array:
    width, rgb = options.get("width", 2048), ARGUMENTS["fusion"]["streams"][0][1]
    buckets, signs = weights["buckets"], weights["signs"]
    fused = np.zeros((len(frames), width))
    for frame, out in zip(frames, fused, strict=True):
        for i in range(rgb):
            for j in range(rgb, D):
                out[(buckets[i] + buckets[j]) % width] += signs[i] * signs[j] * frame[i] * frame[j]
        out /= np.sqrt(sum(out**2))
    return fused


def attention(frames: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    heads = [softmax([query @ frame for frame in frames]) for query in weights["queries.weight"]]
    parts = [
        values @ sum(head[t] * frames[t] for t in range(len(frames)))
        for head, values in zip(heads, weights["values"], strict=True)
    ]
    return np.concatenate(parts), sum(heads) / len(heads)


def netvlad(frames: Array, weights: Weights, options: Options) -> tuple[Array, None]:
    centers, parts = weights["centers"], []
    for k in range(len(centers)):
        residual = np.zeros(D)
        for frame in frames:
            logits = weights["assign.weight"] @ frame
            shares = softmax(layer_norm(logits, weights["assign_norm.weight"], weights["assign_norm.bias"]))
            residual += shares[k] * (frame - centers[k])
        parts.append(residual / np.sqrt(residual @ residual))
    x = weights["project.weight"] @ (np.concatenate(parts) / np.sqrt(len(centers)))
    x = layer_norm(x, weights["project_norm.weight"], weights["project_norm.bias"])
    if options.get("gating", True):
        x = sigmoid(weights["gate.weight"] @ x + weights["gate.bias"]) * x
    return x, None


def context_gating(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    return sigmoid(weights["gate.weight"] @ p + weights["gate.bias"]) * p


def two_layer_moe(vector: Array, weights: Weights, options: Options) -> tuple[Array, Array]:
    gates = weights["gate.0.weight"] @ vector + weights["gate.0.bias"]
    if options.get("variant") == "authors":
        experts, last = vector, "expert"
    else:
        experts, last = weights["expert.0.weight"] @ vector + weights["expert.0.bias"], "expert.1"
    k, dummy = options.get("experts", 2), options.get("dummy", True)
    p = np.zeros(C)
    for c in range(C):
        shares = softmax([weights["gate.1.weight"][c * (k + dummy) + i] @ gates for i in range(k + dummy)])
        for i in range(k):
            row = c * k + i
            p[c] += shares[i] * sigmoid(weights[f"{last}.weight"][row] @ experts + weights[f"{last}.bias"][row])
    return p, vector


def correlation(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    beta, gamma, is_authors = options.get("beta", 0), options.get("gamma", 0), options.get("variant") == "authors"
    alpha = 1 - gamma if is_authors else options.get("alpha", 1)
    trained, space = weights.get("trained"), options.get("space", "logit")
    if space == "average":
        alpha, beta, gamma = np.array([alpha, beta, gamma]) / (alpha + beta + gamma)
        trained = np.array([softmax(row) for row in trained])
    o = np.log(p / (1 - p)) if space == "logit" else p
    mixed = alpha * o
    for c in range(len(p)):
        for other in range(len(p)):
            index = (other, c) if is_authors else (c, other)
            if beta:
                mixed[c] += beta * weights["fixed"][index] * o[other]
            if gamma:
                mixed[c] += gamma * trained[index] * o[other]
    return sigmoid(mixed) if space == "logit" else mixed


def linear(x: Array, weights: Weights, layer: str) -> Array:
    return weights[f"{layer}.weight"] @ x + weights.get(f"{layer}.bias", 0)


def chain(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    parts = [np.maximum(linear(p, weights, "project"), 0), embedding]
    hidden = np.maximum(linear(np.concatenate([x / np.sqrt(x @ x) for x in parts]), weights, "hidden"), 0)
    return sigmoid(np.log(p / (1 - p)) + linear(hidden, weights, "output"))


def label_graph(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    logits = np.log(p / (1 - p))
    for i in range(C):
        for n, j in enumerate(weights["neighbors"][i]):
            logits[i] += weights["gate"][i] * weights["weight"][i, n] * weights["prior"][i, n] * (p[j] - np.mean(p))
    return sigmoid(logits)


def label_queries(p: Array, embedding: Array, weights: Weights, options: Options) -> Array:
    def normed(x: Array, name: str) -> Array:
        return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-5)

    d = options["width"]
    rows = [*linear(embedding, weights, "embedding_tokens").reshape(-1, d), linear(p, weights, "score_token")]
    tokens = [normed(row, "token_norm") for row in rows]
    logits, label = np.log(p / (1 - p)), 0
    for g, learned in enumerate(weights["queries"]):
        start = normed(learned, "query_norm")
        query, heads = linear(start, weights, "query"), []
        for head in np.split(np.arange(d), options["heads"]):
            keys = [linear(token, weights, "key")[head] for token in tokens]
            shares = softmax([query[head] @ key / np.sqrt(len(head)) for key in keys])
            heads.append(sum(a * linear(t, weights, "value")[head] for a, t in zip(shares, tokens, strict=True)))
        x = normed(start + linear(np.concatenate(heads), weights, "attended"), "attended_norm")
        hidden = np.maximum(linear(x, weights, "feed_forward.0"), 0)
        x = normed(x + linear(hidden, weights, "feed_forward.2"), "output_norm")
        for column in weights["output"][g].T:
            if label < C:
                logits[label] += column @ x + weights["bias"][label]
                label += 1
    return sigmoid(logits)


def pseudo_huber(p: Array, targets: Array, options: Options) -> float:
    delta, level, eps = options.get("delta", 0.5), options.get("level", "class"), options.get("eps", 0)
    costs = -(targets * np.log(p + eps) + (1 - targets) * np.log(1 - p + eps))
    if level != "class":
        costs = costs.sum(axis=1, keepdims=True)
    if level == "batch":
        costs = np.array([[costs.mean()]])
    return sum(delta**2 * (np.sqrt(1 + (cost / delta) ** 2) - 1) for cost in costs.flat) / len(costs)


def center(p: Array, targets: Array, options: Options) -> float:
    """Compute the loss with the initial centers, 0, and with the logits as the embedding, as in ``call_method``."""
    is_authors = options.get("variant") == "authors"
    reduce = np.mean if options.get("dims", "mean" if is_authors else "sum") == "mean" else np.sum
    pairs, videos = [], []
    for video, labels in zip(np.log(p / (1 - p)), targets, strict=True):
        squares = [reduce(video**2) for label in labels if label]
        pairs += squares
        videos.append(np.mean(squares) if squares else 0)
    inner = pseudo_huber(p, targets, {}) if "loss" in options else cross_entropy(p, targets, {})
    return inner + options.get("weight", 0.001) * np.mean(pairs if is_authors else videos)


def per_class_loss(p: Array, targets: Array, positive: Any, negative: Any) -> float:
    """Mean over videos of Σ_c y positive(b, c) + (1-y) negative(b, c)."""
    (B, C), total = p.shape, 0.0
    for b in range(B):
        for c in range(C):
            total += targets[b, c] * positive(b, c) + (1 - targets[b, c]) * negative(b, c)
    return total / B


def label_counts() -> list[int]:
    return [sum(video[c] for video in LABELS.toarray()) for c in range(C)]


def label_log_odds() -> list[float]:
    return [np.log((n + 0.5) / (LABELS.shape[0] - n + 0.5)) for n in label_counts()]


def focal(p: Array, targets: Array, options: Options) -> float:
    gamma = options.get("gamma", 2)
    return per_class_loss(
        p,
        targets,
        lambda b, c: -((1 - p[b, c]) ** gamma) * np.log(p[b, c]),
        lambda b, c: -(p[b, c] ** gamma) * np.log(1 - p[b, c]),
    )


def asymmetric(p: Array, targets: Array, options: Options) -> float:
    gamma_neg, gamma_pos, margin = (
        options.get(key, default) for key, default in (("gamma_neg", 4), ("gamma_pos", 0), ("margin", 0.05))
    )

    def negative(b: int, c: int) -> float:
        shifted = max(p[b, c] - margin, 0)
        return -(shifted**gamma_neg) * np.log(1 - shifted)

    return per_class_loss(p, targets, lambda b, c: -((1 - p[b, c]) ** gamma_pos) * np.log(p[b, c]), negative)


def class_balanced(p: Array, targets: Array, options: Options) -> float:
    beta, number = options.get("beta", 0.9), label_counts()
    weights = [1 / sum(beta**k for k in range(n)) for n in number]  # 1 / (1 + β + β² + … + β^(n-1))
    pairs = [weights[c] for video in LABELS.toarray() for c in range(C) if video[c]]
    return per_class_loss(
        p,
        targets,
        lambda b, c: -weights[c] / np.mean(pairs) * np.log(p[b, c]),
        lambda b, c: -np.log(1 - p[b, c]),
    )


def logit_adjusted(p: Array, targets: Array, options: Options) -> float:
    tau = options.get("tau", 0.5)
    odds = p / (1 - p) * np.exp(label_log_odds()) ** tau
    return cross_entropy(odds / (1 + odds), targets, {})


def distribution_balanced(p: Array, targets: Array, options: Options) -> float:
    alpha, beta, mu = options.get("alpha", 0.1), options.get("beta", 10), options.get("mu", 0.2)
    scale, number = options.get("negative_scale", 2), label_counts()
    z = np.log(p / (1 - p)) + options.get("kappa", 0.05) * np.array(label_log_odds())  # z - ν

    def weight(b: int, c: int) -> float:
        draws = sum(targets[b, j] / number[j] for j in range(C))
        return alpha + (sigmoid(beta * (1 / number[c] / draws - mu)) if draws else 1)

    return per_class_loss(
        p,
        targets,
        lambda b, c: weight(b, c) * np.log(1 + np.exp(-z[b, c])),
        lambda b, c: weight(b, c) / scale * np.log(1 + np.exp(scale * z[b, c])),
    )


def hill(p: Array, targets: Array, options: Options) -> float:
    gamma, margin = options.get("gamma", 2), options.get("margin", 1)
    q = sigmoid(np.log(p / (1 - p)) - margin)
    return per_class_loss(
        p,
        targets,
        lambda b, c: -((1 - q[b, c]) ** gamma) * np.log(q[b, c]),
        lambda b, c: (1.5 - p[b, c]) * p[b, c] ** 2,
    )


REFERENCES: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        mean,
        indirect_clustering,
        logistic,
        moe,
        mlp,
        identity,
        cross_entropy,
        two_layer_moe,
        correlation,
        pseudo_huber,
        center,
        focal,
        asymmetric,
        class_balanced,
        logit_adjusted,
        distribution_balanced,
        hill,
        concat,
        compact_bilinear,
        attention,
        netvlad,
        context_gating,
        position_encoding,
        lstm,
        many_to_many,
        cnn,
        adaptive_noise,
        largest_cluster,
        chain,
        label_graph,
        label_queries,
    )
} | {"sum": sum_of_frames}
OPTIONS: dict[str, list[Options]] = {
    "indirect_clustering": [
        {},
        {"scale": 2.5, "length_exponent": 0.5, "post": "l2"},
        {"post": "ln_relu"},
        {"variant": "authors"},
        {"variant": "authors", "post": "l2"},
    ],
    "sum": [{}, {"post": "none"}, {"post": "ln_relu"}],
    "position_encoding": [{}, {"post": "none"}, {"fixed_length": 300}, {"variant": "authors"}],
    "lstm": [
        {"width": 5},
        {"width": 5, "use_input_sum": True, "use_output_sum": True},
        {"width": 4, "layers": 2, "use_output_sum": True, "sum_norm": "none"},
        {"width": 5, "use_input_sum": True, "use_output_sum": True, "layer_norm": True},
        {"width": 4, "layers": 2, "layer_norm": True},
    ],
    "many_to_many": [{"width": 5}, {"width": 5, "chunk": 3}, {"width": 5, "chunk": 2, "variant": "authors"}],
    "cnn": [
        {"channels": 6},
        {"channels": 5, "kernel": 2, "post": "none"},
        {"channels": 6, "variant": "authors", "post": "none"},
    ],
    "adaptive_noise": [{}, {"pooling": "indirect_clustering", "gamma_norm": "max", "scale": 0.1}],
    "largest_cluster": [{}, {"clusters": 2, "iterations": 3}, {"clusters": 1}],
    "compact_bilinear": [{}, {"width": 5}],
    "attention": [{"width": 16}, {"heads": 3, "width": 6}],
    "netvlad": [{"width": 16}, {"clusters": 3, "width": 5, "gating": False}],
    "moe": [{}, {"experts": 3, "dummy": False}, {"experts": 1, "dummy": False}, {"experts": 16}, {"embedding": 5}],
    "mlp": [
        {"hidden": [8, 5, 7]},
        {"hidden": [8], "layer_norm": False},
        {"hidden": [8], "dropout": 0.5, "input_dropout": 0.3},
        {"hidden": [8, 8], "variant": "authors"},
        {"hidden": [8, 8], "variant": "authors", "layer_norm": False},
    ],
    "two_layer_moe": [
        {"hidden": 5},
        {"hidden": 8, "experts": 3, "dummy": False},
        {"hidden": 8, "variant": "authors"},
    ],
    "correlation": [
        {},
        {"beta": 0.1, "gamma": 0.03, "space": "prob"},
        {"alpha": 0.5, "gamma": 0.3},
        {"beta": 0.3, "space": "logit", "matrix_norm": "centered"},
        {"gamma": 0.3, "space": "logit", "variant": "authors"},
        {"beta": 0.3, "gamma": 0.2, "space": "average"},
    ],
    "chain": [{"width": 5, "hidden": 7}],
    "label_graph": [{}, {"neighbors": 2, "support": 1}],
    "label_queries": [
        {"groups": 3, "tokens": 2, "width": 6, "heads": 2},
        {"groups": 9, "tokens": 1, "width": 4, "heads": 4},
    ],
    "cross_entropy": [{}, {"eps": 1e-5}],
    "pseudo_huber": [{}, {"delta": 2.0, "eps": 1e-5}, {"level": "example"}, {"level": "batch", "delta": 3.0}],
    "center": [{}, {"weight": 2.0, "dims": "mean", "loss": "pseudo_huber"}, {"weight": 3.0, "variant": "authors"}],
    "focal": [{}, {"gamma": 0.0}, {"gamma": 0.5}],
    "asymmetric": [
        {},
        {"gamma_neg": 0.0, "margin": 0.0},
        {"gamma_neg": 2.0, "gamma_pos": 1.0, "margin": 0.0},
        {"gamma_neg": 0.5, "margin": 0.5},
    ],
    "class_balanced": [{}, {"beta": 0.0}, {"beta": 0.9999}],
    "logit_adjusted": [{}, {"tau": 0.0}, {"tau": 1.0}],
    "distribution_balanced": [
        {},
        {"alpha": 0.5, "beta": 0.0, "kappa": 0.0, "negative_scale": 1.0},
        {"mu": 0.3, "kappa": 0.5, "negative_scale": 5.0},
    ],
    "hill": [{}, {"gamma": 0.0, "margin": 0.0}, {"gamma": 1.5, "margin": 0.5}],
}


def cases(*slots: str) -> Any:
    """Parametrize a test with all methods of the slots and their options to test."""
    methods = [(s, name, options) for s in slots for name in SLOTS[s] for options in OPTIONS.get(name, [{}])]
    ids = [f"{name}-{'-'.join(f'{k}={v}' for k, v in options.items()) or 'defaults'}" for _, name, options in methods]
    return pytest.mark.parametrize(("slot", "name", "options"), methods, ids=ids)


def make_method(slot: str, name: str, options: Options, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Build a method with random weights, because zeros and ones of an initialization could hide a mistake."""
    torch.manual_seed(0)
    method = build(slot, name, options, **ARGUMENTS[slot]).to(dtype).eval()
    if hasattr(method, "fit_label_prior"):
        method.fit_label_prior(LABELS)
    for weight in method.parameters():
        nn.init.normal_(weight)
    return method


def make_inputs(slot: str, name: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Return the inputs of a slot: frames (random padding), a vector, logits and embedding, or logits and targets."""
    torch.manual_seed(1)
    if slot == "classification" and takes_frames(name):
        slot = "pooling"
    shapes = {"fusion": [(B, T, D)], "pooling": [(B, T, D)], "classification": [(B, D)]}.get(slot, [(B, C), (B, D)])
    values = [torch.randn(shape, dtype=dtype) for shape in shapes]
    return (values[0], torch.rand(B, C, dtype=dtype).round()) if slot == "loss" else tuple(values)


def call_method(
    slot: str, method: nn.Module, values: Sequence[Tensor], lengths: Sequence[int] = LENGTHS
) -> tuple[Tensor, ...]:
    """Call a method and return its outputs as plain tensors."""
    if slot == "fusion":
        mask = frame_mask(torch.tensor(lengths), values[0].shape[1])
        return (method(values[0] * mask[..., None], mask),)  # padding is 0, as after ``normalize``
    if slot == "pooling":
        pooled = method(values[0], frame_mask(torch.tensor(lengths), values[0].shape[1]))
        return (pooled.vector,) if pooled.attention is None else (pooled.vector, pooled.attention)
    if slot == "loss":
        return (method(Scores.from_logits(values[0], values[0]), values[1])[0],)
    if values[0].ndim == 3:  # a classification that takes frames
        return tuple(method(values[0], frame_mask(torch.tensor(lengths), values[0].shape[1])))[:3]
    scores = method(values[0] if slot == "classification" else Scores.from_logits(*values))
    return scores.log_p, scores.log_not_p, scores.embedding
