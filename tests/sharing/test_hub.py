"""Push and pull against a stand-in for the Hub: real HTTP, files and processes, with the library's own client."""

import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import constants

from tests.support.command import yt8m
from tests.support.file_server import serve_files
from tests.support.hub_server import END, READ, STALL, WRITE, HubServer, Repo, serve_hub
from tests.support.tiny import tiny_experiment, write_tiny
from yt8m_core.errors import UserError
from yt8m_core.inference.evaluation import evaluate
from yt8m_core.inference.prediction import predict
from yt8m_core.runs.run import Run, find_runs
from yt8m_core.sharing import hub
from yt8m_core.sharing.card import BEGIN, PLACEHOLDER
from yt8m_core.sharing.hub import pull, push
from yt8m_core.sharing.shared_copy import PREDICTIONS, SHARED_FILES
from yt8m_core.training.loop import train

REPO = "ada/tiny-moe"
FILES = {
    "config.json", "vocabulary.csv", "model.safetensors", "metrics.json", "label_precision.parquet", "log.csv",
    "README.md",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("private-folder")
    write_tiny(root / "other", 90, seed=7)
    base = train(tiny_experiment(root), root / "base")
    return train(tiny_experiment(root, init=str(base.path)), root / "run").path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained, tmp_path / "run"))


def use_server(monkeypatch: pytest.MonkeyPatch, server: HubServer) -> None:
    """Do what HF_ENDPOINT does in a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Run a server that the library of this process uses, with a token that may write."""
    with serve_hub() as state:
        use_server(monkeypatch, state)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for name in ("HF_HUB_CACHE", "HF_TOKEN_PATH", "AGENT_HARNESSES_PATH"):
            monkeypatch.setattr(constants, name, str(tmp_path / "hf" / name))
        monkeypatch.setenv("HF_TOKEN", WRITE)
        yield state


def environment(server: HubServer, tmp_path: Path, **changes: str) -> dict[str, str]:
    """Return the variables of a command that uses the server."""
    variables = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return {**os.environ, **variables, "HF_TOKEN": WRITE, **changes}


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


# --- the round trip


def test_pulled_run_predicts_and_evaluates_as_the_pushed_one(server: HubServer, run: Run, tmp_path: Path) -> None:
    assert push(run, REPO).startswith(f"{server.address}/{REPO}/commit/")
    pulled = pull(REPO, tmp_path / "runs" / "pulled")
    assert {file.name for file in pulled.path.iterdir()} == FILES
    assert hidden(pulled.path.parent) == []
    assert (pulled.facts, pulled.vocabulary) == (run.facts, run.vocabulary)
    own = {name: getattr(run.experiment, name) for name in ("data", "init")}
    assert replace(pulled.experiment, **own) == run.experiment
    assert {**pulled.metrics, "data": ""} == {**run.metrics, "data": ""}
    pd.testing.assert_frame_equal(pulled.label_precision, run.label_precision)
    data = run.experiment.data.validation
    for opened in (run, pulled):
        predict(opened, data, tmp_path / f"{opened.name}.parquet")
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("run", "pulled")))
    assert evaluate(pulled, data).metrics == evaluate(run, data).metrics


def test_commands_print_where_the_run_is(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yt8m(monkeypatch, "push", run.path, REPO, "--private")
    assert capsys.readouterr().out.startswith(f"{server.address}/{REPO}/commit/")
    assert server.repos[REPO].private
    yt8m(monkeypatch, "pull", REPO, tmp_path / "pulled")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'pulled'}: mean → moe → identity → cross_entropy\nGAP@20 ")


@pytest.mark.fault
def test_pushed_files_name_no_folder_and_no_video(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(run.experiment.data.train).parent
    yt8m(monkeypatch, "calibrate", run.path, "--data", root / "other")
    yt8m(monkeypatch, "card", run.path)
    assert str(root) in (run.path / "config.json").read_text()
    assert str(root) in (run.path / "calibration.json").read_text()
    push(run, REPO)
    files = server.repos[REPO].files()
    assert files.keys() == FILES | {"calibration.json", ".gitattributes"}
    secrets = "|".join([root.name, str(tmp_path), *(rf"(?<![\w.]){video}(?!\d)" for video in run.predictions["id"])])
    contents = {**files, "requests": json.dumps(server.requests).encode()}
    assert {name: found for name, text in contents.items() if (found := re.findall(secrets.encode(), text))} == {}
    push(run, REPO, predictions=True)
    uploaded = pd.read_parquet(io.BytesIO(server.repos[REPO].files()[PREDICTIONS]))
    assert list(uploaded["id"]) == list(run.predictions["id"])
    pulled = pull(REPO, tmp_path / "pulled")
    assert pulled.experiment.data.train == f"{REPO} (data not included)/train"
    assert pulled.experiment.init == f"{REPO} (data not included)/base"
    assert pulled.metrics["data"] == f"{REPO} (data not included)/validation"
    assert pulled.calibration == replace(run.calibration, data=f"{REPO} (data not included)/other")


@pytest.mark.fault
def test_folders_that_pull_did_not_make_stay(server: HubServer, run: Run, tmp_path: Path) -> None:
    push(run, REPO)
    own = tmp_path / ".pulled.part" / "photos" / "a.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    (own.parents[1] / "link").symlink_to(own.parent)
    old = own.parents[1] / ("ab" * 20)
    old.mkdir()
    pull(REPO, tmp_path / "pulled")
    assert own.read_text() == "mine"
    assert not old.exists()
    (tmp_path / ".second.part").symlink_to(own.parent)
    with pytest.raises(UserError, match=r"\.second\.part: found a link; expected no link"):
        pull(REPO, tmp_path / "second")
    with pytest.raises(UserError, match="it exists"):
        pull(REPO, tmp_path / "nowhere" / ".." / "pulled")


def test_data_of_a_pulled_run_are_not_taken_from_a_folder_of_the_same_name(
    server: HubServer,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    push(run, REPO)
    pulled = pull(REPO, tmp_path / "pulled")
    data = Path(run.experiment.data.train).parent
    monkeypatch.chdir(data)  # has the folders train and validation
    yt8m(monkeypatch, "calibrate", pulled.path, "--data", "other")
    assert pulled.calibration.training_videos == -1
    assert f"Cannot open {REPO} (data not included)/train" in caplog.text


def test_pulled_run_can_be_pushed_and_described_again(server: HubServer, run: Run, tmp_path: Path) -> None:
    push(run, REPO)
    push(pull(REPO, tmp_path / "first"), "bob/copy")
    again = pull("bob/copy", tmp_path / "second")
    assert again.experiment.data.validation == "bob/copy (data not included)/validation"
    assert "| name | `train` | `validation` |" in (again.path / "README.md").read_text()


# --- what a push replaces


def test_second_push_deletes_what_does_not_belong_to_the_run_and_nothing_else(
    server: HubServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    yt8m(monkeypatch, "calibrate", run.path, "--data", Path(run.experiment.data.train).parent / "other")
    push(run, REPO, predictions=True)
    repo = server.repos[REPO]
    assert {"calibration.json", PREDICTIONS} <= repo.files().keys()
    repo.commit({**repo.files(), "notes.txt": b"mine"})
    (run.path / "calibration.json").unlink()
    push(run, REPO)
    assert repo.files().keys() == FILES | {".gitattributes", "notes.txt"}
    assert len(repo.commits) == 4  # of the empty repository, two pushes, and the notes: each push is one commit


def test_branch_is_created_and_pulled(server: HubServer, run: Run, tmp_path: Path) -> None:
    push(run, REPO, revision="trial")
    assert server.repos[REPO].files().keys() == {".gitattributes"}
    assert pull(REPO, tmp_path / "pulled", revision="trial").facts == run.facts
    assert pull(REPO, tmp_path / "commit", revision=server.repos[REPO].branches["trial"]).facts == run.facts


def test_card_of_the_repository_has_its_name_and_keeps_the_text_of_a_person(server: HubServer, run: Run) -> None:
    push(run, REPO)
    readme = server.repos[REPO].files()["README.md"].decode()
    assert f"yt8m pull {REPO} runs/tiny-moe" in readme
    assert not (run.path / "README.md").exists()
    (run.path / "README.md").write_text(readme.replace(PLACEHOLDER, "\n\nMade for *birds*.\n\n").replace("0.", "7."))
    push(run, REPO)
    updated = server.repos[REPO].files()["README.md"].decode()
    assert updated == readme.replace(PLACEHOLDER, "\n\nMade for *birds*.\n\n")
    (run.path / "README.md").write_text("# My own card\n")
    push(run, REPO)
    assert server.repos[REPO].files()["README.md"] == b"# My own card\n"
    assert BEGIN not in (run.path / "README.md").read_text()


def test_invalid_metadata_of_an_own_card_are_reported_before_the_upload(server: HubServer, run: Run) -> None:
    (run.path / "README.md").write_text("---\nlicense: [\n---\n# My own card\n")
    expect_refusal(lambda: push(run, REPO), "Invalid metadata in README.md", "Correct the block")
    assert len(server.repos[REPO].commits) == 1
    assert server.objects == {}


def test_private_push_to_a_public_repository_uploads_nothing(server: HubServer, run: Run) -> None:
    push(run, REPO)
    expect_refusal(lambda: push(run, REPO, private=True, revision="trial"), "the repository exists and is public")
    assert len(server.repos[REPO].commits) == 2
    assert server.repos[REPO].branches.keys() == {"main"}


def test_unfinished_or_damaged_run_is_not_pushed(server: HubServer, run: Run) -> None:
    (run.path / "log.csv").write_text("not a log\n")
    with pytest.raises(UserError, match="not a training log"):
        push(run, REPO)
    (run.path / "metrics.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        push(run, REPO)
    assert server.requests == []


# --- refusals


def expect_refusal(action: Callable[[], object], *parts: str) -> str:
    """Check that an action ends with a UserError of one line that has these parts, and return the line."""
    with pytest.raises(UserError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)
    return str(error.value)


@pytest.mark.fault
def test_errors_of_the_hub_are_one_sentence_with_what_to_do(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pulled"
    server.repos |= {"ada/secret": Repo(private=True), "ada/gated": Repo(gated=True), "ada/empty": Repo()}
    for repo in server.repos.values():
        repo.commit({"config.json": b"{}", "pytorch_model.bin": b""})
    for name in ("tiny", "ada/tiny/moe", "../x", "a b/c", "ada/tiny--moe", "ada/" + 99 * "x", ""):
        expect_refusal(lambda name=name: push(run, name), "expected owner/name")
        expect_refusal(lambda name=name: pull(name, folder), "expected owner/name")
    expect_refusal(lambda: pull("ada/nothing", folder), "ada/nothing: no such repository", "Check the name")
    expect_refusal(lambda: pull("ada/empty", folder, revision="v9"), "no revision 'v9'")
    expect_refusal(
        lambda: pull("ada/empty", folder),
        "no run of this program: it has no vocabulary.csv, model.safetensors, metrics.json",
        "Choose a repository that yt8m push wrote",
    )
    server.faults["api/models/ada/empty"] += [503, 429]
    for status in ("503", "429"):
        expect_refusal(lambda: pull("ada/empty", folder), f"the Hub answered with status {status}", "Wait some minutes")
    monkeypatch.setenv("HF_TOKEN", READ)
    expect_refusal(lambda: push(run, REPO), "the token does not allow this", "A push needs write access")
    expect_refusal(lambda: pull("ada/gated", folder), "access is restricted", f"{server.address}/ada/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    expect_refusal(lambda: push(run, REPO), "the Hub refused the token", "Set HF_TOKEN to a valid token")
    expect_refusal(lambda: pull("ada/empty", folder), "the Hub refused the token", "Set HF_TOKEN to a valid token")
    monkeypatch.delenv("HF_TOKEN")
    expect_refusal(lambda: push(run, REPO), "no token", "Set HF_TOKEN")
    expect_refusal(lambda: pull("ada/secret", folder), "no such repository, or it is private", "Set HF_TOKEN")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    expect_refusal(lambda: pull("ada/empty", folder), "HF_HUB_OFFLINE is set", "Unset it")
    assert list(tmp_path.iterdir()) == [run.path]


def test_unreachable_hub_is_one_sentence(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", WRITE)
    for action in (lambda: pull(REPO, tmp_path / "pulled"), lambda: push(run, REPO)):
        expect_refusal(action, "cannot reach http://127.0.0.1:9 (ConnectError)", "Check the network and HF_ENDPOINT")


@pytest.mark.parametrize("answer", [None, b"<html>", b"[]", b"{}", b'{"id": "a", "siblings": [{}]}'])
def test_server_that_is_no_hub_is_one_sentence(
    answer: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_files() as files:
        if answer is not None:
            files.files[f"api/models/{REPO}?blobs=true"] = answer
        monkeypatch.setattr(constants, "ENDPOINT", files.address)
        expect_refusal(lambda: pull(REPO, tmp_path / "pulled"), f"{REPO}: ")
    assert list(tmp_path.iterdir()) == []


def test_metrics_of_another_origin_are_printed(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    push(run, REPO)
    repo = server.repos[REPO]
    repo.commit({**repo.files(), "metrics.json": b'{"validation": {"gap": 0.5, "gap_low": 0.4, "gap_high": 0.6}}'})
    yt8m(monkeypatch, "pull", REPO, tmp_path / "pulled")
    yt8m(monkeypatch, "card", tmp_path / "pulled")
    assert "GAP@20 0.5000, 95% CI [0.4000, 0.6000], 40 videos (sample)" in capsys.readouterr().out
    assert "| GAP@20 | 0.5000 |" in (tmp_path / "pulled" / "README.md").read_text()


def test_missing_library_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, hub.__name__)
    monkeypatch.delattr("yt8m_core.sharing.hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SystemExit, match=r"huggingface_hub is not installed\. Install it: pip install 'yt8m\[hub\]'"):
        yt8m(monkeypatch, "push", run.path, REPO)


def test_existing_folder_is_not_overwritten(server: HubServer, run: Run) -> None:
    before = (run.path / "config.json").read_bytes()
    expect_refusal(lambda: pull(REPO, run.path), str(run.path), "it exists")
    assert (run.path / "config.json").read_bytes() == before
    assert server.requests == []


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b'{"format": 9}', f"{REPO}/config.json: found format 9"),
        ("config.json", b"{", f"{REPO}/config.json: invalid JSON"),
        ("vocabulary.csv", b"label_id,label_name\n0,a\n", f"{REPO}/vocabulary.csv: found names of 1 labels"),
        ("model.safetensors", b"no weights", "cannot read the weights"),
        ("metrics.json", b'{"validation": {"gap": 3, "gap_low": 0, "gap_high": 0}}', "expected a number from 0 to 1"),
        ("label_precision.parquet", b"PAR1", "cannot read the label precision"),
        ("calibration.json", b"{}", "another format"),
        ("log.csv", b"a,b\n1,2\n", "not a training log"),
        ("metrics.json", bytes((1 << 22) + 1), f"{REPO}, metrics.json: found 4,194,305 bytes"),
    ],
)
def test_invalid_run_is_refused_and_leaves_nothing(
    server: HubServer, run: Run, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    push(run, REPO)
    repo = server.repos[REPO]
    repo.commit({**repo.files(), name: content})
    printed = expect_refusal(lambda: pull(REPO, tmp_path / "runs" / "pulled"), message)
    assert printed.startswith(REPO)
    assert str(tmp_path) not in printed
    assert not list(tmp_path.glob("runs/*"))


def test_only_files_of_a_run_are_downloaded(server: HubServer, run: Run, tmp_path: Path) -> None:
    push(run, REPO)
    repo = server.repos[REPO]
    repo.commit({**repo.files(), "setup.py": b"1/0", "checkpoint.safetensors": b"", "tensorboard/events": b""})
    assert {file.name for file in pull(REPO, tmp_path / "pulled").path.iterdir()} == FILES
    assert {path.rpartition("/")[2] for path in server.paths("HEAD")} <= SHARED_FILES.keys()
    # The token stays on the Hub: the host that a large file is redirected to does not get it.
    assert {token for _, path, token in server.requests if path.startswith("/objects/")} == {None}


# --- interruptions


@pytest.mark.slow
@pytest.mark.fault
def test_pull_resumes_after_the_server_ended_in_a_file(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, REPO)
    target = tmp_path / "runs" / "pulled"
    with serve_hub() as ending:
        ending.repos = server.repos
        use_server(monkeypatch, ending)
        ending.faults["model.safetensors"].append(END)
        expect_refusal(lambda: pull(REPO, target), f"cannot reach {ending.address}", "it resumes")
    assert find_runs(target.parent) == []
    with serve_hub(ending):
        ending.requests.clear()
        pulled = pull(REPO, target)
    assert pulled.load_model()
    assert hidden(target.parent) == []
    got = [path.rpartition("/")[2] for path in ending.paths("GET")]
    assert "config.json" not in got
    assert "model.safetensors" in got


@pytest.mark.slow
@pytest.mark.fault
def test_killed_pull_leaves_no_run_and_is_resumed_by_the_same_command(
    server: HubServer, run: Run, tmp_path: Path
) -> None:
    push(run, REPO)
    target = tmp_path / "runs" / "pulled"
    command = [sys.executable, "-m", "yt8m_core", "pull", REPO, str(target)]
    server.faults["model.safetensors"].append(STALL)
    with subprocess.Popen(command, env=environment(server, tmp_path), stderr=subprocess.DEVNULL) as killed:
        assert server.stalled.wait(60)
        with pytest.raises(UserError, match="another download is running"):
            pull(REPO, target)
        killed.send_signal(signal.SIGKILL)
    server.resumed.set()
    assert find_runs(target.parent) == []
    server.requests.clear()
    resumed = subprocess.run(command, env=environment(server, tmp_path), text=True, capture_output=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "GAP@20" in resumed.stdout
    assert "vocabulary.csv" not in {path.rpartition("/")[2] for path in server.paths("GET")}
    assert Run.open(target).load_model()
    assert hidden(target.parent) == []


@pytest.mark.fault
def test_push_that_fails_in_the_weights_changes_nothing_and_can_be_repeated(
    server: HubServer, run: Run, tmp_path: Path
) -> None:
    push(run, REPO)
    before = server.repos[REPO].files()
    server.objects.clear()
    server.repos[REPO].commit({**before, "model.safetensors": b"of another run"})
    server.faults["info/lfs/objects/batch"].append(403)
    expect_refusal(lambda: push(run, REPO), "the token does not allow this")
    assert server.repos[REPO].files()["model.safetensors"] == b"of another run"
    push(run, REPO)
    assert server.repos[REPO].files() == before


@pytest.mark.fault
def test_run_that_another_pull_completes_meanwhile_stays_and_is_not_downloaded_again(
    server: HubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, REPO)
    lock = hub.exclusive_lock

    @contextmanager
    def wait_for_other_pull(folder: Path, task: str) -> Iterator[None]:
        (tmp_path / "pulled").mkdir()
        with lock(folder, task):
            server.requests.clear()
            yield

    monkeypatch.setattr(hub, "exclusive_lock", wait_for_other_pull)
    expect_refusal(lambda: pull(REPO, tmp_path / "pulled"), "pulled: it exists", "Choose a folder")
    assert server.requests == []
    assert [path.name for path in tmp_path.glob("*pulled*")] == ["pulled"]


@pytest.mark.fault
def test_full_disk_is_reported_and_the_pull_is_resumed(server: HubServer, run: Run, tmp_path: Path) -> None:
    push(run, REPO)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (run.path / "model.safetensors").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        expect_refusal(lambda: pull(REPO, tmp_path / "pulled"), "File too large", "Free disk space", "it resumes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "pulled").exists()
    assert pull(REPO, tmp_path / "pulled").load_model()
    (tmp_path / "file").write_text("no folder")
    expect_refusal(lambda: pull(REPO, tmp_path / "file" / "run"), "Not a directory", "folder that you may write to")


def test_server_without_xet_storage_is_named_with_the_variable_to_set(
    server: HubServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    expect_refusal(lambda: push(run, REPO), "404 Not Found", "HF_HUB_DISABLE_XET=1")
