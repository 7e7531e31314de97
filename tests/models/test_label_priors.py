"""Label correlation, center loss, pseudo-Huber loss and the 2-layer mixture of experts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.support.slot_cases import sigmoid, softmax
from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import build

Array = NDArray[np.float64]
C, E, VIDEOS = 5, 3, 7
# Label 3 always occurs alone; label 4 has no videos.
LABELS = label_matrix([0, 1, 0, 1, 2, 0, 1, 1, 2, 3, 3, 0], [0, 2, 5, 7, 9, 10, 11, 12, 12], C)
COUNTS = [[4, 3, 1, 0, 0], [3, 4, 2, 0, 0], [1, 2, 2, 0, 0], [0, 0, 0, 2, 0], [0, 0, 0, 0, 0]]


def build_loss(name: str, **options: Any) -> nn.Module:
    return build("loss", name, options, num_classes=C, embedding_features=E)


def correlation(**options: Any) -> nn.Module:
    method = build("label_processing", "correlation", options, num_classes=C)
    method.fit_label_prior(LABELS)
    return method


def batch(seed: int, dtype: torch.dtype = torch.float32) -> tuple[Scores, Tensor]:
    """Return scores and targets of 7 videos; video 0 has no label."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(VIDEOS, width, generator=generator, dtype=dtype) for width in (C, E)]
    targets = (torch.rand(VIDEOS, C, generator=generator) < 0.4).to(dtype)
    targets[0] = 0
    return Scores.from_logits(*values), targets


def center_distance(embedding: Array, targets: Array, centers: Array) -> float:
    total = 0.0
    for e, y in zip(embedding, targets, strict=True):
        for j in range(C):
            if y[j]:
                total += sum((e - centers[j]) ** 2) / sum(y)
    return total / len(embedding)


def update_centers(embedding: Array, targets: Array, centers: Array) -> Array:
    result = centers.copy()
    for j in range(C):
        videos = [e for e, y in zip(embedding, targets, strict=True) if y[j]]
        result[j] -= 0.05 * sum((centers[j] - e for e in videos), np.zeros(E)) / (1 + len(videos))
    return result


@pytest.mark.parametrize("sizes", [[VIDEOS], [3, 4]], ids=["one forward per step", "two forwards per step"])
def test_center_matches_a_loop_over_ten_steps(sizes: list[int]) -> None:
    method, centers = build_loss("center", weight=2.0).train(), np.zeros((C, E))
    for step in range(10):
        scores, targets = batch(step)
        tensors = zip(*(tensor.split(sizes) for tensor in (*scores[:3], targets)), strict=True)
        for *part, part_targets in tensors:
            total, parts = method(Scores(*part), part_targets)
            distance = center_distance(part[2].double().numpy(), part_targets.numpy(), centers)
            assert parts["center_distance"].item() == pytest.approx(distance, rel=1e-5)
            assert total.item() == pytest.approx(parts["cross_entropy"].item() + 2 * distance, rel=1e-5)
        method.after_step(lambda tensor: tensor)
        centers = update_centers(scores.embedding.double().numpy(), targets.numpy(), centers)
        np.testing.assert_allclose(method.centers, centers, rtol=1e-5, atol=1e-7)
    assert abs(centers).max() > 0.1


def test_center_sums_over_two_processes() -> None:
    single, halves = build_loss("center"), [build_loss("center"), build_loss("center")]
    scores, targets = batch(0)
    single(scores, targets)
    for half, rows in zip(halves, (slice(0, 3), slice(3, None)), strict=True):
        half(Scores(*(tensor[rows] for tensor in scores[:3])), targets[rows])
    single.after_step(lambda tensor: tensor)
    both = [halves[0].sums + halves[1].sums, halves[0].counts + halves[1].counts]
    halves[0].after_step(lambda tensor: next(total for total in both if total.shape == tensor.shape))
    assert single.centers.abs().max() > 0
    torch.testing.assert_close(halves[0].centers, single.centers)


@pytest.mark.parametrize(
    ("options", "training"), [({}, False), ({"update": "none"}, True), ({"variant": "authors"}, True)]
)
def test_center_does_not_move_centers(options: dict[str, str], training: bool) -> None:
    method = build_loss("center", **options).train(training)
    method(*batch(0))
    method.after_step(lambda tensor: tensor)
    assert all(buffer.eq(0).all() for buffer in method.buffers())
    assert list(method.state_dict()) == ["centers"]
    assert not list(method.parameters())


def test_center_authors_variant_with_and_without_the_update() -> None:
    """L_c is the mean over all pairs of a video and a label and over dimensions; the update would move the centers."""
    scores, targets = batch(0)
    squares = (scores.embedding**2).mean(dim=1)
    _, parts = build_loss("center", variant="authors")(scores, targets)
    expected = (targets.sum(dim=1) * squares).sum() / targets.sum()
    torch.testing.assert_close(parts["center_distance"], expected)
    updated = build_loss("center", variant="authors", update="wen")
    updated(scores, targets)
    updated.after_step(lambda tensor: tensor)
    assert updated.centers.ne(0).any()


def test_center_is_accurate_near_the_centers() -> None:
    """At distances of 1/1000 of the centers' norm, ||e||² - 2 e·c + ||c||² in float32 would keep one digit."""
    method, (scores, targets) = build_loss("center").eval(), batch(0)
    method.centers.normal_(std=10)
    targets = nn.functional.one_hot(torch.arange(VIDEOS) % C, C).float()
    embedding = method.centers[torch.arange(VIDEOS) % C] + 0.01 * scores.embedding
    _, parts = method(scores._replace(embedding=embedding), targets)
    expected = center_distance(embedding.double().numpy(), targets.numpy(), method.centers.double().numpy())
    assert parts["center_distance"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_center_gradient_matches_finite_differences(variant: str) -> None:
    method = build_loss("center", weight=3.0, variant=variant).double().eval()
    method.centers.normal_(generator=torch.Generator().manual_seed(0))
    scores, targets = batch(1, torch.float64)
    embedding = scores.embedding.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: method(scores._replace(embedding=e), targets)[0], [embedding])


@pytest.mark.parametrize(
    ("slot", "name", "options", "message"),
    [
        ("loss", "center", {"loss": "center"}, "found a center loss; expected another loss"),
        ("loss", "center", {"loss": "centr"}, "unknown loss 'centr'"),
        ("loss", "center", {"rate": 1.5}, r"'rate': found 1\.5; expected 0 to 1"),
        ("loss", "center", {"weight": -1}, "'weight': found -1; expected 0 or more"),
        ("loss", "center", {"dims": "max"}, "unknown dims 'max'"),
        ("loss", "center", {"update": "wenn"}, "Did you mean 'wen'"),
        ("loss", "pseudo_huber", {"delta": 0}, "'delta': found 0; expected more than 0"),
        ("loss", "pseudo_huber", {"level": "video"}, "unknown level 'video'"),
        ("label_processing", "correlation", {"space": "log"}, "unknown space 'log'"),
        ("label_processing", "correlation", {"matrix_norm": "row"}, "unknown matrix_norm 'row'"),
        ("label_processing", "correlation", {"variant": "authors", "beta": 0.1}, "expected γ alone"),
        ("classification", "two_layer_moe", {"hidden": 0}, "'hidden': found 0; expected 1 or more"),
        ("classification", "two_layer_moe", {"experts": 0}, "'experts': found 0; expected 1 or more"),
    ],
)
def test_build_rejects_invalid_options(slot: str, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(slot, name, options, in_features=E, num_classes=C, embedding_features=E)


def reference_matrix(norm: str) -> Array:
    counts, result = np.array(COUNTS, np.float64), np.zeros((C, C))
    filled = counts.copy()
    for i in range(C):
        filled[i, i] = np.mean(counts[i])
    for i in range(C):
        for j in range(C):
            if norm in ("cond", "cond_row") and i != j and counts[j, j]:
                result[i, j] = counts[i, j] / counts[j, j]
            if norm == "centered" and filled[j].any():
                result[i, j] = (filled[i, j] - np.mean(filled[j])) / np.sum(filled[j])
            if norm == "none":
                result[i, j] = counts[i, j]
            if i != j and counts[i, i] and counts[j, j]:
                if norm == "joint":
                    result[i, j] = counts[i, j] / LABELS.shape[0]
                if norm == "cosine":
                    result[i, j] = counts[i, j] / np.sqrt(counts[i, i] * counts[j, j])
                if norm == "phi":
                    result[i, j] = np.corrcoef(LABELS.toarray()[:, i], LABELS.toarray()[:, j])[0, 1]
        if norm == "softmax":
            result[i] = softmax(counts[i])
        if norm == "cond_row" and result[i].any():
            result[i] /= np.sum(result[i])
    return result


@pytest.mark.parametrize(
    ("norm", "rows", "columns"),
    [
        ("cond_row", [1, 1, 1, 0, 0], None),
        ("cond", None, [1, 1.25, 1.5, 0, 0]),
        ("joint", [4 / 8, 5 / 8, 3 / 8, 0, 0], [4 / 8, 5 / 8, 3 / 8, 0, 0]),
        ("cosine", None, None),
        ("phi", None, None),
        ("softmax", [1] * C, None),
        ("centered", None, [0] * C),
        ("none", [8, 9, 5, 2, 0], [8, 9, 5, 2, 0]),
    ],
)
def test_correlation_matrix_matches_a_loop(norm: str, rows: Any, columns: Any) -> None:
    method = correlation(beta=0.1, gamma=0.1, matrix_norm=norm)
    np.testing.assert_allclose(method.fixed, reference_matrix(norm), rtol=1e-6, atol=1e-7)
    assert torch.equal(method.fixed, method.trained)
    for sums, dim in ((rows, 1), (columns, 0)):
        if sums is not None:
            torch.testing.assert_close(method.fixed.sum(dim=dim), torch.tensor(sums, dtype=torch.float32))


@pytest.mark.parametrize("options", [{}, {"variant": "authors"}, {"space": "logit"}, {"space": "expert_logit"}])
def test_correlation_without_beta_and_gamma_returns_its_input(options: dict[str, str]) -> None:
    method, scores = correlation(**options), batch(0)[0]
    assert method(scores) is scores
    assert not method.state_dict()


@pytest.mark.parametrize(("beta", "gamma", "keys"), [(0.1, 0.0, ["fixed"]), (0.0, 0.1, ["trained"])])
def test_correlation_saves_only_the_matrices_in_use(beta: float, gamma: float, keys: list[str]) -> None:
    method = correlation(beta=beta, gamma=gamma)
    assert list(method.state_dict()) == keys
    assert len(list(method.parameters())) == (keys == ["trained"])


def test_correlation_before_fitting_keeps_the_scores() -> None:
    scores = batch(0)[0]
    method = build("label_processing", "correlation", {"beta": 0.1, "gamma": 0.1}, num_classes=C)
    for output, expected in zip(method(scores)[:3], scores[:3], strict=True):
        torch.testing.assert_close(output, expected)


def test_correlation_is_equal_after_saving_and_loading(tmp_path: Path) -> None:
    options, scores = {"beta": 0.2, "gamma": 0.1}, batch(0)[0]
    method = correlation(**options)
    save_file(method.state_dict(), tmp_path / "model.safetensors")
    loaded = build("label_processing", "correlation", options, num_classes=C)
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(loaded(scores).log_p, method(scores).log_p)
    assert not torch.equal(loaded(scores).log_p, scores.log_p)


def test_training_changes_only_the_trained_matrix() -> None:
    method, (scores, targets) = correlation(beta=0.1, gamma=0.1), batch(0)
    before = method.fixed.clone()
    optimizer = torch.optim.Adam(method.parameters())
    build_loss("cross_entropy")(method(scores), targets)[0].backward()
    optimizer.step()
    assert torch.equal(method.fixed, before)
    assert method.trained.ne(before).all()


def test_correlation_clamps_scores_with_finite_gradients() -> None:
    """Label 0 ends above 1, label 2 below 0, and label 1 in between."""
    method = build("label_processing", "correlation", {"gamma": 1.0, "space": "prob"}, num_classes=C)
    with torch.no_grad():
        method.trained[0, 1], method.trained[2, 1], method.trained[1, 0] = 5.0, -5.0, 0.2
    logits = torch.zeros(1, C, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        scores = method(Scores.from_logits(logits, logits))
        total = (scores.log_p + scores.log_not_p).sum()
        total.backward()
    assert scores.p[0, :3].tolist() == pytest.approx([1, 0.6, 0])
    torch.testing.assert_close(scores.log_not_p[0].exp(), 1 - scores.p[0])
    assert scores.log_not_p[0, 0].item() == scores.log_p[0, 2].item() == pytest.approx(np.log(1e-12))
    assert method.clamped_fraction.item() == pytest.approx(2 / C)
    for gradient in (logits.grad, method.trained.grad):
        assert gradient.isfinite().all()
    # A score above 1 is pulled down and one below 0 is pulled up, with the slope of log p at p = 0.01; p is 0.5.
    assert method.trained.grad[0].tolist() == pytest.approx([-50] * C)
    assert method.trained.grad[2].tolist() == pytest.approx([50] * C)
    assert method.trained.grad[1].ne(0).all()


@pytest.mark.parametrize(
    ("options", "rms"),
    [({}, 0.1), ({"relative_step": 2.0}, 2.0), ({"matrix_norm": "none"}, 0.1)],
)
def test_step_of_the_trained_matrix_is_in_proportion_to_its_entries(options: dict[str, Any], rms: float) -> None:
    method = correlation(gamma=0.1, **options)
    entries = method.trained.detach().numpy().astype(np.float64)
    assert method.step_scales == {"trained": pytest.approx(rms * np.sqrt(np.mean(entries**2)))}
    assert not correlation(gamma=0.1, variant="authors").step_scales  # published: one step for all weights
    assert correlation(gamma=0.1, variant="authors", relative_step=0.1).step_scales
    assert not correlation(beta=0.1).step_scales
    assert not correlation(gamma=0.1, space="average").step_scales


def test_average_starts_as_the_weighted_mean_and_stays_within_0_and_1() -> None:
    method, scores = correlation(beta=0.3, gamma=0.1, space="average"), batch(0)[0]
    matrix = torch.tensor(reference_matrix("cond_row"), dtype=torch.float32)
    expected = (scores.p + 0.3 * scores.p @ matrix.T + 0.1 * scores.p @ method.trained_matrix.T) / 1.4
    torch.testing.assert_close(method(scores).p, expected)
    rows = [0, 1, 2]  # each entry of 0 starts as 1/C², which is less visible with thousands of labels
    torch.testing.assert_close(method.trained_matrix[rows], matrix[rows], atol=1 / C, rtol=0)
    torch.testing.assert_close(method.trained_matrix.sum(dim=1), torch.ones(C))
    with torch.no_grad():
        method.trained.normal_(std=100)
    certain = Scores.from_logits(torch.full((2, C), 50.0) * torch.tensor([[1.0], [-1.0]]), torch.zeros(2, E))
    output = method(certain)
    assert output.log_p.isfinite().all()
    assert output.log_not_p.isfinite().all()
    assert method.clamped_fraction is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0.1, "relative_step": 0.0}, "expected more than 0"),
        ({"gamma": 0.1, "relative_step": "0.1"}, "expected more than 0"),
        ({"beta": -0.1, "space": "average"}, "weights of at least 0"),
        ({"beta": 0.1, "space": "average", "matrix_norm": "joint"}, "whose rows sum to 1"),
    ],
)
def test_invalid_options_of_the_correlation_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        correlation(**options)


@pytest.mark.parametrize("p", [1e-11, 1e-6, 0.3, 1 - 1e-6])
def test_correlation_keeps_digits_of_extreme_scores(p: float) -> None:
    """Row 3 of M_c is 0, so label 3 keeps its score; both logs keep the 7 digits of float32."""
    logits = torch.full((1, C), np.log(p) - np.log1p(-p))
    scores = correlation(beta=0.5, space="prob")(Scores.from_logits(logits, logits))
    assert scores.log_p[0, 3].item() == pytest.approx(np.log(p), rel=1e-5, abs=1e-11)
    assert scores.log_not_p[0, 3].item() == pytest.approx(np.log1p(-p), rel=1e-5)


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("dummy", [True, False])
def test_correlation_of_expert_logits_matches_a_loop(variant: str, dummy: bool) -> None:
    k, gamma, vector = 2, 0.3, torch.randn(VIDEOS, E, generator=torch.Generator().manual_seed(0)).double()
    moe = build("classification", "moe", {"experts": k, "dummy": dummy}, in_features=E, num_classes=C).double()
    options: dict[str, Any] = {"gamma": gamma, "variant": variant}
    if variant == "paper":
        options |= {"space": "expert_logit", "alpha": 0.9, "beta": 0.2}
    method = correlation(**options).double()
    scores = method(moe(vector))
    matrix = reference_matrix("centered" if variant == "authors" else "cond_row")
    gate, expert, bias = (weight.detach().numpy() for weight in (moe.gate.weight, moe.expert.weight, moe.expert.bias))
    for b in range(VIDEOS):
        v = vector[b].numpy()
        logits = (expert @ v + bias).reshape(C, k)
        for c in range(C):
            gates = softmax([gate[c * (k + dummy) + i] @ v for i in range(k + dummy)])
            p = 0.0
            for i in range(k):
                if variant == "authors":  # E ← (1-γ) E + γ E M; a row of E holds all labels of one expert
                    mixed = (1 - gamma) * logits[c, i] + gamma * sum(logits[j, i] * matrix[j, c] for j in range(C))
                else:
                    mixed = 0.9 * logits[c, i] + (0.2 + gamma) * sum(matrix[c, j] * logits[j, i] for j in range(C))
                p += gates[i] * sigmoid(mixed)
            assert scores.log_p[b, c].item() == pytest.approx(np.log(p), rel=1e-6)
            assert scores.log_not_p[b, c].item() == pytest.approx(np.log(1 - p), rel=1e-6)
    torch.testing.assert_close(scores.embedding, vector)


def test_correlation_of_expert_logits_needs_experts() -> None:
    with pytest.raises(UserError, match="a classification without experts; expected a mixture of experts"):
        correlation(variant="authors", gamma=0.1)(batch(0)[0])


@pytest.mark.parametrize(("cost", "slope"), [(0.001, 0.001), (0.1, 0.098), (100.0, 0.5)])
def test_pseudo_huber_slopes(cost: float, slope: float) -> None:
    """With δ = 0.5 the slope is about L_CE for small costs and δ for large costs."""
    log_p = torch.tensor([[-cost]], requires_grad=True)
    total, parts = build_loss("pseudo_huber")(Scores(log_p, torch.zeros(1, 1), log_p), torch.ones(1, 1))
    total.backward()
    assert log_p.grad.item() == pytest.approx(-slope, rel=5e-3)
    assert parts["cross_entropy"].item() == pytest.approx(cost)
    assert total.item() == pytest.approx(0.25 * np.expm1(np.log1p(4 * cost**2) / 2), rel=1e-5)


def test_pseudo_huber_with_a_large_delta_is_quadratic() -> None:
    scores, targets = batch(0)
    costs = -(targets * scores.log_p + (1 - targets) * scores.log_not_p)
    total, _ = build_loss("pseudo_huber", delta=1e4)(scores, targets)
    torch.testing.assert_close(total, (costs**2 / 2).sum(dim=1).mean())


def test_pseudo_huber_levels() -> None:
    """The costs of whole videos are far above δ = 0.5, so the loss is slightly below δ times the cross entropy."""
    parts = {level: build_loss("pseudo_huber", level=level)(*batch(0))[1] for level in ("class", "example", "batch")}
    losses = [parts[level]["pseudo_huber"].item() for level in ("class", "batch", "example")]
    assert losses == sorted(losses)
    assert losses[0] < 0.7 * losses[1]
    assert losses[1] == pytest.approx(0.5 * parts["batch"]["cross_entropy"].item(), rel=0.2)


@pytest.mark.parametrize(("experts", "millions"), [(2, 53), (16, 323)])
def test_two_layer_moe_parameter_counts(experts: int, millions: int) -> None:
    with torch.device("meta"):
        method = build("classification", "two_layer_moe", {"experts": experts}, in_features=1152, num_classes=4716)
    assert sum(weight.numel() for weight in method.parameters()) // 10**6 == millions


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_two_layer_moe_equals_one_layer_with_multiplied_weights(variant: str) -> None:
    """Without an activation it equals a 1-layer MoE of the vector with an appended 1 for the hidden biases."""
    options = {"hidden": 6, "variant": variant}
    two = build("classification", "two_layer_moe", options, in_features=E, num_classes=C).double()
    one = build("classification", "moe", {}, in_features=E + 1, num_classes=C).double()
    for weight in two.parameters():
        nn.init.normal_(weight)

    def multiply(outer: nn.Linear, inner: nn.Linear) -> Tensor:
        return outer.weight @ torch.cat([inner.weight, inner.bias[:, None]], dim=1)

    last = two.expert[1] if variant == "paper" else two.expert
    with torch.no_grad():
        one.gate.weight.copy_(multiply(two.gate[1], two.gate[0]))
        if variant == "paper":
            one.expert.weight.copy_(multiply(two.expert[1], two.expert[0]))
        else:
            one.expert.weight.copy_(torch.cat([two.expert.weight, torch.zeros(2 * C, 1)], dim=1))
        one.expert.bias.copy_(last.bias)
    vector = torch.randn(VIDEOS, E, dtype=torch.float64)
    scores, expected = two(vector), one(torch.cat([vector, torch.ones(VIDEOS, 1)], dim=1))
    torch.testing.assert_close(scores.log_p, expected.log_p)
    torch.testing.assert_close(scores.log_not_p, expected.log_not_p)
    assert torch.equal(scores.embedding, vector)
