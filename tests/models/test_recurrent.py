"""LSTM pooling and Many-to-Many: initialization, masking, dropout and memory."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.support.slot_cases import B, C, D
from yt8m_core.errors import UserError
from yt8m_core.models.normalization import frame_mask
from yt8m_core.models.outputs import Scores
from yt8m_core.models.recurrent import LSTM, LayerNormLSTM
from yt8m_core.models.registry import build


def test_lstm_initialization_matches_tensorflow() -> None:
    cell = LSTM(40, 30, layers=2).lstm
    for layer, inputs in ((0, 40), (1, 30)):
        bound = (6 / (inputs + 30 + 4 * 30)) ** 0.5
        for part in ("weight_ih", "weight_hh"):
            weight = getattr(cell, f"{part}_l{layer}")
            assert 0.98 * bound < weight.abs().max() <= bound
        total = getattr(cell, f"bias_ih_l{layer}") + getattr(cell, f"bias_hh_l{layer}")
        assert total.tolist() == [0] * 30 + [1] * 30 + [0] * 60  # gates i, f, g, o: 1 for the forget gate only


@pytest.mark.parametrize(
    ("options", "width", "parameters"),
    [
        # 4·w·(D + w) weights and, in torch, two biases per gate; the layer norms have 5 gains and 5 shifts.
        ({}, 2304, 4 * 1152 * (1152 + 1152 + 2)),
        ({"use_input_sum": True}, 3456, 4 * 1152 * (1152 + 1152 + 2)),
        ({"use_input_sum": True, "use_output_sum": True}, 4608, 10_626_048),
        ({"use_input_sum": True, "use_output_sum": True, "layer_norm": True}, 4608, 4 * 1152 * 2304 + 10 * 1152),
    ],
)
def test_lstm_parameter_counts_of_table_1(options: dict[str, bool], width: int, parameters: int) -> None:
    method = build("pooling", "lstm", options, in_features=1152)
    assert method.out_features == width
    assert sum(weight.numel() for weight in method.parameters()) == parameters


@pytest.mark.parametrize("kind", [LSTM, LayerNormLSTM])
def test_states_are_from_the_last_frame_of_each_video(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    frames, lengths = torch.randn(3, 6, D), [6, 1, 0]
    method = kind(D, 5)
    for weight in method.parameters():  # zero biases would hide a step beyond the last frame
        nn.init.normal_(weight)
    outputs, (c, s) = method(frames, frame_mask(torch.tensor(lengths), 6))
    assert torch.equal(s[0], outputs[0, 5])
    assert torch.equal(s[1], outputs[1, 0])
    assert outputs[1, 1:].eq(0).all()
    assert outputs[2].eq(0).all()
    assert not torch.equal(c[1], torch.zeros(5))
    assert c[2].eq(0).all()
    assert s[2].eq(0).all()


def test_dropout_needs_training_mode_and_layer_norm() -> None:
    torch.manual_seed(0)
    frames, mask = torch.randn(B, 6, D), torch.ones(B, 6, dtype=torch.bool)
    for layer_norm in (False, True):
        method = build("pooling", "lstm", {"width": 8, "layer_norm": layer_norm, "dropout": 0.5}, in_features=D)
        vectors = [method.train()(frames, mask).vector for _ in range(2)]
        assert torch.equal(*vectors) is not layer_norm
        vectors = [method.eval()(frames, mask).vector for _ in range(2)]
        assert torch.equal(*vectors)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_many_to_many_does_not_depend_on_other_videos(variant: str) -> None:
    torch.manual_seed(0)
    method = build("classification", "many_to_many", {"width": 5, "variant": variant}, in_features=D, num_classes=C)
    frames, lengths = torch.randn(3, 40, D), [40, 17, 1]
    together = method(frames, frame_mask(torch.tensor(lengths), 40))
    for video, length in enumerate(lengths):
        alone = method(frames[video : video + 1, :length], torch.ones(1, length, dtype=torch.bool))
        for single, batched in zip(alone[:3], together[:3], strict=True):
            torch.testing.assert_close(single[0], batched[video], atol=1e-6, rtol=1e-6)


def test_sum_norm_rejects_ln_relu() -> None:
    with pytest.raises(UserError, match="unknown sum_norm 'ln_relu'"):
        build("pooling", "lstm", {"sum_norm": "ln_relu"}, in_features=D)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_many_to_many_of_a_video_without_frames_is_the_bias(variant: str) -> None:
    torch.manual_seed(0)
    method = build("classification", "many_to_many", {"width": 5, "variant": variant}, in_features=D, num_classes=C)
    nn.init.normal_(method.output.bias)
    frames = torch.randn(2, 40, D, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        scores: Scores = method(frames, frame_mask(torch.tensor([40, 0]), 40))
        sum(output.sum() for output in scores[:3]).backward()
    torch.testing.assert_close(scores.p[1], method.output.bias.sigmoid())
    assert scores.embedding[1].eq(0).all()
    assert all(tensor.grad.isfinite().all() for tensor in (frames, *method.parameters()))


@pytest.mark.parametrize("length", [299, 300, 310])
def test_many_to_many_variants_agree_from_300_frames_on(length: int) -> None:
    frames, mask, outputs = torch.randn(2, length, D), torch.ones(2, length, dtype=torch.bool), []
    for variant in ("paper", "authors"):
        torch.manual_seed(0)
        method = build("classification", "many_to_many", {"width": 5, "variant": variant}, in_features=D, num_classes=C)
        method.output.bias.data.fill_(5.0)
        outputs.append(method.double()(frames.double(), mask))
    assert torch.allclose(outputs[0].log_not_p, outputs[1].log_not_p, rtol=0, atol=1e-12) is (length >= 300)
    (outputs[1].log_p.sum() + outputs[1].log_not_p.sum()).backward()
    assert all(weight.grad.isfinite().all() for weight in method.parameters())


def test_many_to_many_is_exact_for_extreme_logits() -> None:
    method = build("classification", "many_to_many", {"width": 2}, in_features=D, num_classes=2)
    with torch.no_grad():
        method.output.bias.copy_(torch.tensor([200.0, -200.0]))
    scores: Scores = method(torch.randn(2, 20, D), frame_mask(torch.tensor([20, 3]), 20))
    (scores.log_p.sum() + scores.log_not_p.sum()).backward()
    torch.testing.assert_close(scores.log_p[:, 1], torch.full([2], -200.0), atol=5, rtol=0)
    torch.testing.assert_close(scores.log_not_p[:, 0], torch.full([2], -200.0), atol=5, rtol=0)
    assert all(weight.grad.isfinite().all() for weight in method.parameters())


class LargestTensor(TorchDispatchMode):
    """Size of the largest tensor created in the block."""

    size = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs or {})
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.size = max(self.size, *sizes, 0)
        return result


def test_many_to_many_does_not_keep_the_scores_of_all_frames() -> None:
    classes, frames = 20_000, 64
    method = build("classification", "many_to_many", {"width": 4, "chunk": 8}, in_features=D, num_classes=classes)
    saved: list[int] = []
    with (
        LargestTensor() as largest,
        torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t),
    ):
        scores = method(torch.randn(2, frames, D), torch.ones(2, frames, dtype=torch.bool))
    assert max(saved) <= 2 * classes * 4  # sums [B, C] or weights [C, w], but not [B, T, C] with 2,560,000
    assert sum(saved) < 2 * frames * classes
    with largest:
        (scores.log_p.sum() + scores.log_not_p.sum()).backward()
    assert largest.size == 2 * 8 * classes  # scores of one chunk, also in the backward pass
    assert method.output.weight.grad is not None
