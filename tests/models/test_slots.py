"""All methods in the registry, compared with slow references and checked for the contract of their slot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call

from tests.support.slot_cases import (
    ARGUMENTS,
    LENGTHS,
    REFERENCES,
    B,
    C,
    D,
    Options,
    T,
    call_method,
    cases,
    make_inputs,
    make_method,
    sigmoid,
)
from yt8m_core.models.normalization import frame_mask
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import SLOTS, build


@cases(*SLOTS)
def test_values_match_the_slow_reference(slot: str, name: str, options: Options) -> None:
    assert name in REFERENCES, f"add a reference for '{name}' to tests/support/slot_cases.py"
    method, values = make_method(slot, name, options), make_inputs(slot, name)
    outputs = [output.detach().numpy() for output in call_method(slot, method, values)]
    weights = {key: weight.numpy() for key, weight in method.state_dict().items()}
    reference, first = REFERENCES[name], values[0].numpy()
    if slot == "loss":
        np.testing.assert_allclose(outputs[0], reference(sigmoid(first), values[1].numpy(), options), rtol=1e-10)
        return
    for b in range(B):
        if slot == "fusion":
            expected = [np.pad(reference(first[b, : LENGTHS[b]], weights, options), [(0, T - LENGTHS[b]), (0, 0)])]
        elif slot == "pooling":
            vector, attention = reference(first[b, : LENGTHS[b]], weights, options)
            expected = [vector] if attention is None else [vector, np.pad(attention, (0, T - LENGTHS[b]))]
        elif slot == "classification":
            video = first[b, : LENGTHS[b]] if first.ndim == 3 else first[b]
            p, embedding = reference(video, weights, options)
            expected = [np.log(p), np.log(1 - p), embedding]
        else:
            p = reference(sigmoid(first[b]), values[1][b].numpy(), weights, options)
            expected = [np.log(p), np.log(1 - p), values[1][b].numpy()]
        for output, reference_output in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output[b], reference_output, rtol=1e-9, atol=1e-12)


@cases(*SLOTS)
def test_shapes_and_dtypes(slot: str, name: str, options: Options) -> None:
    method, values = make_method(slot, name, options, torch.float32), make_inputs(slot, name, torch.float32)
    outputs = call_method(slot, method, values)
    assert all(output.dtype == torch.float32 for output in outputs)
    if slot == "fusion":
        assert outputs[0].shape == (B, T, method.out_features)
    elif slot == "pooling":
        assert outputs[0].shape == (B, method.out_features)
        assert [output.shape for output in outputs[1:]] in ([], [(B, T)])
    elif slot == "loss":
        logits = values[0].requires_grad_()
        total, parts = method(Scores.from_logits(logits, logits), values[1])
        assert total.shape == ()
        assert total.requires_grad
        assert not any(part.requires_grad for part in parts.values())
        assert parts[name] == total
    else:
        assert [output.shape for output in outputs[:2]] == [(B, C), (B, C)]
        assert outputs[2].shape == (B, method.embedding_features if slot == "classification" else D)


@cases(*SLOTS)
def test_gradients_match_finite_differences(slot: str, name: str, options: Options) -> None:
    method, values = make_method(slot, name, options), make_inputs(slot, name)
    names = [weight for weight, _ in method.named_parameters()]

    def outputs(first: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, weights, strict=True))
        return call_method(slot, lambda *args: functional_call(method, parameters, args), (first, *values[1:]))

    leaves = [tensor.detach().clone().requires_grad_() for tensor in (values[0], *method.parameters())]
    assert torch.autograd.gradcheck(outputs, leaves, fast_mode=True)


@cases(*SLOTS)
def test_outputs_are_equal_after_saving_and_loading(slot: str, name: str, options: Options, tmp_path: Path) -> None:
    method, values = make_method(slot, name, options), make_inputs(slot, name)
    save_file(method.state_dict(), tmp_path / "model.safetensors")
    loaded = build(slot, name, options, **ARGUMENTS[slot]).double().eval()
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for expected, output in zip(call_method(slot, method, values), call_method(slot, loaded, values), strict=True):
        assert torch.equal(expected, output)


@cases("pooling")
def test_pooling_does_not_depend_on_padding_or_other_videos(slot: str, name: str, options: Options) -> None:
    method, (frames,) = make_method(slot, name, options, torch.float32), make_inputs(slot, name, torch.float32)
    together = call_method(slot, method, [frames])
    for b, length in enumerate(LENGTHS):
        alone = call_method(slot, method, [frames[b : b + 1, :length]], [length])
        for batched, single in zip(together, alone, strict=True):
            row = batched[b, :length] if batched.shape[1] == T else batched[b]
            size = max(1.0, float(single.detach().abs().max()))  # float32 has six digits of the largest value
            torch.testing.assert_close(row, single[0], atol=1e-6 * size, rtol=0)


@cases("pooling")
def test_attention_is_zero_on_padding_and_sums_to_one(slot: str, name: str, options: Options) -> None:
    method, (frames,) = make_method(slot, name, options, torch.float32), make_inputs(slot, name, torch.float32)
    for attention in call_method(slot, method, [frames])[1:]:
        mask = frame_mask(torch.tensor(LENGTHS), T)
        assert attention[~mask].eq(0).all()
        torch.testing.assert_close(attention.sum(dim=1), torch.ones(B))


@cases("pooling")
def test_pooling_of_a_video_without_frames_is_finite(slot: str, name: str, options: Options) -> None:
    method = make_method(slot, name, options, torch.float32)
    frames = torch.zeros(B, T, D, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):  # an intermediate NaN is an error too
        outputs = call_method(slot, method, [frames], [0, 0, 0])
        sum(output.sum() for output in outputs).backward()
    for result in (*outputs, frames.grad, *(weight.grad for weight in method.parameters())):
        assert result.isfinite().all()
    for attention in outputs[1:]:
        assert attention.eq(0).all()


@cases("pooling")
def test_compiled_pooling_matches_eager_mode(slot: str, name: str, options: Options) -> None:
    method, (frames,) = make_method(slot, name, options, torch.float32), make_inputs(slot, name, torch.float32)
    mask = frame_mask(torch.tensor(LENGTHS), T)
    # Inductor takes seconds per method. This backend captures the same graph, and only the capture can fail.
    torch.compiler.reset()  # compilations per function are limited, and poolings share functions
    fullgraph = name != "lstm" or "layer_norm" in options  # nn.LSTM and packed sequences run in eager mode
    compiled = torch.compile(method, fullgraph=fullgraph, backend="aot_eager")(frames, mask)
    torch.testing.assert_close(compiled.vector, method(frames, mask).vector)


@cases("pooling", "classification")
def test_outputs_under_autocast_to_half_precision(slot: str, name: str, options: Options) -> None:
    method, values = make_method(slot, name, options, torch.float32), make_inputs(slot, name, torch.float32)
    exact = call_method(slot, method, values)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = call_method(slot, method, values)
    for output, expected in zip(outputs[:2], exact, strict=False):
        assert output.dtype == torch.float32
        # Poolings lose precision only in their weight matrices. A classification rounds its weights to 8 bits, but not
        # its log p.
        tolerance = 0 if slot == "pooling" and name not in ("netvlad", "cnn") else 0.2
        torch.testing.assert_close(output, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(("dtype", "output_dtype"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
@cases("classification", "label_processing")
def test_p_and_not_p_sum_to_one(
    slot: str, name: str, options: Options, dtype: torch.dtype, output_dtype: torch.dtype
) -> None:
    log_p, log_not_p, _ = call_method(slot, make_method(slot, name, options, dtype), make_inputs(slot, name, dtype))
    torch.testing.assert_close(log_p.exp() + log_not_p.exp(), torch.ones(B, C, dtype=output_dtype))


def test_moe_is_exact_for_extreme_logits() -> None:
    """Test all combinations of ±200 for two experts and three gates, one per class."""
    signs = torch.cartesian_prod(*[torch.tensor([-200.0, 200.0])] * 5)  # [32, 5]
    method = build("classification", "moe", {}, in_features=1, num_classes=len(signs))
    weights = {"gate.weight": signs[:, :3], "expert.weight": signs[:, 3:], "expert.bias": torch.zeros(32, 2)}
    method.load_state_dict({key: weight.reshape(method.state_dict()[key].shape) for key, weight in weights.items()})
    scores = method(torch.ones(1, 1))
    (scores.log_p.sum() + scores.log_not_p.sum()).backward()
    gates, experts = np.split(signs.double().numpy(), [3], axis=1)
    log_gates = gates - np.logaddexp.reduce(gates, axis=1, keepdims=True)
    log_p = np.logaddexp.reduce(log_gates[:, :2] - np.logaddexp(0, -experts), axis=1)
    log_not_p = np.logaddexp.reduce(np.c_[log_gates[:, :2] - np.logaddexp(0, experts), log_gates[:, 2]], axis=1)
    np.testing.assert_allclose(scores.log_p[0].detach(), log_p, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scores.log_not_p[0].detach(), log_not_p, rtol=1e-5, atol=1e-6)
    assert all(weight.grad.isfinite().all() for weight in method.parameters())


@pytest.mark.parametrize(("eps", "cost"), [(0.0, 200.0), (1e-5, 11.512915)])
def test_cross_entropy_of_confident_mistakes(eps: float, cost: float) -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss, _ = build("loss", "cross_entropy", {"eps": eps})(
        Scores.from_logits(logits, logits), torch.tensor([[0.0, 1.0]])
    )
    loss.backward()
    assert loss.item() == pytest.approx(2 * cost, rel=1e-5)
    assert logits.grad is not None
    assert logits.grad.tolist() == ([[1.0, -1.0]] if eps == 0 else [[0.0, 0.0]])


@pytest.mark.parametrize(("experts", "p"), [(2, 1 / 3), (16, 8 / 17)])
def test_moe_of_a_zero_vector_has_uniform_gates(experts: int, p: float) -> None:
    scores = build("classification", "moe", {"experts": experts}, in_features=D, num_classes=C)(torch.zeros(B, D))
    torch.testing.assert_close(scores.p, torch.full((B, C), p))


@pytest.mark.parametrize("name", SLOTS["classification"])
def test_initial_weights(name: str) -> None:
    """Weights are Xavier-uniform and reach the bound sqrt(6 / (inputs + outputs)); biases are 0."""
    options = {"hidden": [30]} if name == "mlp" else {}
    method = build("classification", name, options, in_features=40, num_classes=50)
    for key, weight in method.named_parameters():
        if key.startswith("lstm."):
            continue  # tested in test_recurrent.py
        if weight.ndim == 2:
            bound = (6 / sum(weight.shape)) ** 0.5
            assert 0.98 * bound < weight.abs().max() <= bound, key
        elif key.endswith("bias"):
            assert weight.eq(0).all(), key
