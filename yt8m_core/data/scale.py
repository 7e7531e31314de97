"""Scale of a data set: demo world, sample of real data, or full data set."""

from pathlib import Path

from yt8m_core.storage.address import is_address

# YouTube-8M has 3.9 to 4.9 million training videos; anything below this number is a sample.
MIN_FULL_VIDEOS = 1_000_000

SCALE_NAMES = {"demo": "demo world", "sample": "sample of real data", "paper": "full data set"}


def find_demo_world(data: str | Path) -> Path | None:
    """Return the folder of the demo world that contains DATA, or None."""
    if is_address(data):
        return None
    folder = Path(data)
    return next((parent for parent in (folder, *folder.parents[:2]) if (parent / "world.json").is_file()), None)


def detect_scale(data: str | Path, num_videos: int) -> str:
    """Return the scale of a data set: "demo", "sample" or "paper"."""
    if find_demo_world(data):
        return "demo"
    return "paper" if num_videos >= MIN_FULL_VIDEOS else "sample"
