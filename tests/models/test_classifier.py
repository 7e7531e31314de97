"""VideoClassifier: combinations of methods, trace, padding, saving and errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.normalization import normalize
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import SLOTS, build, takes_frames

STREAMS = (("rgb", 4), ("audio", 2))
B, T, D, C = 3, 7, 6, 5
SMALL: Mapping[str, Mapping[str, Any]] = {"mlp": {"hidden": [8]}}


def make_classifier(
    pooling: str = "indirect_clustering", classification: str = "moe", **arguments: Any
) -> VideoClassifier:
    torch.manual_seed(0)
    return VideoClassifier(
        streams=STREAMS,
        num_classes=C,
        pooling=(pooling, SMALL.get(pooling, {})),
        classification=(classification, SMALL.get(classification, {})),
        **{"label_processing": ("identity", {}), **arguments},
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randint(0, 256, (B, T, D), dtype=torch.uint8), torch.tensor([T, 3, 0])


COMBINATIONS = [
    (pooling, classification)
    for classification in SLOTS["classification"]
    for pooling in (["none"] if takes_frames(classification) else SLOTS["pooling"])
]


@pytest.mark.parametrize(("pooling", "classification"), COMBINATIONS)
def test_all_poolings_work_with_all_classifications(
    batch: tuple[Tensor, Tensor], pooling: str, classification: str
) -> None:
    model = make_classifier(pooling, classification)
    scores, trace = model(*batch, torch.zeros(B, C))
    assert scores.p.shape == (B, C)
    assert scores.log_p.isfinite().all()
    scores.log_not_p.sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    if pooling == "none":
        assert trace.vector is None
        assert trace.attention is None
    else:
        assert trace.vector.shape == (B, model.pooling.out_features)


def test_pooling_must_match_the_classification() -> None:
    with pytest.raises(
        UserError, match=r"pooling 'mean' before classification 'many_to_many'.*expected pooling 'none'"
    ):
        make_classifier("mean", "many_to_many")
    with pytest.raises(UserError, match=r"unknown pooling 'none'"):
        make_classifier("none", "moe")


def test_trace_matches_the_steps(batch: tuple[Tensor, Tensor]) -> None:
    model = make_classifier(normalization="per_modality")
    scores, trace = model(*batch)
    frames, mask = normalize(*batch, streams=STREAMS, mode="per_modality")
    pooled = model.pooling(frames, mask)
    assert torch.equal(trace.vector, pooled.vector)
    assert torch.equal(trace.attention, pooled.attention)
    assert torch.equal(trace.raw_scores.log_p, model.classification(pooled.vector).log_p)
    assert trace.scores is scores


def test_label_processing_changes_the_scores(batch: tuple[Tensor, Tensor]) -> None:
    class Decrease(torch.nn.Module):
        def forward(self, scores: Scores) -> Scores:
            return Scores(scores.log_p - 1, scores.log_not_p, scores.embedding)

    model = make_classifier()
    model.label_processing = Decrease()
    scores, trace = model(*batch)
    assert torch.equal(scores.log_p, trace.raw_scores.log_p - 1)
    assert trace.scores is scores


def test_targets_reach_the_pooling(batch: tuple[Tensor, Tensor]) -> None:
    model, targets_seen = make_classifier(), []
    model.pooling.register_forward_pre_hook(lambda module, args: targets_seen.append(args[2]))
    targets = torch.ones(B, C)
    model(*batch, targets)
    model(*batch)
    assert targets_seen[0] is targets
    assert targets_seen[1] is None


def test_video_level_features_are_one_frame() -> None:
    mean_rgb_and_audio = torch.randn(B, 1, D)
    _, trace = make_classifier("mean")(mean_rgb_and_audio, torch.ones(B, dtype=torch.long))
    torch.testing.assert_close(trace.vector, torch.nn.functional.normalize(mean_rgb_and_audio[:, 0], dim=-1))


def test_padding_does_not_change_the_scores(batch: tuple[Tensor, Tensor]) -> None:
    model, (frames, num_frames) = make_classifier(), batch
    scores, _ = model(frames, num_frames)
    padded, _ = model(torch.nn.functional.pad(frames, (0, 0, 0, 9), value=255), num_frames)
    torch.testing.assert_close(scores.log_p, padded.log_p, atol=1e-6, rtol=1e-6)


def test_scores_are_equal_after_saving_and_loading(batch: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    model = make_classifier()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(2)
    loaded = VideoClassifier(
        streams=[["rgb", 4], ["audio", 2]],  # lists, as read from config.json
        num_classes=C,
        pooling=["indirect_clustering", {}],
        classification=["moe", {}],
        label_processing=["identity", {}],
    )
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(model(*batch)[0].log_p, loaded(*batch)[0].log_p)


def test_compiled_model_matches_eager_mode(batch: tuple[Tensor, Tensor]) -> None:
    model = make_classifier()
    scores, trace = torch.compile(model, fullgraph=True, backend="aot_eager")(*batch)
    expected, expected_trace = model(*batch)
    torch.testing.assert_close(scores.log_p, expected.log_p)
    torch.testing.assert_close(trace.attention, expected_trace.attention)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "per_modalty"}, r"unknown normalization 'per_modalty'\. Did you mean 'per_modality'\?"),
        ({"pooling": "men"}, r"unknown pooling 'men'\. Did you mean 'mean'\?"),
        ({"label_processing": ("identity", {"alpha": 1})}, r"label_processing 'identity': unknown option 'alpha'"),
    ],
)
def test_unknown_names_are_rejected(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_classifier(**options)


def test_dropout_of_the_mlp_acts_only_in_training_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    options = {"hidden": [4000], "layer_norm": False, "dropout": 0.75}
    mlp = build("classification", "mlp", options, in_features=3, num_classes=2)
    vector = torch.rand(1, 3)
    trained, evaluated = mlp(vector).embedding, mlp.eval()(vector).embedding
    active = evaluated > 0
    assert 0.2 < float((trained[active] > 0).float().mean()) < 0.3
    assert float(trained.sum()) == pytest.approx(float(evaluated.sum()), rel=0.2)
    torch.testing.assert_close(trained[trained > 0], 4 * evaluated[trained > 0])


def test_input_dropout_of_the_mlp_removes_features() -> None:
    torch.manual_seed(0)
    mlp = build("classification", "mlp", {"hidden": [1], "input_dropout": 0.999}, in_features=50, num_classes=2)
    zero, vector = torch.zeros(1, 50), torch.ones(1, 50)
    torch.testing.assert_close(mlp(vector).embedding, mlp(zero).embedding)
    assert mlp.input_dropout == 0.999
