"""Commands about data: the demo world, downloads, the index, the labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from yt8m_core.cli.arguments import DataArgument, gap_of, streams_of
from yt8m_core.errors import UserError
from yt8m_core.progress import console_progress

if TYPE_CHECKING:
    from yt8m_core.data.dataset import Videos

# A command imports what it needs when it runs, so that `yt8m --help` and `yt8m app` start at once.


def demo() -> None:
    """Build the demo world and train its runs, as far as they are not there yet."""
    from yt8m_core.demo.runs import demo_folder, prepare

    for run in prepare(console_progress()):
        print(f"{run.path}: {gap_of(run.metrics['validation'])} (demo world)")
    print(f"The demo world is in {demo_folder()}. See it: yt8m app")


def download(
    partition: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PARTITION")],
    output: Path,
    mirror: str = "us",
    fraction: Annotated[str, tyro.conf.arg(aliases=["--shard"], metavar="X,Y")] = "1,1",
) -> None:
    """Fetch shards of YouTube-8M and the names of its labels; the same command goes on where an earlier one stopped.

    The frame level of edition 2 has 1.53 TB, the video level 31 GB; what is to come is told before it starts.

    Args:
        partition: As Google calls it, edition/level/split: 2/frame/train, 2/video/validate, 3/frame/test.
        output: A folder; the partition gets a folder of its name in it.
        mirror: The nearest of us, eu, asia; or http://… where a copy of data.yt8m.org and vocabulary.csv are.
        fraction: The X-th of Y parts of the shards, the same ones as those of shard=X,Y in Google's script.
    """
    from yt8m_core.data.download.plan import Partition, parse_fraction
    from yt8m_core.data.download.shards import Download, Servers

    bars = console_progress()
    opened = Download.open(
        Partition.parse(partition),
        output,
        fraction=parse_fraction(fraction),
        servers=Servers.from_mirror(mirror),
        progress=bars,
    )
    print(opened)
    try:
        print(f"{opened.fetch_vocabulary()}: the names of the labels")
    except UserError as error:
        print(error)
    fetched = opened.run(bars)
    print(f"{opened.folder}: {len(opened.shards):,} shards with the right md5, {fetched:,} bytes fetched")


def index(data: DataArgument, streams: tuple[str, ...] = (), skip_bad: bool = False) -> None:
    """Read every record once, check it, and note where its features lie.

    Args:
        data: A shard, a folder of shards, or a glob.
        streams: Feature streams of your own as name:width; those of YouTube-8M and AudioSet are recognized.
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.inference.evaluation import describe

    videos = _videos(data, streams, skip_bad)
    labeled = int(videos.is_labeled.sum())
    frames = f", {videos.num_frames.mean():.1f} frames a video" if videos.schema.level == "frame" else ""
    print(f"{len(videos):,} videos in {len(videos.shards):,} shards: {describe(videos.schema)}{frames}")
    sound = f"{len(videos.bad_records):,} bad records left out" if videos.bad_records else "all records sound"
    print(f"{labeled:,} with labels, {len(videos.label_values) / max(labeled, 1):.2f} labels a video, {sound}")


def labels(
    data: DataArgument,
    vocabulary: Path | None = None,
    minimum_support: int = 10,
    pairs: int = 20,
    streams: tuple[str, ...] = (),
    skip_bad: bool = False,
) -> None:
    """Show how often the labels occur, and which occur together.

    Args:
        data: A shard, a folder of shards, or a glob.
        vocabulary: The names of the labels; without it, the vocabulary beside the data, if any.
        minimum_support: Pairs in fewer videos are left out.
        pairs: How many pairs to show.
        streams: Feature streams of your own as name:width.
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.data.vocabulary import load_vocabulary
    from yt8m_core.labels import cooccurrence, statistics

    videos = _videos(data, streams, skip_bad)
    names = load_vocabulary(data, vocabulary, videos.label_values)
    videos.check_labels(names.num_classes)
    matrix = statistics.label_matrix(videos.label_values, videos.label_offsets, names.num_classes)
    counts = statistics.counts(matrix)
    table = statistics.rank_frequency(counts, names.to_frame())
    print(f"{len(videos):,} videos, {int((counts > 0).sum()):,} of {names.num_classes:,} labels occur")
    for name, value in statistics.imbalance(counts).items():
        print(f"  {name.replace('_', ' ')}: {value:.4g}")
    print(table.head(20).to_string(index=False))
    strongest = cooccurrence.strongest_pairs(
        cooccurrence.count_pairs(matrix), len(videos), "phi", minimum_support=minimum_support, limit=pairs
    )
    for side in "ab":
        strongest.insert(0 if side == "a" else 1, side, [names.name(label) for label in strongest[f"label_{side}"]])
    print(f"\nThe pairs of highest phi in at least {minimum_support} videos:")
    print(strongest.drop(columns=["label_a", "label_b"]).to_string(index=False, float_format="%.3f"))


def _videos(data: str, streams: tuple[str, ...], skip_bad: bool) -> "Videos":
    from yt8m_core.data.dataset import open_videos
    from yt8m_core.data.tfrecord.bad_records import warn_bad_records

    videos = open_videos(
        data,
        streams=streams_of(streams),
        skip_bad=skip_bad,
        progress=console_progress(),
    )
    warn_bad_records(videos.bad_records)
    return videos
