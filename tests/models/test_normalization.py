"""Dequantization, frame masks and normalization of frames (paper section 2.1)."""

import numpy as np
import pytest
import torch
from torch import Tensor

from yt8m_core.data.quantization import dequantize
from yt8m_core.errors import UserError
from yt8m_core.models.normalization import NORMALIZATIONS, frame_mask, l2_normalize, normalize

STREAMS = [("rgb", 4), ("audio", 2)]
T, D = 5, 6


@pytest.fixture
def codes() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, T, D), generator=generator, dtype=torch.uint8)


def test_dequantize_all_bytes() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    values = dequantize(codes)
    assert values.dtype == torch.float32
    assert values[[0, 128, 255]].tolist() == pytest.approx([-1.9921875, 0.015656, 2.0078125], abs=1e-6)
    expected = [byte * 4.0 / 255.0 + 4.0 / 512.0 - 2.0 for byte in range(256)]
    np.testing.assert_allclose(values.numpy(), expected, atol=3e-7)
    assert codes.tolist() == list(range(256))


def test_dequantize_has_the_bias_of_googles_quantizer() -> None:
    values = np.random.default_rng(0).uniform(-2, 2, 100_000)
    codes = np.round((values + 2) * 255 / 4).astype(np.uint8)
    bias = dequantize(torch.from_numpy(codes)).numpy() - values
    assert bias.mean() == pytest.approx(1 / 128, abs=1e-4)


def test_mask_of_empty_short_and_full_videos() -> None:
    assert frame_mask(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_mask_with_more_frames_than_rows() -> None:
    assert frame_mask(torch.tensor([9]), 3).all()


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_normalize_matches_a_loop(codes: Tensor, mode: str) -> None:
    lengths = [T, 2, 0]
    frames, mask = normalize(codes, torch.tensor(lengths), streams=STREAMS, mode=mode)
    expected = np.zeros((3, T, D))
    for video, length in enumerate(lengths):
        for t in range(length):
            row = codes[video, t].numpy() * 4.0 / 255.0 + 4.0 / 512.0 - 2.0
            for part in {"joint": [slice(0, 6)], "per_modality": [slice(0, 4), slice(4, 6)], "none": []}[mode]:
                row[part] = row[part] / np.sqrt(max(np.sum(row[part] ** 2), 1e-12))
            expected[video, t] = row
    assert frames.dtype == torch.float32
    np.testing.assert_allclose(frames.numpy(), expected, atol=1e-6)
    assert frames[~mask].eq(0).all()
    assert mask.sum(dim=1).tolist() == lengths


def test_normalize_is_joint_by_default(codes: Tensor) -> None:
    frames, _ = normalize(codes, torch.tensor([T, T, T]), streams=STREAMS)
    assert frames.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-6)


def test_normalize_keeps_float_frames() -> None:
    values = torch.randn(2, T, D)
    frames, _ = normalize(values, torch.tensor([T, T]), streams=STREAMS, mode="none")
    assert torch.equal(frames, values)


@pytest.mark.parametrize(
    ("dtype", "output_dtype"), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2]
)
def test_normalize_promotes_half_precision(dtype: torch.dtype, output_dtype: torch.dtype) -> None:
    frames, _ = normalize(torch.ones(1, T, D, dtype=dtype), torch.tensor([T]), streams=STREAMS)
    assert frames.dtype == output_dtype
    assert frames.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_normalize_of_a_zero_frame_has_finite_gradients(mode: str) -> None:
    values = torch.zeros(1, T, D, requires_grad=True)
    frames, _ = normalize(values, torch.tensor([T]), streams=STREAMS, mode=mode)
    frames.sum().backward()
    assert frames.eq(0).all()
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_normalize_ignores_the_padding() -> None:
    values = torch.full((1, T, D), float("nan"))
    values[:, :2] = 1.0
    frames, _ = normalize(values, torch.tensor([2]), streams=STREAMS)
    assert frames[:, 2:].eq(0).all()
    assert values[:, 2:].isnan().all(), "normalize changed its input"


def test_l2_normalize_of_a_tiny_vector() -> None:
    tiny = torch.tensor([3e-8, 4e-8])
    np.testing.assert_allclose(l2_normalize(tiny).numpy(), [3e-2, 4e-2], rtol=1e-5)  # divided by 1e-6, not by its norm


def test_normalize_rejects_an_unknown_mode(codes: Tensor) -> None:
    with pytest.raises(UserError, match=r"unknown normalization 'jont'\. Did you mean 'joint'\?"):
        normalize(codes, torch.tensor([T, T, T]), streams=STREAMS, mode="jont")


def test_normalize_rejects_streams_with_another_width(codes: Tensor) -> None:
    with pytest.raises(UserError, match=r"found 6 features per frame; expected 4 \(rgb 4\)"):
        normalize(codes, torch.tensor([T, T, T]), streams=[("rgb", 4)])
