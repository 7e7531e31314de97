"""Methods that are not in the paper (netvlad, attention, context_gating), and fusion."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models import fusion
from yt8m_core.models.normalization import frame_mask, l2_normalize
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import build

STREAMS = [("rgb", 1024), ("audio", 128)]
D = 1152


@pytest.mark.parametrize(
    ("slot", "name", "weights"),
    [
        # assignment and its norm, centers, projection and its norm, gate
        ("pooling", "netvlad", D * 64 + 2 * 64 + 64 * D + 64 * D * 1024 + 2 * 1024 + 1024 * 1024 + 1024),
        ("pooling", "attention", D * 8 + D * 1024),
        ("label_processing", "context_gating", 4716 * 4716 + 4716),
        ("fusion", "concat", 0),
        ("fusion", "compact_bilinear", 0),
    ],
)
def test_parameter_counts_with_default_options(slot: str, name: str, weights: int) -> None:
    with torch.device("meta"):
        method = build(slot, name, {}, in_features=D, num_classes=4716, streams=STREAMS)
    assert sum(weight.numel() for weight in method.parameters()) == weights


@pytest.mark.parametrize(
    ("slot", "name", "options", "message"),
    [
        ("pooling", "netvlad", {"clusters": 0}, "netvlad, option 'clusters': found 0; expected 1 or more"),
        ("pooling", "netvlad", {"width": -1}, "netvlad, option 'width': found -1"),
        ("pooling", "attention", {"heads": 0}, "attention, option 'heads': found 0; expected 1 or more"),
        ("pooling", "attention", {"heads": 3}, "attention, option 'width': found 1024; expected a multiple of 3 heads"),
        ("fusion", "compact_bilinear", {"width": 0}, "compact_bilinear, option 'width': found 0; expected 1 or more"),
    ],
)
def test_build_rejects_invalid_sizes(slot: str, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(slot, name, options, in_features=6, num_classes=4, streams=STREAMS)


@pytest.mark.parametrize("streams", [[("video", 8)], [("rgb", 4), ("audio", 2), ("depth", 2)]])
def test_compact_bilinear_needs_two_streams(streams: list[tuple[str, int]]) -> None:
    with pytest.raises(UserError, match=rf"streams: found {len(streams)} \(.*\); expected two\. Use concat\."):
        build("fusion", "compact_bilinear", {}, streams=streams)


def test_untrained_netvlad_separates_clusters() -> None:
    """Without the layer norm of the logits, a unit frame would belong to all 64 clusters almost equally."""
    torch.manual_seed(0)
    netvlad = build("pooling", "netvlad", {"width": 1}, in_features=D)
    logits = netvlad.assign(l2_normalize(torch.randn(100, D)))

    def effective_clusters(logits: Tensor) -> float:
        return torch.distributions.Categorical(logits=logits).entropy().exp().mean().item()

    assert effective_clusters(logits) > 63.9
    assert effective_clusters(netvlad.assign_norm(logits)) < 45


def test_netvlad_weights_small_and_large_clusters_equally() -> None:
    """Six frames on one axis and one on another; the clusters are the axes and have equal norms in the output."""
    netvlad = build("pooling", "netvlad", {"clusters": 2, "width": 4, "gating": False}, in_features=2)
    nn.init.eye_(netvlad.assign.weight)
    nn.init.constant_(netvlad.assign_norm.weight, 50)
    nn.init.zeros_(netvlad.centers)
    projected = []
    netvlad.project.register_forward_pre_hook(lambda layer, inputs: projected.append(inputs[0]))
    frames = torch.tensor([[1.0, 0.0]] * 6 + [[0.0, 1.0]])
    netvlad(frames[None], torch.ones(1, 7, dtype=torch.bool))
    torch.testing.assert_close(projected[0], torch.tensor([[1.0, 0.0, 0.0, 1.0]]) / 2**0.5)


def test_untrained_attention_is_close_to_the_mean_of_the_frames() -> None:
    torch.manual_seed(0)
    frames, mask = l2_normalize(torch.randn(2, 300, D)), frame_mask(torch.tensor([300, 100]), 300)
    pooled = build("pooling", "attention", {}, in_features=D)(frames, mask)
    torch.testing.assert_close(pooled.attention, mask / mask.sum(dim=1, keepdim=True), atol=0, rtol=0.1)
    assert pooled.attention[1, 100:].eq(0).all()
    # The vector has the norm of the mean: 1/√300 for 300 orthogonal unit frames.
    assert pooled.vector[0].norm().item() == pytest.approx(300**-0.5, rel=0.2)


def test_attention_heads_attend_to_different_frames() -> None:
    attention = build("pooling", "attention", {"heads": 2, "width": 4}, in_features=2)
    attention.load_state_dict({"queries.weight": 1e4 * torch.eye(2), "values": torch.eye(2).expand(2, 2, 2)})
    pooled = attention(torch.eye(2).flip(0)[None], torch.ones(1, 2, dtype=torch.bool))
    assert pooled.vector.tolist() == [[1.0, 0.0, 0.0, 1.0]]
    assert pooled.attention.tolist() == [[0.5, 0.5]]


def test_context_gating_is_exact_for_extreme_logits() -> None:
    """Logits and gates of -200, 0 and 200: float32 matches float64, except that -1e-87 may become 0."""
    logits, gates = torch.cartesian_prod(*[torch.tensor([-200.0, 0.0, 200.0])] * 2).T
    method = build("label_processing", "context_gating", {}, num_classes=9)
    method.load_state_dict({"gate.weight": torch.zeros(9, 9), "gate.bias": gates})
    logits.requires_grad_()
    scores = method(Scores.from_logits(logits[None], logits[None]))
    (scores.log_p.sum() + scores.log_not_p.sum()).backward()
    x, g = logits.detach().double().numpy(), gates.double().numpy()
    log_p = -np.logaddexp(0, -x) - np.logaddexp(0, -g)
    log_not_p = np.logaddexp(-np.logaddexp(0, x), -np.logaddexp(0, -x) - np.logaddexp(0, g))
    np.testing.assert_allclose(scores.log_p[0].detach(), log_p, rtol=1e-6, atol=1e-40)
    np.testing.assert_allclose(scores.log_not_p[0].detach(), log_not_p, rtol=1e-6, atol=1e-40)
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in (logits, *method.parameters()))


def random_frames() -> tuple[Tensor, Tensor]:
    """Return two videos with three rows; the second has two real frames."""
    torch.manual_seed(0)
    mask = frame_mask(torch.tensor([3, 2]), 3)
    return torch.randn(2, 3, D) * mask[..., None], mask


def test_concat_returns_its_input() -> None:
    frames, mask = random_frames()
    concat = build("fusion", "concat", {}, streams=STREAMS)
    assert concat(frames, mask) is frames
    assert concat.out_features == D


@pytest.mark.parametrize("autocast", [False, True])
def test_compact_bilinear_returns_unit_frames_and_zero_padding(autocast: bool) -> None:
    frames, mask = random_frames()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        fused = build("fusion", "compact_bilinear", {}, streams=STREAMS)(frames, mask)
    assert (fused.shape, fused.dtype) == ((2, 3, 2048), torch.float32)
    torch.testing.assert_close(fused.norm(dim=2), mask.float())
    assert fused[~mask].eq(0).all()


def test_compact_bilinear_with_nan_padding_or_silent_audio() -> None:
    frames, mask = random_frames()
    compact_bilinear = build("fusion", "compact_bilinear", {}, streams=STREAMS)
    expected = compact_bilinear(frames, mask)
    frames[~mask] = torch.nan
    assert torch.equal(compact_bilinear(frames, mask), expected)
    frames[0, :, 1024:] = 0
    assert compact_bilinear(frames, mask)[0].eq(0).all()


def test_count_sketch_preserves_inner_products_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """With four buckets and no random signs, collisions would add (Σx·Σy - x·y) / 4 = 15."""
    x, y, products = torch.tensor([1.0, 2, 3, 1, 1, 1]), torch.tensor([1.0, 1, 1, 3, 2, 1]), []
    for seed in range(4000):
        monkeypatch.setattr(fusion, "SEED", seed)
        method = fusion.CompactBilinear([("rgb", 3), ("audio", 3)], width=4)
        products.append([fusion.count_sketch(v, method.buckets, method.signs, 4) for v in (x, y)])
    a, b = (torch.stack(sketches) for sketches in zip(*products, strict=True))
    assert (a * b).sum(dim=1).mean().item() == pytest.approx(float(x @ y), abs=0.8)


def test_compact_bilinear_approximates_the_outer_product() -> None:
    """The cosine of two frames is close to that of all 1024·128 products, which is the product of the cosines."""
    torch.manual_seed(0)
    shared, difference = torch.randn(D), torch.randn(2, D)
    frames = shared + 0.5 * difference  # [2, D], similar frames
    fused = build("fusion", "compact_bilinear", {}, streams=STREAMS)(frames[None], torch.ones(1, 2, dtype=torch.bool))
    cosines = [torch.cosine_similarity(*stream, dim=0) for stream in frames.split([1024, 128], dim=1)]
    assert (fused[0, 0] @ fused[0, 1]).item() == pytest.approx(float(cosines[0] * cosines[1]), abs=4 * 2048**-0.5)


def test_compact_bilinear_has_the_same_sketch_when_built_again_or_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inputs, methods = random_frames(), []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        methods.append(build("fusion", "compact_bilinear", {}, streams=STREAMS))
    expected = methods[0](*inputs)
    assert torch.equal(methods[1](*inputs), expected)
    save_file(methods[0].state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(fusion, "SEED", 7)  # as if another version had saved the weights
    other = build("fusion", "compact_bilinear", {}, streams=STREAMS)
    assert not torch.allclose(other(*inputs), expected)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(*inputs), expected)
