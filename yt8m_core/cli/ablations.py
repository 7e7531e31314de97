"""Commands on the paper's tables: learning rate search and ablations."""

import time
from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.cli.arguments import Accelerator, choose_device


def rates(tables: tuple[str, ...] = (), scale: str | None = None, accelerator: Accelerator = None) -> None:
    """Search the learning rate of each architecture in the paper's tables, on videos outside their validation data.

    Trains each architecture at three or four rates, and extends the search while GAP rises toward either end. Stores
    the results in the package for `yt8m ablate`. The same command resumes an interrupted search and trains only what is
    missing.

    Args:
        tables: Tables to search. Default: all.
        scale: demo, sample (data in YT8M_REAL_DATA), or smoke for a quick test. Default: YT8M_SCALE. At the scale
            "paper", the rate is the paper's.
    """
    from yt8m_core.ablation.learning_rate_search import search_rates
    from yt8m_core.ablation.learning_rates import RATES_FILE
    from yt8m_core.ablation.recipe import chosen_scale
    from yt8m_core.training.step import configure_training_process

    choose_device(accelerator)
    configure_training_process()

    started = time.perf_counter()
    results = search_rates(tables, scale=scale)
    for row in results.itertuples():
        print(f"{row.table}: {row.architecture}\n  {row.rate:g} ({row.tried})")
    print(f"{len(results)} architectures in {(time.perf_counter() - started) / 60:.1f} minutes")
    if chosen_scale(scale) != "smoke":
        print(RATES_FILE)


def ablate(
    table: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TABLE")],
    scale: str | None = None,
    output: Path | None = None,
    accelerator: Accelerator = None,
) -> None:
    """Train a table of the paper, compare its rows, and test its claims.

    The same command resumes an interrupted ablation and trains only what is missing.

    Args:
        table: pooling, classification, label_processing, loss, single, ensemble, fusion, rates, pooling_variants,
            scoring_variants, label_priors or best.
        scale: demo, sample (data in YT8M_REAL_DATA), paper (data in YT8M_PAPER_DATA), or smoke for a quick test whose
            results are not stored. Default: YT8M_SCALE.
        output: Folder for the results. Default: nb/results.
    """
    from yt8m_core.ablation import ablate as train_table
    from yt8m_core.ablation import save_result
    from yt8m_core.ablation.results import result_file
    from yt8m_core.training.step import configure_training_process

    choose_device(accelerator)
    configure_training_process()

    trained = train_table(table, scale=scale)
    result = save_result(trained, output)
    print(f"{trained.table.title} ({trained.scale}, {trained.source.name})")
    print(result.rows.drop(columns=["scale", "data"]).to_string(index=False, float_format="%.4f"))
    for _, claim in result.claims.iterrows():
        print(f"{claim['verdict']}: {claim['claim']} ({claim['source']})", *claim["evidence"], sep="\n  ")
    if result.scale != "smoke":
        print(result_file(table, result.scale, output))


def readings(scale: str | None = None, output: Path | None = None, accelerator: Accelerator = None) -> None:
    """Train Table 3 in several readings of equation 20, on the videos of the learning rate search.

    The paper states neither the normalization of its correlation matrix, nor the space of the scores, nor the step of
    the trained matrix. The same command resumes an interrupted sweep and trains only what is missing.

    Args:
        scale: demo, sample (data in YT8M_REAL_DATA), or smoke for a quick test whose results are not stored. Default:
            YT8M_SCALE.
        output: Folder for the results. Default: nb/results.
    """
    from yt8m_core.ablation.correlation_readings import rank_readings, save_readings, sweep_readings
    from yt8m_core.training.step import configure_training_process

    choose_device(accelerator)
    configure_training_process()

    table = sweep_readings(scale=scale)
    print(table.drop(columns=["scale", "data"]).to_string(index=False, float_format="%.4f"))
    print(rank_readings(table).to_string(index=False, float_format="%.4f"))
    print(save_readings(table, scale=scale, folder=output))
