"""Training time of the six rows of Table 4 at demo scale, on frames and on vectors pooled once (pooling included)."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.measure import row as result_row
from yt8m_core.ablation.recipe import search_recipe, table_source
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.training.loop import train
from yt8m_core.training.step import configure_training_process

TABLE = "loss"
RATE = 0.01  # the learning rate does not change the time


def paper_rows() -> list[Row]:
    """Return the rows of the table that are in the paper."""
    return [row for row in TABLES[TABLE].rows if row.gap is not None]


def seconds_of_table(pool_once: str, folder: Path, scale: str = "demo") -> float:
    """Return the seconds to train each row once, with an index and without pooled vectors."""
    recipe, videos = search_recipe(TABLE, scale, RATE), table_source(TABLE, scale)
    videos.prepare()
    started = time.perf_counter()
    for number, row in enumerate(paper_rows()):
        experiment = recipe.experiment(row, recipe.seeds[0], videos.data)
        training = replace(experiment.training, pool_once=pool_once)
        train(replace(experiment, training=training), folder / f"{pool_once}-{number}")
    return time.perf_counter() - started


def rows(scale: str = "demo") -> list[dict[str, Any]]:
    """Return one row: trainings per second, pooled once and on frames, configured like `yt8m train`."""
    configure_training_process()
    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder, patch.dict("os.environ", YT8M_HOME=folder):
        table_source(TABLE, scale).prepare()
        on_frames = seconds_of_table("no", Path(folder), scale)  # first, so it reads the shards from disk
        once = seconds_of_table("float32", Path(folder), scale)
    count = len(paper_rows())
    what = f"{TABLES[TABLE].title.split(':')[0]}: its {count} rows at demo scale, pooled once"
    return [result_row(what, "trainings/s", count / once, "on frames", count / on_frames)]
