"""Properties of the poolings beyond their equations: priors, equivalences and known values."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.slot_cases import LABELS, B, C, D, T, cases, make_method
from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.normalization import frame_mask
from yt8m_core.models.registry import build

MASK = frame_mask(torch.tensor([T, 4, 1]), T)


def pool(name: str, frames: Tensor, **options: object) -> Tensor:
    method = build("pooling", name, options, in_features=D, num_classes=C).double().eval()
    vector: Tensor = method(frames, MASK).vector
    return vector


@pytest.fixture
def frames() -> Tensor:
    torch.manual_seed(2)
    return nn.functional.normalize(torch.randn(B, T, D, dtype=torch.float64), dim=-1) * MASK[..., None]


@cases("pooling")
def test_has_attention_matches_the_output(slot: str, name: str, options: dict[str, object]) -> None:
    method = make_method(slot, name, options)
    attention = method(torch.randn(B, T, D, dtype=torch.float64), MASK).attention
    assert getattr(method, "has_attention", False) == (attention is not None)


def test_authors_variants_are_sums(frames: Tensor) -> None:
    total = frames.sum(dim=1)
    unit = nn.functional.normalize(total, dim=-1)
    torch.testing.assert_close(pool("position_encoding", frames, variant="authors"), unit)
    torch.testing.assert_close(pool("adaptive_noise", frames), unit)
    torch.testing.assert_close(pool("sum", frames), unit)
    torch.testing.assert_close(pool("indirect_clustering", frames, variant="authors", post="l2"), unit)
    normed = nn.functional.layer_norm(total, (D,), eps=1e-12).relu()
    torch.testing.assert_close(pool("indirect_clustering", frames, variant="authors"), normed)
    torch.testing.assert_close(pool("sum", frames, post="ln_relu"), normed)
    assert not torch.allclose(pool("position_encoding", frames), unit)


def test_position_encoding_weights_at_the_corners() -> None:
    width, times = 1152, 300
    method = build("pooling", "position_encoding", {"post": "none"}, in_features=width, num_classes=C)

    def weight(t: int, j: int) -> float:
        frames = torch.zeros(1, times, width)
        frames[0, t, j] = 1
        return float(method(frames, torch.ones(1, times, dtype=torch.bool)).vector[0, j])

    # If t and j start at 0, the corners are 1, .001, .003 and .996; starting at 1, they differ by at most .0042.
    corners = [weight(t, j) for t in (0, -1) for j in (0, -1)]
    assert corners == pytest.approx([1, 0.001, 0.003, 0.996], abs=0.005)
    assert weight(10, 575) == pytest.approx(0.5) == weight(200, 575)


NOISE_LABELS = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.float64)


def add_noise(frames: Tensor, pooling: str) -> tuple[Tensor, list[float]]:
    """Pool frames with adaptive noise of scale 2 and seed 3; also return γ of each video, computed by a loop."""
    options = {"scale": 2.0, "pooling": pooling}
    method = build("pooling", "adaptive_noise", options, in_features=D, num_classes=C).double().train()
    method.fit_label_prior(LABELS)
    torch.manual_seed(3)
    vectors = method(frames, MASK, NOISE_LABELS).vector
    torch.manual_seed(3)
    counts = [sum(LABELS.toarray()[:, c]) for c in range(C)]
    video_labels = [[c for c in range(C) if labels[c]] for labels in NOISE_LABELS]
    return vectors, [2 * float(np.mean([1 / counts[c] for c in labels])) if labels else 0 for labels in video_labels]


@pytest.mark.parametrize("inner", ["sum(post='none')", "sum", "mean"])
def test_noise_of_a_sum_matches_a_loop(frames: Tensor, inner: str) -> None:
    vectors, gammas = add_noise(frames, inner)
    Z = torch.randn(B, D, dtype=torch.float64).numpy()
    for b, (n, gamma) in enumerate(zip([T, 4, 1], gammas, strict=True)):
        # n frames of γZ_t add up to γ√n Z in distribution.
        expected = sum(frames[b, t].numpy() for t in range(n)) + gamma * n**0.5 * Z[b]
        if inner == "sum":
            expected = expected / np.linalg.norm(expected)
        np.testing.assert_allclose(vectors[b], expected / n if inner == "mean" else expected, rtol=1e-5)


def test_noise_per_frame_matches_a_loop(frames: Tensor) -> None:
    """A pooling that is not a sum gets independent noise for each frame."""
    vectors, gammas = add_noise(frames, "position_encoding(post='none')")
    Z = torch.randn(B, T, D, dtype=torch.float64)
    inner = build("pooling", "position_encoding", {"post": "none"}, in_features=D).double()
    for b, (n, gamma) in enumerate(zip([T, 4, 1], gammas, strict=True)):
        noisy_frames = torch.stack([frames[b, t] + gamma * Z[b, t] for t in range(n)])[None]
        expected = inner(noisy_frames, torch.ones(1, n, dtype=torch.bool)).vector[0]
        np.testing.assert_allclose(vectors[b], expected, rtol=1e-5)


def test_gamma_of_rare_and_frequent_labels() -> None:
    labels = label_matrix([0] * 101 + [1] * 800, np.arange(902), 3)
    method = build("pooling", "adaptive_noise", {}, in_features=D, num_classes=3)
    method.fit_label_prior(labels)
    assert method.gamma(torch.eye(3)).tolist() == pytest.approx([1 / 101, 1 / 800, 1])  # no videos: S(y) = 1
    assert method.gamma(torch.tensor([[1.0, 1.0, 0.0]])).item() == pytest.approx((1 / 101 + 1 / 800) / 2)
    relative = build("pooling", "adaptive_noise", {"gamma_norm": "max"}, in_features=D, num_classes=2)
    relative.fit_label_prior(label_matrix([0] * 101 + [1] * 800, np.arange(902), 2))
    assert relative.gamma(torch.eye(2)).tolist() == pytest.approx([1, 101 / 800])


def test_noise_needs_labels_during_training_and_keeps_the_attention_of_the_wrapped_pooling(frames: Tensor) -> None:
    options = {"pooling": "indirect_clustering(scale=2.0)"}
    method = build("pooling", "adaptive_noise", options, in_features=D, num_classes=C).double()
    with pytest.raises(UserError, match="no labels"):
        method.train()(frames, MASK)
    inner = build("pooling", "indirect_clustering", {"scale": 2.0}, in_features=D).double()
    assert torch.equal(method.eval()(frames, MASK).attention, inner(frames, MASK).attention)


@pytest.mark.parametrize("inner", ["sum(post='none')", "indirect_clustering(variant='authors', post='none')"])
def test_noise_is_independent_for_each_video_and_frame(inner: str) -> None:
    """The distribution is the same for one Z per video and, for other poolings, one Z per frame."""
    method = build("pooling", "adaptive_noise", {"pooling": inner}, in_features=D, num_classes=C)
    method.fit_label_prior(LABELS)
    frames, labels = torch.zeros(200, T, D), torch.eye(C)[[1] * 200]
    vectors = method.train()(frames, frame_mask(torch.full([200], 4), T), labels).vector
    # Sum of the independent noise of 4 frames with γ = 1/3; none from the padding.
    assert vectors.std().item() == pytest.approx(4**0.5 / LABELS.toarray()[:, 1].sum(), rel=0.1)


def test_largest_cluster_is_the_longer_of_two_scenes() -> None:
    random = torch.Generator().manual_seed(0)
    scenes = torch.randn(2, 16, generator=random)
    frames = scenes[[0] * 8 + [1] * 20 + [0] * 4] + 0.05 * torch.randn(32, 16, generator=random)
    method = build("pooling", "largest_cluster", {"clusters": 2}, in_features=16)
    vector, attention = method(frames[None], torch.ones(1, 32, dtype=torch.bool))
    assert attention[0].gt(0).nonzero()[:, 0].tolist() == list(range(8, 28))
    torch.testing.assert_close(vector[0], frames[8:28].mean(dim=0))


@pytest.mark.parametrize(("channels", "parameters"), [(64, 368_704), (256, 1_474_816), (1024, 5_899_264)])
def test_cnn_parameter_counts_of_table_1(channels: int, parameters: int) -> None:
    with torch.device("meta"):
        method = build("pooling", "cnn", {"channels": channels}, in_features=1152)
    assert sum(weight.numel() for weight in method.parameters()) == parameters


@cases("pooling")
def test_cacheable_pooling_has_summaries_without_weights(slot: str, name: str, options: dict[str, object]) -> None:
    """Pooling from summaries equals pooling from frames; a pooling with weights before its sum is not cacheable."""
    method, frames = make_method(slot, name, options), torch.randn(B, T, D, dtype=torch.float64)
    if not getattr(method, "is_cacheable", False):
        assert list(method.parameters()) or (name, "pooling" in options) == ("adaptive_noise", True)
        return
    lengths = torch.tensor([T, 4, 1])
    summaries = method.summarize(frames, MASK).vector
    assert summaries.shape == (B, method.summary_features)
    assert torch.equal(method.finish(summaries, lengths), method(frames, MASK).vector)
    for weight in method.parameters():
        nn.init.normal_(weight)
    assert torch.equal(method.summarize(frames, MASK).vector, summaries)
    assert not summaries.requires_grad


def test_equal_summary_descriptions_mean_equal_summaries(frames: Tensor) -> None:
    summaries: dict[str, Tensor] = {}
    for _, name, options in cases("pooling").args[1]:
        method = make_method("pooling", name, options)
        if getattr(method, "is_cacheable", False):
            summary = method.summarize(frames, MASK).vector
            torch.testing.assert_close(summaries.setdefault(method.summary, summary), summary)
    del summaries["largest_cluster(clusters=1, iterations=10)"]  # equal to the mean
    assert len(summaries) >= 7
    assert all(not torch.allclose(a, b) for a in summaries.values() for b in summaries.values() if a is not b)
