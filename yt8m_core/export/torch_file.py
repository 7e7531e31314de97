"""torch.export files (.pt2): write a traced graph, and run a file with PyTorch alone."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from yt8m_core.export.metadata import METADATA


def write(program: ExportedProgram, file: Path, metadata: str) -> None:
    """Write a traced graph as one .pt2 file. Raises OSError where it cannot be written."""
    content = BytesIO()  # PyTorch ends the whole process when a file cannot be written
    torch.export.save(program, content, extra_files={METADATA: metadata})
    file.write_bytes(content.getbuffer())


class Session:
    """A .pt2 file in PyTorch, on the CPU."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self.module = torch.export.load(opened).module()

    def run(self, frames: NDArray[Any], num_frames: NDArray[Any]) -> list[NDArray[Any]]:
        """Frames [B, T, D] and num_frames [B] → the outputs of the graph."""
        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(frames), torch.from_numpy(num_frames))
        return [output.numpy() for output in outputs]
