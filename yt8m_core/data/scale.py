"""Which world some numbers are about: the demo world, a sample of real data, or the full data set."""

from pathlib import Path

# Fewer videos than this are a part of YouTube-8M (3.9 and 4.9 million), whatever the experiment hopes.
PAPER_VIDEOS = 1_000_000

SCALE_WORDS = {"demo": "demo world", "sample": "sample of real data", "paper": "full data set"}


def demo_world_of(data: str | Path) -> Path | None:
    """The folder of the demo world that some data belong to, if they do."""
    folder = Path(data)
    return next((place for place in (folder, *folder.parents[:2]) if (place / "world.json").is_file()), None)


def scale_of(data: str | Path, num_videos: int) -> str:
    """The scale of a data set: "demo", "sample" or "paper"."""
    if demo_world_of(data):
        return "demo"
    return "paper" if num_videos >= PAPER_VIDEOS else "sample"
