"""Commands that share a run: card, push and pull."""

from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.cli.arguments import RunArgument, format_gap

RepoArgument = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]


def card(
    run: RunArgument,
    output: Path | None = None,
    license_id: Annotated[str, tyro.conf.arg(name="license", metavar="ID")] = "",
) -> None:
    """Write the model card of a finished run: data, slots, metrics, limits, license, and how to load it.

    Your own text between the two marked lines of an existing card stays.

    Args:
        run: Run folder.
        output: File to write. Default: README.md in the run folder.
        license_id: License of the weights, such as cc-by-4.0. Default: that of the existing card.
    """
    from yt8m_core.runs.run import Run
    from yt8m_core.sharing.card import write_card

    print(write_card(Run.open(run), output, license_id=license_id))


def push(
    run: RunArgument,
    repo: RepoArgument,
    private: bool = False,
    revision: str | None = None,
    predictions: bool = False,
) -> None:
    """Upload a finished run to the Hugging Face Hub, with its model card.

    Needs a token with write access: HF_TOKEN, or hf auth login. Paths of your machine are left out.

    Args:
        run: Run folder.
        repo: Repository, created if missing.
        private: Create a private repository.
        revision: Branch to upload to, created if missing. Default: the main branch.
        predictions: Upload predictions.parquet too, which has the ids of the validation videos.
    """
    from yt8m_core.runs.run import Run
    from yt8m_core.sharing import hub

    print(hub.push(Run.open(run), repo, private=private, revision=revision, predictions=predictions))


def pull(repo: RepoArgument, run: RunArgument, revision: str | None = None) -> None:
    """Download a run from the Hugging Face Hub. The same command resumes an interrupted download.

    Args:
        repo: Repository that yt8m push wrote.
        run: Run folder to create.
        revision: Branch, tag or commit. Default: the main branch.
    """
    from yt8m_core.sharing import hub

    pulled = hub.pull(repo, run, revision=revision)
    print(f"{pulled.path}: {pulled.experiment}")
    metrics = {"num_videos": pulled.facts.validation_videos, **pulled.metrics["validation"]}
    print(f"{format_gap(metrics)} ({pulled.facts.scale})")
