"""Command ``export``: a run as one file that runs without this project."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from yt8m_core.cli.arguments import RunArgument


def export(
    run: RunArgument,
    output: Path,
    precision: Literal["float32", "float16"] = "float32",
    input_type: Annotated[
        Literal["uint8", "float"] | None, tyro.conf.arg(name="input", metavar="{uint8,float}")
    ] = None,
) -> None:
    """Export a run as one file that runs without this project, and verify that its outputs are those of the run.

    The graph takes frames [B, T, D] and num_frames [B], for any number of videos and frames, and returns probabilities
    [B, C] and, if the pooling has any, attention [B, T]. Normalization is part of the graph; label names, feature
    streams and metrics are in its metadata.

    Args:
        run: Run folder.
        output: File to write: .onnx for ONNX Runtime, .pt2 for torch.export.load.
        precision: Precision of weights and matrix products.
        input_type: Type of the frames: uint8, as stored, or float, dequantized. Default: that of the run's data, uint8
            at frame level and float at video level.
    """
    from yt8m_core.export.exporter import export_run
    from yt8m_core.runs.run import Run

    print(export_run(Run.open(run), output, precision=precision, input_type=input_type))
