"""The line of four slots as one module."""

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
from yt8m_core.models.registry import SLOTS, takes_frames

STREAMS = (("rgb", 4), ("audio", 2))
B, T, D, C = 3, 7, 6, 5
SMALL: Mapping[str, Mapping[str, Any]] = {"mlp": {"hidden": [8]}}


def classifier(pooling: str = "indirect_clustering", classification: str = "moe", **others: Any) -> VideoClassifier:
    torch.manual_seed(0)
    return VideoClassifier(
        streams=STREAMS,
        num_classes=C,
        pooling=(pooling, SMALL.get(pooling, {})),
        classification=(classification, SMALL.get(classification, {})),
        **{"label_processing": ("identity", {}), **others},
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randint(0, 256, (B, T, D), dtype=torch.uint8), torch.tensor([T, 3, 0])


LINES = [
    (pooling, classification)
    for classification in SLOTS["classification"]
    for pooling in (["none"] if takes_frames(classification) else SLOTS["pooling"])
]


@pytest.mark.parametrize(("pooling", "classification"), LINES)
def test_model_when_any_pooling_meets_any_classification(
    batch: tuple[Tensor, Tensor], pooling: str, classification: str
) -> None:
    model = classifier(pooling, classification)
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


def test_model_without_a_pooling_where_one_is_needed_and_the_other_way_round_says_so() -> None:
    with pytest.raises(
        UserError, match=r"pooling 'mean' before classification 'many_to_many'.*expected pooling 'none'"
    ):
        classifier("mean", "many_to_many")
    with pytest.raises(UserError, match=r"unknown pooling 'none'"):
        classifier("none", "moe")


def test_trace_when_followed_step_by_step(batch: tuple[Tensor, Tensor]) -> None:
    model = classifier(normalization="per_modality")
    scores, trace = model(*batch)
    frames, mask = normalize(*batch, streams=STREAMS, mode="per_modality")
    pooled = model.pooling(frames, mask)
    assert torch.equal(trace.vector, pooled.vector)
    assert torch.equal(trace.attention, pooled.attention)
    assert torch.equal(trace.raw_scores.log_p, model.classification(pooled.vector).log_p)
    assert trace.scores is scores


def test_scores_when_labels_are_processed(batch: tuple[Tensor, Tensor]) -> None:
    class Doubt(torch.nn.Module):
        def forward(self, scores: Scores) -> Scores:
            return Scores(scores.log_p - 1, scores.log_not_p, scores.embedding)

    model = classifier()
    model.label_processing = Doubt()
    scores, trace = model(*batch)
    assert torch.equal(scores.log_p, trace.raw_scores.log_p - 1)
    assert trace.scores is scores


def test_pooling_when_targets_are_given(batch: tuple[Tensor, Tensor]) -> None:
    model, seen = classifier(), []
    model.pooling.register_forward_pre_hook(lambda module, args: seen.append(args[2]))
    targets = torch.ones(B, C)
    model(*batch, targets)
    model(*batch)
    assert seen[0] is targets
    assert seen[1] is None


def test_model_when_frames_are_one_video_level_vector() -> None:
    mean_rgb_and_audio = torch.randn(B, 1, D)
    _, trace = classifier("mean")(mean_rgb_and_audio, torch.ones(B, dtype=torch.long))
    torch.testing.assert_close(trace.vector, torch.nn.functional.normalize(mean_rgb_and_audio[:, 0], dim=-1))


def test_model_when_padded_further(batch: tuple[Tensor, Tensor]) -> None:
    model, (frames, num_frames) = classifier(), batch
    scores, _ = model(frames, num_frames)
    padded, _ = model(torch.nn.functional.pad(frames, (0, 0, 0, 9), value=255), num_frames)
    torch.testing.assert_close(scores.log_p, padded.log_p, atol=1e-6, rtol=1e-6)


def test_model_when_saved_and_loaded(batch: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    model = classifier()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(2)
    fresh = VideoClassifier(
        streams=[["rgb", 4], ["audio", 2]],  # as config.json gives it back
        num_classes=C,
        pooling=["indirect_clustering", {}],
        classification=["moe", {}],
        label_processing=["identity", {}],
    )
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(model(*batch)[0].log_p, fresh(*batch)[0].log_p)


def test_model_when_compiled(batch: tuple[Tensor, Tensor]) -> None:
    model = classifier()
    scores, trace = torch.compile(model, fullgraph=True, backend="aot_eager")(*batch)
    expected, steps = model(*batch)
    torch.testing.assert_close(scores.log_p, expected.log_p)
    torch.testing.assert_close(trace.attention, steps.attention)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"normalization": "per_modalty"}, r"unknown normalization 'per_modalty'\. Did you mean 'per_modality'\?"),
        ({"pooling": "men"}, r"unknown pooling 'men'\. Did you mean 'mean'\?"),
        ({"label_processing": ("identity", {"alpha": 1})}, r"label_processing 'identity': unknown option 'alpha'"),
    ],
)
def test_model_when_a_choice_is_unknown(chosen: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        classifier(**chosen)
