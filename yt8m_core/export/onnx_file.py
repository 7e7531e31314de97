"""ONNX files: write a traced graph, and run a file with ONNX Runtime."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from yt8m_core.errors import UserError
from yt8m_core.export.graph import AXES, INPUTS, OUTPUTS
from yt8m_core.export.metadata import METADATA

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
MAX_BYTES = (1 << 31) - (1 << 24)  # of the weights: a protobuf message ends at 2 GiB


def check_packages() -> None:
    """Raise UserError unless the packages of the extra are installed."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(
            f"{', '.join(missing)} not installed",
            where="export to .onnx",
            advice="Install the packages with pip install 'yt8m[export]', or export to .pt2, which needs none of them.",
        )


def write(program: ExportedProgram, file: Path, metadata: str) -> None:
    """Write a traced graph as one ONNX file.

    Raises:
        UserError: The weights exceed the size of an ONNX file.
        Exception: An operator has no translation; torch raises ``OnnxExporterError``.
    """
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > MAX_BYTES:
        raise UserError(
            f"{size:,} bytes of weights",
            where=str(file),
            expected=f"at most {MAX_BYTES:,} in an .onnx file",
            advice="Export to .pt2, or with --precision float16.",
        )
    converted: Any = torch.onnx.export(
        program,
        dynamo=True,
        input_names=INPUTS,
        output_names=OUTPUTS[: len(program.graph_signature.user_outputs)],
        custom_translation_table=_exact_translations(),
        verbose=False,
    )
    model, graph = converted.model, converted.model.graph
    for value in (*graph.inputs, *graph.outputs):
        for axis, name in enumerate(AXES[value.name]):
            if not isinstance(value.shape[axis], int):
                value.shape[axis] = name
    nodes = list(graph.all_nodes())
    outputs = [value for node in nodes for value in node.outputs]
    for part in (model, graph, *nodes, *outputs, *graph.inputs, *graph.initializers.values()):
        part.metadata_props.clear()  # how the exporter made it: the largest part of a small file
    model.metadata_props[METADATA] = metadata
    converted.save(file, external_data=False)


class Session:
    """An ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(self, frames: NDArray[Any], num_frames: NDArray[Any]) -> list[NDArray[Any]]:
        """Frames [B, T, D] and num_frames [B] → the outputs of the graph."""
        outputs: list[NDArray[Any]] = self.session.run(None, dict(zip(INPUTS, (frames, num_frames), strict=True)))
        return outputs


def _exact_translations() -> dict[Any, Any]:
    """Return translations of operators whose default loses the digits of small probabilities: it takes log(σ(x))."""
    from onnxscript import opset20 as op

    def log_sigmoid(x: Any) -> Any:
        return op.Neg(op.Softplus(op.Neg(x)))

    def logaddexp(a: Any, b: Any) -> Any:
        return op.Add(op.Max(a, b), op.Softplus(op.Neg(op.Abs(op.Sub(a, b)))))

    return {torch.ops.aten.log_sigmoid.default: log_sigmoid, torch.ops.aten.logaddexp.default: logaddexp}
