"""The command ``yt8m export``: what it writes, what the file needs, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from tests.support.command import yt8m
from tests.support.exported import METRICS, NAMES, STREAMS, random_run
from tests.support.slot_cases import D
from tests.support.tiny import tiny_experiment
from yt8m_core.errors import UserError
from yt8m_core.export import onnx_file, parity
from yt8m_core.export.exporter import FORMATS, export_run
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

ROOT = Path(__file__).parents[2]
SUFFIXES = (".onnx", ".pt2")
# Runs a file where the project cannot be imported, and prints the probabilities, the attention and the metadata.
CLIENT = """
import json, sys
import numpy as np
sys.modules["yt8m_core"] = None  # an import raises ModuleNotFoundError
file, inputs = sys.argv[1], dict(np.load(sys.argv[2]))
if file.endswith(".onnx"):
    sys.modules["torch"] = None
    import onnxruntime
    session = onnxruntime.InferenceSession(file)
    outputs = [output.tolist() for output in session.run(None, inputs)]
    metadata = session.get_modelmeta().custom_metadata_map["metadata.json"]
else:
    import torch
    files = {"metadata.json": ""}
    module = torch.export.load(file, extra_files=files).module()
    outputs = [output.tolist() for output in module(*map(torch.from_numpy, inputs.values()))]
    metadata = files["metadata.json"]
print(json.dumps([*outputs, json.loads(metadata)]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose data do not exist."""
    return random_run(tmp_path_factory.mktemp("run"), pooling=Slot("attention", {"heads": 2, "width": 8}))


@pytest.fixture(scope="module", params=SUFFIXES)
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return export_run(run, tmp_path_factory.mktemp("exported") / f"model{request.param}").path


def frames_of(*lengths: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return random frames as stored, padded, and their numbers."""
    frames = np.random.default_rng(0).integers(0, 256, (len(lengths), max(lengths) + 2, D), np.uint8)
    return frames, np.array(lengths)


@pytest.mark.slow
def test_file_runs_without_the_project_and_has_its_labels(exported: Path, run: Run, tmp_path: Path) -> None:
    frames, num_frames = frames_of(7, 1, 3)
    np.savez(tmp_path / "inputs.npz", frames=frames, num_frames=num_frames)
    command = [sys.executable, "-W", "ignore", "-c", CLIENT, exported, tmp_path / "inputs.npz"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    probabilities, attention, metadata = json.loads(printed)
    scores, trace = run.load_model()(torch.from_numpy(frames), torch.from_numpy(num_frames))
    np.testing.assert_allclose(probabilities, scores.p, atol=1e-6)
    np.testing.assert_allclose(attention, trace.attention, atol=1e-6)
    assert metadata["labels"] == [*NAMES[:3], "label 3 (unnamed)"]
    assert [tuple(stream) for stream in metadata["streams"]] == list(STREAMS)
    assert metadata["metrics"] == METRICS["validation"]
    assert "nowhere" not in json.dumps(metadata)
    assert metadata["experiment"]["pooling"] == {"name": "attention", "options": {"heads": 2, "width": 8}}
    expected = ("frame", "uint8", "float32", 9, ["probabilities", "attention"], "demo")
    keys = ("level", "input_type", "precision", "max_frames", "outputs", "scale")
    assert tuple(metadata[key] for key in keys) == expected


def test_frames_after_the_maximum_are_ignored_as_in_the_runs_data(exported: Path) -> None:
    module = FORMATS[exported.suffix]
    frames, num_frames = frames_of(30)  # of at most 9
    long, _ = module.Session(exported).run(frames, num_frames)
    short, _ = module.Session(exported).run(frames[:, :9], np.array([9]))
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_file_names_no_folder_of_this_machine(exported: Path, run: Run) -> None:
    content = exported.read_bytes()
    for text in (str(ROOT), str(run.path), "nowhere", "site-packages", "yt8m_core", ".py"):
        assert text.encode() not in content, text


@pytest.mark.slow
def test_command_verifies_the_file_on_the_runs_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny_experiment(tmp_path, pooling=Slot("indirect_clustering")), tmp_path / "run")
    for output, options in (("new/a.onnx", ()), ("a.pt2", ("--precision", "float16", "--input", "float"))):
        yt8m(monkeypatch, "export", tmp_path / "run", "--output", tmp_path / output, *options)
        size = (tmp_path / output).stat().st_size
        printed = capsys.readouterr().out
        limit = 0.01 if options else 0.0001
        assert printed.startswith(f"{tmp_path / output}: {size:,} bytes, differs from the run by at most ")
        assert printed.endswith(f"(limit {limit:g}) on videos of the run's data\n")
    shutil.rmtree(tmp_path / "validation")
    assert str(export_run(Run.open(tmp_path / "run"), tmp_path / "b.pt2")).endswith(
        "on random videos, because the run's data cannot be read"
    )


@pytest.mark.fault
def test_file_whose_outputs_differ_is_not_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parity.LIMITS, "float16", 1e-9)  # float16 differs more
    (tmp_path / "model.pt2").write_text("previous")
    with pytest.raises(
        UserError, match=r"model\.pt2: found outputs that differ from the run's by \d\.\de-0\d; expected"
    ):
        export_run(run, tmp_path / "model.pt2", precision="float16")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    assert (tmp_path / "model.pt2").read_text() == "previous"


class Constant:
    """A file whose outputs are given."""

    def __init__(self, *outputs: NDArray[Any]) -> None:
        self.outputs = outputs

    def run(self, frames: NDArray[Any], num_frames: NDArray[Any]) -> list[NDArray[Any]]:
        return list(self.outputs)


def test_difference_is_the_largest_of_all_outputs_and_infinite_for_invalid_ones(run: Run) -> None:
    model, batch = run.load_model(), parity.Batch(*frames_of(4, 2))
    scores, trace = model(*map(torch.from_numpy, batch))
    p, attention = scores.p.numpy(), trace.attention.numpy()
    assert parity.largest_difference(model, Constant(p, attention), [batch]) == 0
    assert parity.largest_difference(model, Constant(p, attention + np.float32(0.25)), [batch]) == pytest.approx(
        0.25
    )  # the sum of two float32
    invalid = (p[:, :2], p.astype(np.float64), np.where(p == p.max(), np.nan, p).astype(np.float32))
    for wrong in invalid:
        assert parity.largest_difference(model, Constant(wrong, attention), [batch]) == float("inf")


def test_batches_have_padding_one_frame_and_a_video_without_frames(run: Run) -> None:
    videos = parity.random_videos(run)
    batches = list(parity.build_batches(videos, "frame", "uint8"))
    assert {batch.frames.shape[:2] for batch in batches} & {(1, 1)}
    assert (3, 5) not in {batch.frames.shape[:2] for batch in batches}
    assert all(batch.frames.shape[1] > batch.num_frames.max() for batch in batches[1::2])
    assert min(batch.num_frames.min() for batch in batches) == 0
    assert all((batch.frames[0, batch.num_frames[0] :] > 0).any() for batch in batches[1::2])
    floats = list(parity.build_batches(videos, "frame", "float"))
    np.testing.assert_allclose(floats[1].frames, batches[1].frames * (4 / 255) + 4 / 512 - 2, atol=1e-6)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "model.pb"}, r"model\.pb: unknown file type '\.pb'\. .*Known: \.onnx, \.pt2"),
        ({"output": "model"}, "unknown file type ''"),
        ({"precision": "int8"}, "unknown precision 'int8'"),
        ({"input_type": "int8"}, "unknown input type 'int8'. Did you mean 'uint8'?"),
        ({"output": "folder.pt2"}, r"folder\.pt2: found a folder; expected a file"),
    ],
)
def test_invalid_arguments_are_refused_before_the_work(
    options: dict[str, str], message: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "folder.pt2").mkdir()
    with pytest.raises(UserError, match=message):
        export_run(run, tmp_path / options.pop("output", "model.pt2"), **options)


def test_codes_as_the_input_of_a_video_level_run_are_refused(tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", level="video")
    with pytest.raises(UserError, match="found uint8 as the input; expected float"):
        export_run(run, tmp_path / "model.pt2", input_type="uint8")


@pytest.mark.fault
def test_unfinished_run_and_weights_that_do_not_fit_are_refused(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    copied = Run.open(tmp_path / "run")
    (copied.path / "metrics.json").unlink()
    with pytest.raises(UserError, match="is not finished: resume its training"):
        export_run(copied, tmp_path / "model.pt2")
    shutil.copy(run.path / "metrics.json", copied.path)
    weights = load_file(copied.path / "model.safetensors")
    weights["pooling.values"] = weights["pooling.values"][:, :, :-1].contiguous()
    save_file(weights, copied.path / "model.safetensors")
    with pytest.raises(UserError, match=r"weights that do not fit the config: 'pooling\.values'"):
        export_run(copied, tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


@pytest.mark.fault
def test_missing_packages_are_named_with_how_to_install_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(UserError, match=r"onnxruntime not installed\. .*pip install 'yt8m\[export\]'.*\.pt2"):
        export_run(run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.fault
def test_folder_without_write_permission_is_an_error_before_the_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o555)
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [
        *prefix,
        sys.executable,
        "-m",
        "yt8m_core",
        "export",
        run.path,
        "--output",
        tmp_path / "theirs" / "a.pt2",
    ]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Permission denied" in refused.stderr
    assert str(tmp_path / "theirs") in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("name", ["a.pt2", "a.onnx"])
def test_full_disk_is_an_error_and_a_previous_file_stays(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"before")
    limited = (
        "import resource, sys; from yt8m_core.cli.main import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)); "
        "sys.argv = ['yt8m', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", limited, "export", run.path, "--output", tmp_path / name]
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "File too large" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {name: b"before"}


def test_weights_above_the_size_of_an_onnx_file_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 100)
    with pytest.raises(UserError, match=r"bytes of weights; expected at most 100 in an \.onnx file\. Export to \.pt2"):
        export_run(run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
