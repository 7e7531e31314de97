"""Links, commands and examples in the documents."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.server import served
from yt8m_core.data.dataset import open_videos

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
NOT_RUN = ("network", "full data set")  # comments that mark a command

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[list[str]]:
    """Return the commands of a document that tests can run, with the smallest scale."""
    lines = [line for block in blocks(document, "bash") for line in block.splitlines() if line]
    parts = [line.partition(" #") for line in lines]
    return [
        shlex.split(re.sub(r"--scale \w+", "--scale smoke", command).replace("per-node 8", "per-node 2"))
        for command, _, comment in parts
        if not any(mark in comment for mark in NOT_RUN)
    ]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}\n{result.stderr}"


@pytest.fixture
def environment(demo_home: Path, tmp_path: Path) -> dict[str, str]:
    """Put the smallest demo world in ``shards/`` and ``segments/``; return the variables of a workspace of its own."""
    (tmp_path / "shards").symlink_to(demo_home / "smoke")
    (tmp_path / "segments").symlink_to(demo_home / "smoke-segments")
    write_features(demo_home / "smoke" / "validation", tmp_path)
    variables = {"YT8M_HOME": str(tmp_path / "home"), "YT8M_SCALE": "smoke", "PYTHONPATH": str(ROOT)}
    return variables | {"YT8M_RUNS": "", "YT8M_DATA": ""}


def write_features(data: Path, folder: Path) -> None:
    """Write the features of some videos as .npz files in ``features/``, and their labels as labels.csv."""
    videos, rows = open_videos(data), ["video_id,label"]
    (folder / "features").mkdir()
    for video in range(20):
        name = videos.id(video) if video else "clip"
        frames = videos.frames(video)
        np.savez(folder / "features" / f"{name}.npz", rgb=frames[:, :1024], audio=frames[:, 1024:])
        rows += [f"{name},{label}" for label in videos.labels(video)]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


@documents
def test_links_lead_to_files(document: Path) -> None:
    text = document.read_text()
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    assert [target for target in targets if not (document.parent / target).exists()] == []


@documents
def test_commands_exist(document: Path) -> None:
    from yt8m_core.cli import main as cli

    text = document.read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [
        name for name in re.findall(r"\bmake ([a-z-]+)\b(?=[`\n ]* *(?:[`#]|$))", text) if name not in targets
    ] == []
    known = {name.removesuffix("_command").rstrip("_").replace("_", "-") for name in dir(cli)}
    names = re.findall(r"(?:`|^)yt8m ([a-z-]+)", text, re.MULTILINE)
    assert [name for name in names if name not in known] == []


@documents
def test_examples_print_what_they_show(document: Path) -> None:
    result = doctest.testfile(str(document), module_relative=False, encoding="utf-8")
    assert result.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/data.md"])
def test_commands_run(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    yt8m = [sys.executable, "-m", "yt8m_core"]
    programs = {"yt8m": yt8m, "torchrun": [sys.executable, "-m", "torch.distributed.run"]}
    found = commands(ROOT / name)
    assert len(found) > 5
    for program, *arguments in found:
        if program == "make":
            run(["make", "--dry-run", *arguments], ROOT, environment)
        elif arguments[0] == "app":
            with served(environment, command=[*yt8m, *arguments, "--port"], folder=tmp_path):
                pass
        else:
            run([*programs[program], *arguments], tmp_path, environment)
    assert (tmp_path / "predictions.csv").read_text().startswith("VideoId,LabelConfidencePairs\n")


@pytest.mark.slow
def test_python_example_of_the_readme_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    assert len(example.splitlines()) <= 15
    run([sys.executable, "-c", example], tmp_path, environment)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_readme_lists_every_method() -> None:
    from yt8m_core.models.registry import SLOTS

    _, _, table = (ROOT / "README.md").read_text().partition("## Slots")
    rows = [row.split("|")[2:4] for row in table.partition("\n\nWhere")[0].splitlines() if row.startswith("| ")][1:]
    listed = [name for row in rows for cell in row for name in re.sub(r"\(.*?\)|,", "", cell).split()]
    assert sorted(listed) == sorted(name for methods in SLOTS.values() for name in methods)


def test_gallery_shows_every_page_of_the_app() -> None:
    from navigation import PAGES  # of app/

    shown = re.findall(r'<img src="gallery/([a-z_]+)\.png"', (ROOT / "docs" / "gallery.md").read_text())
    assert shown == [f"{Path(page['page']).parent.name}{screen}" for page in PAGES for screen in ("", "_phone")]
    pictures = {picture.stem for picture in (ROOT / "docs" / "gallery").glob("*.png")}
    assert pictures in (set(), set(shown))  # `make gallery` takes all of them
