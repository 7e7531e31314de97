"""Packaging files, README and Makefile agree with each other and with the code."""

import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_tests_of_a_file_stay_in_one_worker(request: pytest.FixtureRequest) -> None:
    """A group that pytest-xdist does not see makes each worker prepare the fixtures of the file."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process has no groups")
    assert request.node.nodeid.endswith("@tests/project/test_project.py")


@pytest.mark.slow
def test_app_starts_without_fabric() -> None:
    code = (
        "import sys, yt8m_core.demo.runs, yt8m_core.inference.prediction; sys.exit('lightning_fabric' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_conda_environment_installs_what_pyproject_names() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    (python,) = [entry for entry in environment["dependencies"] if str(entry).startswith("python=")]
    assert pip[0] == "-c constraints.txt"
    extras = re.fullmatch(r"-e \.\[(.*)\]", pip[1])
    assert extras
    assert set(extras[1].split(",")) == set(project["optional-dependencies"]) - {"bench", "map"}
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= (3, 11)


def test_every_package_that_pyproject_names_is_pinned_within_its_bounds() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    from supply.pins import read_pins

    pinned = {canonicalize_name(pin.name): pin.version for pin in read_pins().values()}
    assert pinned["torch"] == "2.13.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name != "bench"}
    for text in chain(project["dependencies"], *extras.values()):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text


@pytest.mark.slow
def test_make_help_lists_every_target() -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in printed.splitlines()} == {
        "help", "app", "test", "test-fast", "lint", "notebooks", "results", "lab", "bench", "gallery", "hashes",
        "advisories", "audit", "clean",
    }  # fmt: skip
