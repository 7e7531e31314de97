"""Commands about the paper's tables: the learning rates of their lines, and what a table comes to."""

import time
from pathlib import Path
from typing import Annotated

import tyro


def rates(tables: tuple[str, ...] = (), scale: str | None = None) -> None:
    """Search the learning rate of every line of slots in the paper's tables, on videos that no table is measured on.

    Trains each line at three or four rates, and beyond either end of them for as long as its GAP rises toward there;
    keeps what came out in the package, where `yt8m ablate` finds it. The same command goes on where an earlier one was
    stopped, and trains only what is not there yet.

    Args:
        tables: Whose lines; all without it.
        scale: demo, sample (data in YT8M_REAL_DATA), or smoke, which only shows that it runs; without it, that of
            YT8M_SCALE. At paper the rate is the paper's.
    """
    from yt8m_core.ablation.learning_rate_search import search_rates
    from yt8m_core.ablation.learning_rates import FILE
    from yt8m_core.ablation.recipe import chosen_scale
    from yt8m_core.training.step import configure_training_process

    configure_training_process()

    started = time.perf_counter()
    table = search_rates(tables, scale=scale)
    for one in table.itertuples():
        print(f"{one.table}: {one.line}\n  {one.rate:g} ({one.tried})")
    print(f"{len(table)} lines in {(time.perf_counter() - started) / 60:.1f} minutes")
    if chosen_scale(scale) != "smoke":
        print(FILE)


def ablate(
    table: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TABLE")],
    scale: str | None = None,
    output: Path | None = None,
) -> None:
    """Train a table of the paper as far as it is not, and write how its rows compare and whether its claims hold.

    The same command goes on where an earlier one was stopped.

    Args:
        table: pooling, classification, label_processing, loss, single, ensemble, fusion, rates, pooling_variants or
            scoring_variants.
        scale: demo, sample (data in YT8M_REAL_DATA), paper (in YT8M_PAPER_DATA), or smoke, whose numbers are not kept;
            without it, that of YT8M_SCALE.
        output: The folder of the results; nb/results without it.
    """
    from yt8m_core.ablation import ablate as train_table
    from yt8m_core.ablation import keep
    from yt8m_core.ablation.results import result_file
    from yt8m_core.training.step import configure_training_process

    configure_training_process()

    trained = train_table(table, scale=scale)
    result = keep(trained, output)
    print(f"{trained.table.title} ({trained.scale}, {trained.source.name})")
    print(result.rows.drop(columns=["scale", "data"]).to_string(index=False, float_format="%.4f"))
    for claim in result.claims.itertuples():
        print(f"{claim.verdict}: {claim.claim} ({claim.where})\n  {claim.evidence}")
    if result.scale != "smoke":
        print(result_file(table, result.scale, output))
