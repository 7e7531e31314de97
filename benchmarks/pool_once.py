"""All six rows of Table 4 at the demo scale, trained on the frames and from what is pooled once, the pooling included.

python -m benchmarks pool_once
"""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.measure import row
from yt8m_core.ablation.recipe import search_recipe, table_source
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.training.loop import train
from yt8m_core.training.step import configure_training_process

TABLE = "loss"
RATE = 0.01  # the learning rate, which takes no time


def the_papers() -> list[Row]:
    """The rows of the table that the paper has, without those that we put beside them."""
    return [one for one in TABLES[TABLE].rows if one.gap is not None]


def seconds_of_table(pool_once: str, folder: Path, scale: str = "demo") -> float:
    """The time of one training of each row, from an index and no summaries."""
    how, videos = search_recipe(TABLE, scale, RATE), table_source(TABLE, scale)
    videos.prepare()
    started = time.perf_counter()
    for number, one in enumerate(the_papers()):
        experiment = how.experiment(one, how.seeds[0], videos.data)
        training = replace(experiment.training, pool_once=pool_once)
        train(replace(experiment, training=training), folder / f"{pool_once}-{number}")
    return time.perf_counter() - started


def rows(scale: str = "demo") -> list[dict[str, Any]]:
    """One row: trainings a second, from what is pooled once and on the frames, with memory as `yt8m train` keeps it."""
    configure_training_process()
    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder, patch.dict("os.environ", YT8M_HOME=folder):
        table_source(TABLE, scale).prepare()
        on_frames = seconds_of_table("no", Path(folder), scale)  # first, so that it pays for reading the shards
        once = seconds_of_table("float32", Path(folder), scale)
    count = len(the_papers())
    what = f"{TABLES[TABLE].title.split(':')[0]}: its {count} rows at demo scale, pooled once"
    return [row(what, "trainings/s", count / once, "on frames", count / on_frames)]
