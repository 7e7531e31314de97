"""Push runs to the Hugging Face Hub and pull them, with its library, which is an optional extra.

HF_TOKEN, HF_ENDPOINT and the other variables of the library work as in its own commands.
"""

import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.sharing.card import is_card, read_card, render_card
from yt8m_core.sharing.shared_copy import CARD, REQUIRED, SHARED_FILES, check_run, shared_files
from yt8m_core.storage.atomic import exclusive_lock

try:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelInfo, get_token
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from yt8m_core.sharing.hub_errors import REPO_RULE, describe_error, plain_errors
except ImportError:
    raise UserError("huggingface_hub is not installed", advice="Install it: pip install 'yt8m[hub]'.") from None

_COMMIT = r"[0-9a-f]{40}"


def push(run: Run, repo: str, *, private: bool = False, revision: str | None = None, predictions: bool = False) -> str:
    """Upload a run in one commit, so that the repository has exactly the files of this run, and others as they were.

    The paths of the data are replaced by names (``shared_experiment``). The model card of the run folder is written
    again for the repository; a README.md that ``yt8m card`` did not write is uploaded as it is.

    Args:
        run: A finished run.
        repo: Repository, owner/name; created if missing.
        private: Create a private repository.
        revision: Branch; created if missing. By default, the default branch.
        predictions: Upload the predictions too, which have the ids of the validation videos.

    Returns:
        Address of the commit.

    Raises:
        UserError: The run is not finished or invalid, or the Hub refuses or cannot be reached.
    """
    api = _open_api(repo)
    check_run(run)
    readme = read_card(run.path / CARD)
    if not readme or is_card(readme):
        readme = render_card(run, repo=repo, existing=readme, where=str(run.path / CARD))
    if get_token() is None:
        raise UserError(
            "no token", where=repo, advice="Set HF_TOKEN to a token with write access, or log in: hf auth login."
        )
    info = _prepare_repo(api, repo, private, revision)
    with TemporaryDirectory() as folder:
        files = shared_files(run, Path(folder), repo, predictions=predictions)
        operations = [CommitOperationAdd(name, file) for name, file in files.items()]
        operations.append(CommitOperationAdd(CARD, readme.encode()))
        # A file of a previous run, such as its calibration, does not fit these weights.
        stale = sorted(_file_sizes(info).keys() & SHARED_FILES.keys() - files.keys() - {CARD})
        with plain_errors(repo, revision, api.endpoint), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            commit = api.create_commit(
                repo,
                [*operations, *(CommitOperationDelete(name) for name in stale)],
                commit_message="Upload a run of yt8m",
                revision=revision,
            )
    return str(commit.commit_url)


def pull(repo: str, folder: Path, *, revision: str | None = None) -> Run:
    """Download a run into a new folder, which appears when all files are there and have been read once.

    Complete files of an interrupted download stay in a hidden folder next to it; the same call resumes there.

    Args:
        repo: Repository, owner/name.
        folder: The run folder to create.
        revision: Branch, tag or commit. By default, the default branch.

    Returns:
        The run.

    Raises:
        UserError: The folder exists, the repository has no run or an invalid one, or the Hub refuses or cannot be
            reached.
    """
    api = _open_api(repo)
    folder = Path(os.path.abspath(folder))
    _check_new(folder)
    with plain_errors(repo, revision, api.endpoint):
        info = api.model_info(repo, revision=revision, files_metadata=True)
    commit, names = _check_contents(info, repo)
    partial = folder.with_name(f".{folder.name}.part")
    if partial.is_symlink():
        raise UserError("a link", where=str(partial), expected="no link", advice="Remove it, or choose another folder.")
    try:
        with exclusive_lock(partial, "download"):
            _check_new(folder)  # another process may have completed it since
            files = partial / commit  # two levels down, where nothing takes them for a run
            for name in names:
                with plain_errors(repo, revision, api.endpoint):
                    api.hf_hub_download(repo, name, revision=commit, local_dir=files)
            _check_downloaded(files, names, repo)
            shutil.rmtree(files / ".cache", ignore_errors=True)  # of the library
            os.rename(files, folder)
            for old in partial.iterdir():  # interrupted downloads of other commits
                if re.fullmatch(_COMMIT, old.name) and not old.is_symlink():
                    shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise describe_error(error, repo, revision, api.endpoint) from None
    return Run.open(folder)


def _check_new(folder: Path) -> None:
    if os.path.lexists(folder):
        raise UserError("it exists", where=str(folder), advice="Choose a folder that does not exist yet.")


def _open_api(repo: str) -> HfApi:
    """Return the library's client. Raises UserError for a name that is no repository."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", repo):  # the library has further rules
        raise UserError(repr(repo)[:120], where="repository", expected=REPO_RULE)
    if not sys.stderr.isatty() and "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
        disable_progress_bars()
    return HfApi(library_name="yt8m")


def _prepare_repo(api: HfApi, repo: str, private: bool, revision: str | None) -> ModelInfo:
    """Create the repository and the branch where they are missing, and return what is in them."""
    with plain_errors(repo, revision, api.endpoint):
        api.create_repo(repo, private=private or None, exist_ok=True)
        info = api.model_info(repo)
    if private and not info.private:
        raise UserError(
            "the repository exists and is public",
            where=repo,
            advice="Make it private on the Hub, or choose another name.",
        )
    if revision is None:
        return info
    with plain_errors(repo, revision, api.endpoint):
        api.create_branch(repo, branch=revision, exist_ok=True)
        return api.model_info(repo, revision=revision)


def _file_sizes(info: ModelInfo) -> dict[str, int | None]:
    return {file.rfilename: file.size for file in info.siblings or ()}


def _check_contents(info: ModelInfo, repo: str) -> tuple[str, list[str]]:
    """Return the commit and the files of a run in a repository. Raises UserError where it is none."""
    sizes = _file_sizes(info)
    if missing := [name for name in REQUIRED if name not in sizes]:
        raise UserError(
            f"no run of this program: it has no {', '.join(missing)}",
            where=repo,
            advice="Choose a repository that yt8m push wrote.",
        )
    names = [name for name in SHARED_FILES if name in sizes]
    for name in names:
        size, limit = sizes[name], SHARED_FILES[name]
        if size is None or size > limit:
            found = "an unknown number of" if size is None else f"{size:,}"
            raise UserError(f"{found} bytes", where=f"{repo}, {name}", expected=f"at most {limit:,}")
    if not re.fullmatch(_COMMIT, info.sha or ""):
        raise UserError(f"commit {ascii(info.sha)[:80]}", where=repo, expected="40 hexadecimal digits")
    return str(info.sha), names


def _check_downloaded(files: Path, names: list[str], repo: str) -> None:
    """Read a downloaded run. Raises UserError and deletes it where a file is invalid."""
    try:
        for name in names:
            if (files / name).stat().st_size > SHARED_FILES[name]:
                raise UserError("more bytes than the Hub announced", where=f"{repo}, {name}")
        check_run(Run.open(files))
    except UserError as error:
        shutil.rmtree(files)
        raise UserError(str(error).replace(str(files), repo)) from None
