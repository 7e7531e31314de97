"""The example in docs/serving.md, in a process of its own."""

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exported import random_run
from yt8m_core.export.exporter import export_run
from yt8m_core.inference.prediction import predict_video
from yt8m_core.models.slot import Slot

SCRIPT = Path(__file__).parents[2] / "docs" / "serving.py"


def post(address: str, body: bytes) -> Any:
    """Send a body and return the parsed answer."""
    request = urllib.request.Request(address, data=body)  # noqa: S310 - the address of the server below
    with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
        return json.load(response)


def npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.slow
def test_example_answers_with_the_top_labels_of_a_video(tmp_path: Path) -> None:
    assert sum(1 for line in SCRIPT.read_text().splitlines() if line) <= 32
    run = random_run(tmp_path / "run", pooling=Slot("attention", {"heads": 2, "width": 8}))
    model = export_run(run, tmp_path / "model.onnx").path
    frames = np.random.default_rng(0).integers(0, 256, (5, 6), np.uint8)
    expected = predict_video(run.load_model(), frames).ranking(run.vocabulary)
    server = subprocess.Popen([sys.executable, SCRIPT, model, "0"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        answer = post(address, npz(rgb=frames[:, :4], audio=frames[:, 4:]))
        labels, names, probabilities = zip(*answer, strict=True)
        assert list(labels) == expected["label"].tolist()
        assert list(names) == [run.vocabulary.name(label) for label in labels]
        np.testing.assert_allclose(probabilities, expected["probability"], atol=1e-6)
        for body in (
            b"not an archive",
            npz(rgb=frames),
            npz(rgb=frames[:, :4] / 255, audio=frames[:, 4:]),
            npz(rgb=frames[:, :3], audio=frames[:, 3:]),
            npz(rgb=frames[:0, :4], audio=frames[:0, 4:]),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(address, body)
            assert refused.value.code == 400
            assert json.load(refused.value)["error"]
    finally:
        server.terminate()
        server.wait(20)
