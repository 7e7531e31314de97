"""Import: rate of converting NumPy files to shards."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.measure import measure_interleaved, row
from yt8m_core.data.importer.plan import make_plan
from yt8m_core.data.importer.sources import divide
from yt8m_core.data.importer.units import convert_unit

FRAMES = 300


def write_features(folder: Path, videos: int) -> None:
    """Write uncompressed .npz files of random bytes with YouTube-8M's streams."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for video in range(videos):
        rgb, audio = (random.integers(0, 256, (FRAMES, dim), dtype=np.uint8) for dim in (1024, 128))
        np.savez(folder / f"video{video}.npz", rgb=rgb, audio=audio)


def rows(videos: int = 800, repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark: bytes per second of CPU.

    The peer copies the same files into one file. The limit is a copy of the same bytes in memory, which no program that
    reads and writes files can reach: the kernel copies them twice.
    """
    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder:
        features, output = Path(folder, "features"), Path(folder, "data")
        write_features(features, videos)
        plan = make_plan(features, output)
        source = np.ones(plan.size, np.uint8)
        target = np.zeros_like(source)

        def ours() -> None:
            shutil.rmtree(output, ignore_errors=True)
            for unit in divide(list(plan.parts)):
                convert_unit(plan.job, unit, "")

        def copy_files() -> None:
            with Path(folder, "copy").open("wb") as file:
                for part in plan.parts:
                    file.write(Path(part.path).read_bytes())

        def memcpy() -> None:
            target[:] = source

        costs = measure_interleaved({"ours": ours, "copy": copy_files, "limit": memcpy}, repeats)
        rate, peer, limit = (plan.size / costs[name].cpu for name in ("ours", "copy", "limit"))
    return [row("import: uncompressed npz", "bytes/s of CPU", rate, "copying the files", peer, limit)]
