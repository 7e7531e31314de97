"""Fuzzing targets: readers of untrusted CSV files."""

import io
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.fuzz.mutate import mutate
from tests.fuzz.outcome import outcome
from yt8m_core.data.schema import MAX_LABEL
from yt8m_core.data.vocabulary_files import describe_gaps, parse_vocabulary
from yt8m_core.inference.score_files import parse_listed_scores
from yt8m_core.inference.segment_submission import iter_submission

# A file of each format, with names that need quotes.
VOCABULARIES = [
    'Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,WikiDescription\n'
    '0,788288,/m/03bt1gh,Game,https://en.wikipedia.org/wiki/Game,Games,,,"A game is, usually, play"\n'
    '31,4,/m/05r5c,Piano,,Arts & Entertainment,,,\n1,539945,/m/01mw1,"Toys ""R"" Us, Inc.",,Shopping,,,\n',
    "label_id,label_name\n0,Games\n1,Vehicle\n2,Toys R Us\n",
    "Index,KnowledgeGraphId,Name,PositiveSegmentCount,TotalSegmentCount\n3,/m/01jddz,Concert,181,240\n",
    'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n',
    "id;name\n1;Cat\n2;Dog, wolf\n",
    "\ufeffname\tlabel\r\nCat\t0\r\nDog\t1\r\n",
]  # fmt: skip

SCORES = (
    'VideoId,LabelConfidencePairs\nabcd,3 0.91 0 0.5 17 1e-05\n"-b_d",1 1\nefgh,\n"a,""b",0 0.25 3861 0.125\n',
    "\ufeffvideo_id, Label Confidence Pairs\r\nefgh,2 0.5  1 0.25\r\nabcd, 0 0\r\n",
)
SUBMISSIONS = (
    "Class,Segments\n3,abcd:0 -b_d:15 abcd:5\n7,-b_d:0\n8,\n",
    "Class,Segments\r\n0,efgh:295\r\n3861,a:5\r\n",
)
NUM_CLASSES = 3862
POSITIONS = {video: position for position, video in enumerate(("abcd", "-b_d", "efgh", 'a,"b', "ijkl"))}


def vocabulary(random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    content, other = (random.choice(VOCABULARIES).encode() for _ in range(2))
    mutant = mutate(random, content, other)
    set_memory_limit(len(mutant))
    entries = outcome(lambda: parse_vocabulary(mutant, "a.csv"))
    if isinstance(entries, str):
        assert len(entries) < 2000
        return
    text = mutant.decode()
    assert entries
    for label, entry in entries.items():
        assert 0 <= label <= MAX_LABEL
        assert str(label) in text
        for value in (entry.name, entry.vertical, "" if entry.count is None else str(entry.count)):
            assert value in text or value.replace('"', '""') in text
    assert bool(describe_gaps(entries)) == (sorted(entries) != list(range(len(entries))))


def scores(random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    content, other = (random.choice(SCORES).encode() for _ in range(2))
    text = mutate(random, content, other).decode("utf-8-sig", errors="replace")
    set_memory_limit(len(text))
    read = outcome(lambda: parse_listed_scores(io.StringIO(text, newline=""), "a.csv", POSITIONS, NUM_CLASSES))
    if isinstance(read, str):
        assert len(read) < 2000
        return
    assert len(read.labels) == len(read.scores) == np.maximum(read.spans[:, 1] - read.spans[:, 0], 0).sum()
    assert ((read.scores >= 0) & (read.scores <= 1)).all()
    for video, (start, end) in zip(POSITIONS, read.spans.tolist(), strict=True):
        labels = read.labels[start:end].tolist() if start >= 0 else []
        assert len(set(labels)) == len(labels)
        assert all(0 <= label < NUM_CLASSES and str(label) in text for label in labels)
        assert start < 0 or video.replace('"', '""') in text


def submission(random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    content, other = (random.choice(SUBMISSIONS).encode() for _ in range(2))
    mutant = mutate(random, content, other)
    set_memory_limit(len(mutant))
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        file = Path(folder, "a.csv")
        file.write_bytes(mutant)
        rows = outcome(lambda: list(iter_submission(file)))
    if isinstance(rows, str):
        assert len(rows) < 2000
        return
    text = mutant.decode()
    assert len({row.label for row in rows}) == len(rows) > 0
    for row in rows:
        assert len(set(row.segments)) == len(row.segments)
        assert str(row.label) in text
        assert all(name in text and name.rpartition(":")[2].isdecimal() for name in row.segments)
