"""Label processing that corrects the logits: chain, label_graph and label_queries."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.analysis.learned_correlation import correlation_weights, uses_correlation_matrix
from yt8m_core.errors import UserError
from yt8m_core.experiment import Training
from yt8m_core.explain.attribution import attribute_label
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.label_prior import fit_label_prior
from yt8m_core.models.label_processing.label_graph import strongest_neighbors
from yt8m_core.models.losses.cross_entropy import CrossEntropy
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.training.step import adam

B, C, E = 16, 40, 12
SMALL: dict[str, dict[str, Any]] = {
    "chain": {"width": 8, "hidden": 16},
    "label_graph": {"neighbors": 4, "support": 1},
    "label_queries": {"groups": 7, "tokens": 3, "width": 8, "heads": 2},
}
METHODS = pytest.mark.parametrize("name", SMALL)


def random_labels(videos: int = 300, seed: int = 0) -> csr_array:
    """Return labels [N, C]: up to four per video, of which the first ids are the most frequent."""
    random = np.random.default_rng(seed)
    rows = [np.unique((C * random.random(random.integers(0, 5)) ** 2).astype(np.int64)) for _ in range(videos)]
    return label_matrix(np.concatenate(rows), np.cumsum([0, *map(len, rows)]), C)


def make_method(name: str, num_classes: int = C) -> nn.Module:
    torch.manual_seed(0)
    method = build("label_processing", name, SMALL[name], num_classes=num_classes, embedding_features=E)
    if num_classes == C:
        fit_label_prior(method, random_labels())
    return method


def mixture_scores(scale: float = 20.0) -> Scores:
    """Return scores of a mixture of experts, which reach from p = 1e-20 to p = 1 - 1e-20."""
    torch.manual_seed(1)
    gates, experts = scale * torch.randn(B, C, 2), scale * torch.randn(B, C, 2)
    return Scores.from_mixture(gates, experts, torch.randn(B, E))


@METHODS
@pytest.mark.parametrize("is_fitted", [False, True])
def test_untrained_method_keeps_every_digit_of_the_scores(name: str, is_fitted: bool) -> None:
    method = build("label_processing", name, SMALL[name], num_classes=C, embedding_features=E)
    if is_fitted:
        fit_label_prior(method, random_labels())
    for scale in (0.1, 3.0, 20.0):
        scores = mixture_scores(scale)
        result = method(scores)
        assert torch.equal(result.log_p, scores.log_p)
        assert torch.equal(result.log_not_p, scores.log_not_p)
        assert result.embedding is scores.embedding
        # The logits alone would not do: their rounding changes scores.
        assert not torch.equal(
            Scores.from_logits(scores.log_p - scores.log_not_p, scores.embedding).log_p, scores.log_p
        )


@METHODS
def test_one_step_moves_the_scores_of_every_video(name: str) -> None:
    method, scores = make_method(name), mixture_scores(1.0)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    targets = (torch.rand(B, C) < 0.1).float()
    before, _ = CrossEntropy()(method(scores), targets)
    before.backward()
    optimizer.step()
    result = method(scores)
    assert result.log_p.ne(scores.log_p).any(dim=1).all()
    assert CrossEntropy()(result, targets)[0] < before


@METHODS
def test_every_parameter_has_a_gradient_after_one_step(name: str) -> None:
    """The output starts at 0 and passes no gradient back at first; afterwards nothing may stay without."""
    method, scores = make_method(name), mixture_scores(1.0)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        CrossEntropy()(method(scores), (torch.rand(B, C) < 0.1).float())[0].backward()
        optimizer.step()
    assert [key for key, weight in method.named_parameters() if not weight.grad.ne(0).any()] == []


@METHODS
def test_first_stage_has_the_gradient_of_identity_at_the_start(name: str) -> None:
    gradients = []
    for method in (make_method(name), build("label_processing", "identity", {}, num_classes=C)):
        logits = torch.linspace(-5, 5, B * C).view(B, C).requires_grad_()
        CrossEntropy()(method(Scores.from_logits(logits, torch.zeros(B, E))), torch.ones(B, C))[0].backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


@METHODS
def test_method_learns_that_one_label_implies_another(name: str) -> None:
    """Label 1 goes with label 0, which the first stage knows; the video says nothing. ln 2 is the loss of a guess."""
    labels = label_matrix([0, 1] * 50, [*range(0, 101, 2), *[100] * 50], 2)
    method = make_method(name, num_classes=2)
    fit_label_prior(method, labels)
    targets = torch.from_numpy(labels.toarray()).float()
    logits = torch.stack([8 * targets[:, 0] - 4, torch.zeros(100)], dim=1)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        scores = method(Scores.from_logits(logits, torch.zeros(100, E)))
        loss = -(targets * scores.log_p + (1 - targets) * scores.log_not_p)[:, 1].mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@METHODS
def test_half_precision_returns_float32_near_the_exact_scores(name: str) -> None:
    method, scores = make_method(name), mixture_scores(1.0)
    for weight in method.parameters():
        nn.init.normal_(weight, std=0.2)
    exact = method(scores)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = method(scores._replace(embedding=scores.embedding.bfloat16()))
    for output, expected in zip(result[:2], exact[:2], strict=True):
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, expected, atol=0.1, rtol=0.1)
    assert exact.log_p.ne(scores.log_p).any()


@METHODS
def test_scores_and_embedding_of_zero_are_finite(name: str) -> None:
    """A video without frames has an embedding of 0, and a saturated first stage scores of exactly 0."""
    method = make_method(name)
    for weight in method.parameters():
        nn.init.normal_(weight)
    logits, embedding = torch.full((2, C), -1e4, requires_grad=True), torch.zeros(2, E, requires_grad=True)
    scores = method(Scores.from_logits(logits, embedding))
    (scores.log_p + scores.log_not_p).sum().backward()
    leaves = [logits, embedding, *method.parameters()]
    assert scores.log_p.isfinite().all()
    assert all(leaf.grad is None or leaf.grad.isfinite().all() for leaf in leaves)


@METHODS
def test_analyses_of_a_run_have_no_matrix_to_show(name: str) -> None:
    assert correlation_weights(Slot(name)) is None
    assert not uses_correlation_matrix(Slot(name))
    model = VideoClassifier(
        streams=[("rgb", 6)],
        num_classes=C,
        pooling=("mean", {}),
        classification=("moe", {}),
        label_processing=(name, SMALL[name]),
    ).eval()
    attribution = attribute_label(model, np.ones((3, 6), np.float32), label=2)
    assert attribution.label_contributions is None
    assert attribution.processed == attribution.classified


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("chain", 256 * (4716 + 1) + 1024 * (256 + 1152 + 1) + 4716 * (1024 + 1)),
        ("label_graph", 4716 * 16 + 4716),
        # tokens, queries, attention, feed-forward, four norms, output of 100 groups of 48 labels, biases
        (
            "label_queries",
            1024 * 1153 + 128 * 4717 + 100 * 128 + 128 * (4 * 128 + 3)
            + 256 * 129 + 128 * 257 + 8 * 128 + 100 * 128 * 48 + 4716,
        ),
    ],
)  # fmt: skip
def test_parameter_counts_with_default_options(name: str, weights: int) -> None:
    with torch.device("meta"):
        method = build("label_processing", name, {}, num_classes=4716, embedding_features=1152)
    assert sum(weight.numel() for weight in method.parameters()) == weights


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("chain", {"width": 0}, "chain, option 'width': found 0; expected 1 or more"),
        ("chain", {"hidden": -1}, "chain, option 'hidden': found -1; expected 1 or more"),
        ("label_graph", {"neighbors": 0}, "label_graph, option 'neighbors': found 0; expected 1 or more"),
        ("label_graph", {"support": 0}, "label_graph, option 'support': found 0; expected 1 or more"),
        ("label_queries", {"groups": 0}, "label_queries, option 'groups': found 0; expected 1 or more"),
        ("label_queries", {"tokens": 0}, "label_queries, option 'tokens': found 0; expected 1 or more"),
        ("label_queries", {"heads": 0}, "label_queries, option 'heads': found 0; expected 1 or more"),
        ("label_queries", {"heads": 3}, "label_queries, option 'width': found 128; expected a multiple of 3 heads"),
    ],
)
def test_build_rejects_invalid_sizes(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build("label_processing", name, options, num_classes=C, embedding_features=E)


class TestAddToLogits:
    LOGITS, RESIDUALS = torch.cartesian_prod(
        torch.tensor([-200.0, -60.0, -9.0, -1e-3, 0.0, 4.0, 30.0, 200.0]),
        torch.tensor([-300.0, -40.0, -3.0, -1e-5, 0.0, 0.5, 17.0, 300.0]),
    ).T

    def test_matches_float64(self) -> None:
        scores = Scores.from_logits(self.LOGITS[None], torch.zeros(1, 1)).add_to_logits(self.RESIDUALS[None])
        # In float32, logits of 200 have a distance of 2e-5.
        logits = self.LOGITS.double().numpy() + self.RESIDUALS.double().numpy()
        np.testing.assert_allclose(scores.log_p[0], -np.logaddexp(0, -logits), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(scores.log_not_p[0], -np.logaddexp(0, logits), rtol=1e-4, atol=1e-6)
        assert max(scores.log_p.max(), scores.log_not_p.max()) <= 0

    def test_probabilities_stay_below_one_for_any_mixture(self) -> None:
        """Restoring the rounding error of a small p must not lift it above 1 after a large residual."""
        for residual in (-30.0, 30.0):
            result = mixture_scores(4.0).add_to_logits(torch.full((B, C), residual))
            assert max(result.log_p.max(), result.log_not_p.max()) <= 0

    def test_gradient_is_that_of_the_new_logits(self) -> None:
        logits, residual = (tensor.clone()[None].requires_grad_() for tensor in (self.LOGITS, self.RESIDUALS))
        Scores.from_logits(logits, logits).add_to_logits(residual).log_p.sum().backward()
        expected = torch.sigmoid(-(self.LOGITS.double() + self.RESIDUALS.double())).float()
        for gradient in (logits.grad, residual.grad):
            assert gradient is not None
            torch.testing.assert_close(gradient[0], expected, atol=1e-6, rtol=1e-4)

    def test_omits_the_mixture(self) -> None:
        assert mixture_scores().add_to_logits(torch.zeros(B, C)).mixture is None


def slow_neighbors(labels: NDArray[Any], limit: int, support: int) -> tuple[Tensor, Tensor]:
    neighbors, prior = torch.zeros(C, limit, dtype=torch.int64), torch.zeros(C, limit)
    for i in range(C):
        edges = []
        for j in range(C):
            both, single = int(sum(labels[:, i] * labels[:, j])), int(sum(labels[:, j]))
            if i != j and both >= support:
                edges.append((-both / single, -both, j))
        for n, (conditional, _, j) in enumerate(sorted(edges)[:limit]):
            neighbors[i, n], prior[i, n] = j, -conditional
    return neighbors, prior


class TestLabelGraph:
    @pytest.mark.parametrize(("limit", "support"), [(3, 1), (6, 4), (C, 2)])
    def test_neighbors_match_a_loop(self, limit: int, support: int) -> None:
        labels = random_labels()
        method = build("label_processing", "label_graph", {"neighbors": limit, "support": support}, num_classes=C)
        method.fit_label_prior(labels)
        neighbors, prior = slow_neighbors(labels.toarray().astype(np.int64), limit, support)
        assert torch.equal(method.neighbors, neighbors)
        torch.testing.assert_close(method.prior, prior)
        assert prior.gt(0).any()
        assert prior[:, -1].eq(0).any() == (limit > 3)  # some labels have fewer neighbors

    def test_edges_are_directed(self) -> None:
        """Label 1 always comes with label 0, but label 0 also without: P(0 | 1) = 1 and P(1 | 0) = 1/4."""
        labels = label_matrix([0, 1, 0, 0, 0], [0, 2, 3, 4, 5], 2)
        neighbors, prior = strongest_neighbors(count_pairs(labels), limit=1, support=1)
        assert (neighbors.tolist(), prior.tolist()) == ([[1], [0]], [[1.0], [0.25]])

    def test_labels_without_videos_or_pairs_have_no_neighbors(self) -> None:
        neighbors, prior = strongest_neighbors(count_pairs(label_matrix([0, 1], [0, 1, 2, 2], 3)), limit=2, support=1)
        assert not neighbors.any()
        assert not prior.any()

    def test_a_label_without_neighbors_keeps_its_scores(self) -> None:
        """Missing neighbors point to label 0, which must not act on them."""
        method = build("label_processing", "label_graph", {"support": 1}, num_classes=4)
        method.fit_label_prior(label_matrix([1, 2, 0, 3], [0, 2, 3, 4], 4))
        for weight in method.parameters():
            nn.init.normal_(weight)
        scores = Scores.from_logits(torch.randn(B, 4), torch.zeros(B, E))
        changed = method(scores).log_p.ne(scores.log_p).any(dim=0)
        assert changed.tolist() == [False, True, True, False]

    def test_scores_that_are_equal_for_all_labels_carry_no_message(self) -> None:
        """As those of an untrained classification; otherwise the gates would become biases that lower all scores."""
        method, logits = make_method("label_graph"), torch.full((B, C), -0.7)
        method(Scores.from_logits(logits, torch.zeros(B, E))).log_p.sum().backward()
        torch.testing.assert_close(method.gate.grad, torch.zeros(C), atol=1e-5, rtol=0)
        method.gate.grad = None
        logits[:, 0] = 4
        method(Scores.from_logits(logits, torch.zeros(B, E))).log_p.sum().backward()
        assert method.gate.grad.abs().max() > 0.1

    def test_gates_take_small_steps(self) -> None:
        """With full steps, GAP of real videos was 0.05 lower: the gates became biases (see ``LabelGraph``)."""
        model = VideoClassifier(
            streams=[("rgb", 6)],
            num_classes=C,
            pooling=("mean", {}),
            classification=("moe", {}),
            label_processing=("label_graph", {}),
        )
        gate = model.label_processing.gate
        groups = adam(model, Training()).param_groups
        assert [group["step_scale"] for group in groups if any(weight is gate for weight in group["params"])] == [0.1]

    def test_fitting_again_replaces_the_graph(self) -> None:
        method, again = make_method("label_graph"), make_method("label_graph")
        fit_label_prior(again, random_labels(50, seed=1))
        assert not torch.equal(method.neighbors, again.neighbors)
        fit_label_prior(again, random_labels())
        assert torch.equal(method.neighbors, again.neighbors)
        assert torch.equal(method.prior, again.prior)


@pytest.mark.parametrize("name", ["chain", "label_queries"])
def test_hidden_layers_take_smaller_steps_than_the_classification(name: str) -> None:
    model = VideoClassifier(
        streams=[("rgb", 6)],
        num_classes=C,
        pooling=("mean", {}),
        classification=("moe", {}),
        label_processing=(name, {"width": 8}),
    )
    hidden = {id(weight) for weight in model.label_processing.parameters()}
    for group in adam(model, Training()).param_groups:
        assert {id(weight) in hidden for weight in group["params"]} == {group["step_scale"] < 1}


@pytest.mark.parametrize("width", [8, 64])
def test_steps_of_label_queries_decrease_with_their_width(width: int) -> None:
    method = build("label_processing", "label_queries", {"width": width}, num_classes=C, embedding_features=E)
    assert method.step_scales == {name: 1 / width for name, _ in method.named_parameters()}


def test_chain_depends_on_the_direction_of_the_embedding_only() -> None:
    method, scores = make_method("chain"), mixture_scores(1.0)
    nn.init.normal_(method.output.weight)
    result = method(scores)
    longer = method(scores._replace(embedding=100 * scores.embedding))
    torch.testing.assert_close(longer.log_p, result.log_p)
    other = method(scores._replace(embedding=scores.embedding.flip(0)))
    assert not torch.allclose(other.log_p, result.log_p)


def test_label_queries_change_the_labels_of_their_group_only() -> None:
    """40 labels in 7 groups of 6: the last group has 4."""
    method, scores = make_method("label_queries"), mixture_scores(1.0)
    for group in (0, 3, 6):
        nn.init.zeros_(method.output)
        nn.init.normal_(method.output[group])
        changed = method(scores).log_p.ne(scores.log_p).any(dim=0)
        assert changed.nonzero().flatten().tolist() == list(range(6 * group, min(6 * group + 6, C)))


def test_label_queries_are_at_most_one_per_label() -> None:
    method = build("label_processing", "label_queries", {}, num_classes=3, embedding_features=E)
    assert method.queries.shape == (3, 128)
    assert method.output.shape == (3, 128, 1)
