"""The same training steps in TensorFlow, built like Google's starter code, with the same initial weights."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]  # state dict of our model
EPS = 1e-5  # of the starter code's cross entropy


def tensorflow_step(
    head: str,
    weights: Weights,
    inputs: NDArray[np.float32],
    labels: NDArray[np.float32],
    *,
    learning_rate: float,
    experts: int = 2,
) -> Callable[[], float]:
    """Return a function that runs one step and returns the loss: forward, backward, per-gradient clipping to 1, Adam.

    Args:
        head: "moe", "mlp" (three layers with layer norm), or "lstm" (LSTM-M-O before a mixture of experts).
        weights: initial weights.
        inputs: video vectors [B, d], or frames [B, T, D] for "lstm".
        labels: [B, C].
        learning_rate: learning rate of Adam.
        experts: number of experts k, without the dummy expert.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def variable(name: str, *, transposed: bool = False) -> Any:
        return tf.Variable(weights[name].T if transposed else weights[name])

    def l2_normalize(x: Any) -> Any:
        return tf.math.l2_normalize(x, axis=-1)

    trained: list[Any]
    if head == "mlp":
        kernels = [variable(f"classification.hidden.{3 * i}.weight", transposed=True) for i in range(3)]
        gains = [variable(f"classification.hidden.{3 * i + 1}.weight") for i in range(3)]
        shifts = [variable(f"classification.hidden.{3 * i + 1}.bias") for i in range(3)]
        output = [variable("classification.output.weight", transposed=True), variable("classification.output.bias")]
        trained = [*kernels, *gains, *shifts, *output]
    else:
        gate = variable("classification.gate.weight", transposed=True)
        expert = [variable("classification.expert.weight", transposed=True), variable("classification.expert.bias")]
        trained = [gate, *expert]
    if head == "lstm":
        width = weights["pooling.lstm.lstm.weight_hh_l0"].shape[1]
        lstm = tf.keras.layers.LSTM(width, return_sequences=True, return_state=True)
        lstm.build(inputs.shape)
        prefix = "pooling.lstm.lstm"
        lstm.set_weights([
            weights[f"{prefix}.weight_ih_l0"].T,
            weights[f"{prefix}.weight_hh_l0"].T,
            weights[f"{prefix}.bias_ih_l0"] + weights[f"{prefix}.bias_hh_l0"],
        ])  # fmt: skip
        trained += lstm.trainable_variables

    def probabilities(x: Any) -> Any:
        if head == "lstm":
            outputs, s, c = lstm(x)
            x = tf.concat([c, s, l2_normalize(tf.reduce_sum(x, 1)), l2_normalize(tf.reduce_sum(outputs, 1))], 1)
        if head == "mlp":
            for kernel, gain, shift in zip(kernels, gains, shifts, strict=True):
                x = x @ kernel
                mean, variance = tf.nn.moments(x, [1], keepdims=True)
                x = tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, shift, gain, 1e-12))
            return tf.sigmoid(x @ output[0] + output[1])
        gates = tf.nn.softmax(tf.reshape(x @ gate, [-1, experts + 1]))
        answers = tf.sigmoid(tf.reshape(x @ expert[0] + expert[1], [-1, experts]))
        return tf.reshape(tf.reduce_sum(gates[:, :experts] * answers, 1), [len(labels), -1])

    optimizer = tf.keras.optimizers.Adam(learning_rate, epsilon=1e-8)
    optimizer.build(trained)
    x, y = tf.constant(inputs), tf.constant(labels)

    @tf.function  # type: ignore[untyped-decorator]
    def step() -> Any:
        with tf.GradientTape() as tape:
            p = probabilities(x)
            cost = y * tf.math.log(p + EPS) + (1 - y) * tf.math.log(1 - p + EPS)
            loss = tf.reduce_mean(tf.reduce_sum(-cost, 1))
        gradients = [tf.clip_by_norm(gradient, 1.0) for gradient in tape.gradient(loss, trained)]
        optimizer.apply_gradients(zip(gradients, trained, strict=True))
        return loss

    return lambda: float(step())
