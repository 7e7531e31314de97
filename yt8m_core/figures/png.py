"""Minimal PNG encoder for images with a color palette. https://www.w3.org/TR/png-3/"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def encode_png(index: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Encode palette indices [H, W] with an RGBA palette of at most 256 colors [P, 4] as a PNG file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = index.shape
    lines = np.hstack([np.zeros((height, 1), np.uint8), index]).tobytes()  # each line starts with filter type 0 (none)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", palette[:, :3].tobytes()),
            chunk(b"tRNS", palette[:, 3].tobytes()),
            chunk(b"IDAT", zlib.compress(lines, 6)),
            chunk(b"IEND", b""),
        ]
    )
