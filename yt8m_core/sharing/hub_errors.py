"""Errors of the Hugging Face Hub's library as one sentence with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import errors

from yt8m_core.errors import UserError

REPO_RULE = "owner/name, of letters, digits, '-', '_' and '.', without '--' and '..'"
RESUME = "Then run the same command again: it resumes."


@contextmanager
def plain_errors(repo: str, revision: str | None, endpoint: str) -> Iterator[None]:
    """Turn every error of the library's calls within the block into a UserError.

    An answer that the library does not understand may raise anything, such as a KeyError.

    Args:
        repo: Repository, owner/name.
        revision: Branch, tag or commit; None for the default branch.
        endpoint: Address of the Hub.
    """
    try:
        yield
    except Exception as error:
        raise describe_error(error, repo, revision, endpoint) from None


def describe_error(error: BaseException, repo: str, revision: str | None, endpoint: str) -> UserError:
    """Return what went wrong as a UserError; see ``plain_errors``."""
    while isinstance(error, errors.LocalEntryNotFoundError | RuntimeError) and error.__cause__ is not None:
        error = error.__cause__  # the library wraps what happened
    if isinstance(error, errors.HFValidationError):
        return UserError(repr(repo)[:120], where="repository", expected=REPO_RULE)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UserError("HF_HUB_OFFLINE is set", where=repo, advice="Unset it to use the Hub.")
    if isinstance(error, errors.GatedRepoError):
        return UserError("access is restricted", where=repo, advice=f"Ask for access on {endpoint}/{repo}.")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f"no revision '{revision}'", where=repo, expected="a branch, a tag or a commit")
    if isinstance(error, errors.HfHubHTTPError):
        return _describe_status(error, repo)
    if isinstance(error, httpx2.HTTPError):
        return UserError(
            f"cannot reach {endpoint} ({type(error).__name__})",
            where=repo,
            advice=f"Check the network and HF_ENDPOINT. {RESUME}",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(
            f"{error.strerror}{f': {error.filename}' if error.filename else ''}",
            where=repo,
            advice=f"Free disk space, or choose a folder that you may write to. {RESUME}",
        )
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return UserError(
            _first_line(error),
            where=repo,
            advice="Correct the block between the two lines --- of README.md in the run folder.",
        )
    found, resume = _first_line(error), "Run the same command again: it resumes a broken transfer."
    without_xet = " For a server without Xet storage, set HF_HUB_DISABLE_XET=1." if "xet" in found else ""
    return UserError(found, where=repo, advice=f"{resume}{without_xet}")


def _describe_status(error: errors.HfHubHTTPError, repo: str) -> UserError:
    status = error.response.status_code
    token = "Set HF_TOKEN to a valid token, or log in: hf auth login."  # noqa: S105 - advice
    if isinstance(error, errors.RepositoryNotFoundError):
        return UserError(
            "no such repository, or it is private", where=repo, advice=f"Check the name. For a private one: {token}"
        )
    if status == 401:
        return UserError("the Hub refused the token", where=repo, advice=token)
    if status == 403:
        return UserError(
            "the token does not allow this",
            where=repo,
            advice="A push needs write access to the owner of the repository: https://huggingface.co/settings/tokens.",
        )
    if status == 429 or status >= 500:
        return UserError(f"the Hub answered with status {status}", where=repo, advice=f"Wait some minutes. {RESUME}")
    return UserError(
        f"the Hub answered with status {status} ({_first_line(error)})", where=repo, advice="Check HF_ENDPOINT."
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:300]}" if lines else type(error).__name__
