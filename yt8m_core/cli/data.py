"""Commands on data: demo world, download, index and labels."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from yt8m_core.cli.arguments import Accelerator, DataArgument, Streams, choose_device, format_gap
from yt8m_core.errors import UserError
from yt8m_core.processes.group import Group, open_group
from yt8m_core.processes.parts import Parts, shared_lock
from yt8m_core.progress import console_progress, silent
from yt8m_core.storage.typed_json import check_number
from yt8m_core.workspace import workspace

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from yt8m_core.data.dataset import Videos

# Commands import what they need when they run, so that `yt8m --help` and `yt8m app` start fast.


def demo(accelerator: Accelerator = None) -> None:
    """Build the demo world and train its runs, or what is missing of them."""
    from yt8m_core.demo.runs import demo_folder, prepare

    choose_device(accelerator)
    for run in prepare(console_progress()):
        print(f"{run.path}: {format_gap(run.metrics['validation'])} (demo world)")
    print(f"The demo world is in {demo_folder()}. To open it: yt8m app")


def download(
    partition: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PARTITION")],
    output: Path,
    mirror: str = "us",
    fraction: Annotated[str, tyro.conf.arg(aliases=["--shard"], metavar="X,Y")] = "1,1",
) -> None:
    """Download shards of YouTube-8M and its vocabulary. The same command resumes an interrupted download.

    The frame-level features of edition 2 have 1.53 TB, the video-level features 31 GB. The size is printed first.

    Args:
        partition: Google's name, edition/level/split: 2/frame/train, 2/video/validate, 3/frame/test.
        output: Folder for the partition's folder.
        mirror: The nearest of us, eu, asia; or a URL http://… with a copy of data.yt8m.org and vocabulary.csv.
        fraction: The X-th of Y parts of the shards, the same shards as shard=X,Y in Google's script.
    """
    from yt8m_core.data.download.plan import Partition, parse_fraction
    from yt8m_core.data.download.shards import Download, Servers

    progress = console_progress()
    opened = Download.open(
        Partition.parse(partition),
        output,
        fraction=parse_fraction(fraction),
        servers=Servers.from_mirror(mirror),
        progress=progress,
    )
    print(opened)
    try:
        print(f"{opened.fetch_vocabulary()}: vocabulary")
    except UserError as error:
        print(error)
    num_bytes = opened.run(progress)
    print(f"{opened.folder}: {len(opened.shards):,} shards with the right md5, {num_bytes:,} bytes downloaded")


def index(data: DataArgument, streams: Streams = (), skip_bad: bool = False) -> None:
    """Check every record and store the offsets of its features.

    Args:
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        streams: Custom feature streams as name:width. Default: those of YouTube-8M and AudioSet are recognized.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
    """
    from yt8m_core.data.schema import describe_schema
    from yt8m_core.data.segments import Segments

    with open_group() as group:
        videos = _open(data, streams, skip_bad, group)
    if not group.is_first:
        return
    num_labeled = int(videos.is_labeled.sum())
    frames = f", {videos.num_frames.mean():.1f} frames per video" if videos.schema.level == "frame" else ""
    print(f"{len(videos):,} videos in {len(videos.shards):,} shards: {describe_schema(videos.schema)}{frames}")
    bad = f"{len(videos.bad_records):,} bad records skipped" if videos.bad_records else "no bad records"
    print(f"{num_labeled:,} labeled videos, {len(videos.label_values) / max(num_labeled, 1):.2f} labels each, {bad}")
    if videos.schema.level == "frame" and len(segments := Segments(videos, "rated")):
        num_ratings, present = len(segments.rated.values), len(segments.label_values)
        print(f"{len(segments):,} rated segments with {num_ratings:,} ratings, {present:,} of them positive")


def labels(
    data: DataArgument,
    vocabulary: str = "",
    minimum_support: int = 10,
    pairs: int = 20,
    streams: Streams = (),
    skip_bad: bool = False,
) -> None:
    """Print label counts, class imbalance and the most correlated label pairs.

    Args:
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        vocabulary: Vocabulary file with the label names. Default: the one next to the data, if any.
        minimum_support: Minimum number of videos with both labels of a pair.
        pairs: Number of pairs.
        streams: Custom feature streams as name:width. Default: those of YouTube-8M and AudioSet are recognized.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
    """
    from yt8m_core.data.vocabulary import load_vocabulary
    from yt8m_core.labels import cooccurrence, statistics

    check_number(minimum_support, 0, where="minimum support")
    check_number(pairs, 0, where="pairs")
    with open_group() as group:
        videos = _open(data, streams, skip_bad, group)
        names = load_vocabulary(data, vocabulary, videos.label_values, videos.schema)
        videos.check_labels(names.num_classes)
        matrix = statistics.label_matrix(videos.label_values, videos.label_offsets, names.num_classes)
        with_both = _count_pairs(matrix, group)
    if not group.is_first:
        return
    counts = statistics.counts(matrix)
    table = statistics.rank_frequency(counts, names.to_frame())
    print(f"{len(videos):,} videos with {int((counts > 0).sum()):,} of {names.num_classes:,} labels")
    for name, value in statistics.imbalance(counts).items():
        print(f"  {name.replace('_', ' ')}: {value:.4g}")
    print(table.head(20).to_string(index=False))
    strongest = cooccurrence.strongest_pairs(
        with_both, len(videos), "phi", minimum_support=minimum_support, limit=pairs
    )
    for position, side in enumerate("ab"):
        strongest.insert(position, side, [names.name(label) for label in strongest[f"label_{side}"]])
    print(f"\nPairs with the highest φ in at least {minimum_support} videos:")
    print(strongest.drop(columns=["label_a", "label_b"]).to_string(index=False, float_format="%.3f"))


def _count_pairs(matrix: "csr_array", group: Group) -> "csr_array":
    """Count the videos of each pair of labels, each process those of a share of the videos."""
    from scipy.sparse import csr_array, load_npz, save_npz

    from yt8m_core.labels.cooccurrence import count_pairs

    if group.size == 1:
        return count_pairs(matrix)
    bounds = np.linspace(0, matrix.shape[0], group.size + 1).astype(int)
    digest = hashlib.sha256(matrix.indptr.tobytes() + matrix.indices.tobytes()).hexdigest()[:16]
    parts = Parts(workspace() / "parts" / f"label-pairs-{digest}-{group.size}", group.size)

    def write(number: int, unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            save_npz(file, count_pairs(matrix[bounds[number] : bounds[number + 1]]))

    with shared_lock(parts.folder, "count of these labels", group, silent):
        parts.make(write, group)
        total = csr_array((matrix.shape[1], matrix.shape[1]), dtype=np.int64)
        for path in parts.paths:
            total = csr_array(total + load_npz(path))
        parts.remove(group)
    return total


def _open(data: str, streams: Streams, skip_bad: bool, group: Group) -> "Videos":
    from yt8m_core.data.checks import warn_videos
    from yt8m_core.data.dataset import open_videos

    progress = group.watch(console_progress() if group.is_first else silent)
    videos = open_videos(data, streams=streams or None, skip_bad=skip_bad, group=group, progress=progress)
    if group.is_first:
        warn_videos(videos)
    return videos
