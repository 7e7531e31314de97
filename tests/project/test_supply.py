"""Hashes of the pinned files, and the check of installations and of known vulnerabilities."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from supply import __main__ as command_line
from supply import advisories, services
from supply.advisories import MAX_AGE, Snapshot, check_advisories, read_snapshot, write_snapshot
from supply.installation import verify_installation
from supply.pins import Pin, add_file, add_hashes, read_pins, write_pins
from yt8m_core.errors import UserError

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 30)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pins() -> dict[str, Pin]:
    return {"a": Pin("A", "1.0", {digest("a"), digest("another a")}), "b-c": Pin("b_C", "2.0", {digest("b")})}


# --- hashes


@pytest.mark.fault
def test_every_pin_has_hashes() -> None:
    found = read_pins()
    assert len(found) > 150
    assert [pin.name for pin in found.values() if not pin.hashes] == []
    assert len(found["torch"].hashes) > len(found["tqdm"].hashes) > 1


def test_written_pins_are_read_again(tmp_path: Path) -> None:
    write_pins(pins(), tmp_path / "constraints.txt")
    assert read_pins(tmp_path / "constraints.txt") == pins()
    write_pins(read_pins(), tmp_path / "real.txt")
    assert (tmp_path / "real.txt").read_text() == (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize(
    "line", ["numpy>=2", "a==1.0", f"# sha256:{digest('x')}", f"#   sha256:{digest('x')[1:]}", "-r other.txt"]
)
def test_line_that_is_no_pin_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "constraints.txt").write_text(f"A==1.0\n# a comment\n\n{line}\n")
    with pytest.raises(UserError, match=r"constraints\.txt, line 4: found"):
        read_pins(tmp_path / "constraints.txt")


def test_hashes_of_an_index_are_added_and_those_of_other_indexes_stay(tmp_path: Path) -> None:
    wheel = tmp_path / "b_c-2.0+cpu-py3-none-any.whl"
    wheel.write_text("the wheel of another index")
    found = pins()
    add_file(found, wheel)
    add_hashes(found, {"a": Pin("a", "1.0", {digest("new")}), "b-c": Pin("b-c", "2.0", {digest("b")})})
    assert found["a"].hashes == {digest("a"), digest("another a"), digest("new")}
    assert found["b-c"].hashes == {digest("b"), digest("the wheel of another index")}
    with pytest.raises(UserError, match=r"lists no file of A 1\.0"):
        add_hashes(found, {"a": Pin("a", "1.1", {digest("new")})})
    for name in ("b_c-2.1-py3-none-any.whl", "b_c-2.0.tar.gz", "d-2.0-py3-none-any.whl"):
        with pytest.raises(UserError, match="no wheel of a pinned version"):
            add_file(found, tmp_path / name)


# --- installations


def item(name: str, version: str, text: str, **archive: Any) -> dict[str, Any]:
    """Return an installed file as a report of pip has it."""
    info = {"url": f"https://index/{name}.whl", "archive_info": archive or {"hashes": {"sha256": digest(text)}}}
    return {"metadata": {"name": name, "version": version}, "download_info": info}


def report(folder: Path, *items: dict[str, Any]) -> Path:
    project = {"metadata": {"name": "yt8m", "version": "0"}, "download_info": {"url": "file:///", "dir_info": {}}}
    file = folder / "report.json"
    file.write_text(json.dumps({"version": "1", "install": [project, *items]}))
    return file


def test_pinned_files_are_verified(tmp_path: Path) -> None:
    installed = [item("a", "1.0", "another a"), item("B.c", "2.0+cpu", "b")]
    assert verify_installation(report(tmp_path, *installed), pins()) == 2
    old = item("a", "1.0", "", hash=f"sha256={digest('a')}")  # pip 22
    assert verify_installation(report(tmp_path, old), pins()) == 1
    assert verify_installation(report(tmp_path), pins()) == 0


@pytest.mark.fault
def test_installed_file_that_is_not_a_pinned_one_is_named(tmp_path: Path) -> None:
    folder = {"metadata": {"name": "a", "version": "1.0"}, "download_info": {"url": "file:///a", "dir_info": {}}}
    for reason, bad in {
        f"a 1.0 from https://index/a.whl: SHA-256 {digest('forged')}": item("a", "1.0", "forged"),
        "instead of 1.0": item("a", "1.1", "a"),
        "b 1.0 has no pin": item("b", "1.0", "a"),
        "without a hash": item("a", "1.0", "", hashes={}),
        "from file:///a": folder,
    }.items():
        with pytest.raises(UserError, match=r"1 of [12] installed files are not those of constraints\.txt") as error:
            verify_installation(report(tmp_path, bad, item("b-c", "2.0", "b")), pins())
        assert reason in str(error.value)
    with pytest.raises(UserError, match=r"(?s)20 of 20 .*and 15 more"):
        verify_installation(report(tmp_path, *[item("a", "1.0", str(number)) for number in range(20)]), pins())


@pytest.mark.fault
@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"install": 1}', '{"install": [1]}', '{"install": [{}]}', "[" * 100_000, "\0\xff",
     '{"install": [{"metadata": {"name": 1, "version": "1"}, "download_info": {"url": ""}}]}'],
)  # fmt: skip
def test_report_that_cannot_be_read_is_a_failure(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="no readable report of pip"):
        verify_installation(tmp_path / "report.json", pins())
    with pytest.raises(UserError, match="no readable report of pip"):
        verify_installation(tmp_path / "missing.json", pins())


BACKEND = """
from zipfile import ZipFile
def build_editable(folder, config_settings=None, metadata_directory=None):
    with ZipFile(f"{folder}/yt8m-0.1-py3-none-any.whl", "w") as wheel:
        info = "yt8m-0.1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: yt8m\\nVersion: 0.1\\nRequires-Dist: tiny\\n"
                       + "".join(f"Provides-Extra: {extra}\\n" for extra in "app export hub import nb dev".split()))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "yt8m-0.1-py3-none-any.whl"
"""


def write_wheel(folder: Path, code: str) -> Path:
    """Write a wheel of the package ``tiny``, and return it."""
    files = {
        "tiny.pth": code,
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}"
        for name, text in files.items()
    ]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*rows, "tiny-1.0.dist-info/RECORD,,\n"])
    file = folder / "tiny-1.0-py3-none-any.whl"
    with ZipFile(file, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return file


@pytest.mark.slow
@pytest.mark.fault
def test_make_refuses_a_changed_file_before_it_runs_and_then_builds_a_new_environment(tmp_path: Path) -> None:
    project, index, ran = tmp_path / "project", tmp_path / "index", tmp_path / "ran"
    shutil.copytree(ROOT / "supply", project / "supply")
    (project / "yt8m_core").mkdir()
    shutil.copy(ROOT / "yt8m_core" / "errors.py", project / "yt8m_core")
    shutil.copy(ROOT / "Makefile", project)
    (project / "backend.py").write_text(BACKEND)
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (project / "pyproject.toml").write_text(backend)
    index.mkdir()
    # Only this index, whatever the machine is set up with.
    variables = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
    }

    def make() -> subprocess.CompletedProcess[str]:
        command = ["make", f"PYTHON={sys.executable}", ".venv/.installed"]
        return subprocess.run(command, cwd=project, env={**os.environ, **variables}, text=True, capture_output=True)

    good = write_wheel(index, "# nothing").read_bytes()
    write_pins({"tiny": Pin("tiny", "1.0", {hashlib.sha256(good).hexdigest()})}, project / "constraints.txt")
    write_wheel(index, f"import pathlib; pathlib.Path({str(ran)!r}).touch()")
    refused = make()
    assert refused.returncode != 0
    assert "1 of 1 installed files are not those of constraints.txt" in refused.stderr, refused.stderr
    assert not (project / ".venv" / ".installed").exists()
    assert not ran.exists()
    (index / "tiny-1.0-py3-none-any.whl").write_bytes(good)
    installed = make()
    assert installed.returncode == 0, installed.stderr
    assert "1 installed files have the hashes" in installed.stdout  # the one of before was not kept
    assert (project / ".venv" / ".installed").exists()


# --- known vulnerabilities


def snapshot(**changes: Any) -> Snapshot:
    values = {"day": TODAY, "service": "a service", "problem": "", "packages": {"a": ("1.0", []), "b-c": ("2.0", [])}}
    return Snapshot(**{**values, **changes})


def test_pins_without_advisories_pass() -> None:
    for age in (0, MAX_AGE):
        found = check_advisories(snapshot(day=TODAY - timedelta(age)), pins(), TODAY)
        assert found.startswith("2 pinned packages have no known vulnerability")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"packages": {}}, r"lacks the pinned version of 2 of 2 packages \(A, b_C\)"),
        ({"packages": {"a": ("1.0", []), "b-c": ("1.9", [])}}, r"lacks the pinned version of 1 of 2 packages \(b_C\)"),
        ({"day": TODAY - timedelta(MAX_AGE + 1)}, f"{MAX_AGE + 1} days old, more than {MAX_AGE}"),
        ({"day": TODAY + timedelta(1)}, "from the future"),
        ({"problem": "no answer", "packages": {}}, "on 2026-11-30, no answer"),
    ],
)
def test_audit_that_could_not_check_says_so_and_fails(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=f"^not checked: .*{reason}"):
        check_advisories(snapshot(**changes), pins(), TODAY)


@pytest.mark.fault
def test_known_vulnerabilities_fail_the_audit() -> None:
    found = {"a": ("1.0", ["PYSEC-2026-1", "GHSA-x"]), "b-c": ("2.0", [])}
    with pytest.raises(UserError, match=r"1 of 2 pinned packages have known.*\n  A 1\.0: PYSEC-2026-1, GHSA-x"):
        check_advisories(snapshot(packages=found), pins(), TODAY)


def test_written_snapshot_is_read_again(tmp_path: Path) -> None:
    written = snapshot(packages={"a": ("1.0", ["PYSEC-2026-1"])})
    write_snapshot(written, tmp_path / "snapshot.json")
    assert read_snapshot(tmp_path / "snapshot.json") == written
    read_snapshot()  # that of the project


@pytest.mark.fault
@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"date": "soon"}', "[" * 100_000])
def test_snapshot_that_cannot_be_read_is_a_failure(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "snapshot.json").write_text(content)
    with pytest.raises(UserError, match="not checked: "):
        read_snapshot(tmp_path / "snapshot.json")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | None]:
    """What pip-audit says about each package: its advisories, or None where the service does not know it."""
    answers: dict[str, list[str] | None] = {"pyyaml": ["PYSEC-2021-142"], "A": [], "b_C": []}

    def run(command: list[str], pins: Any, accepted: tuple[int, ...] = (0,)) -> str:
        entries = []
        for pin in pins:
            vulns, entry = answers[pin.name], {"name": pin.name, "version": pin.version}
            entries.append(
                {"name": pin.name, "skip_reason": "not found"}
                if vulns is None
                else {**entry, "vulns": [{"id": vuln} for vuln in vulns]}
            )
        return json.dumps({"dependencies": entries})

    monkeypatch.setattr(services, "_run", run)
    return answers


def test_snapshot_holds_the_advisories_of_each_pin(answers: dict[str, list[str] | None]) -> None:
    answers["A"] = ["GHSA-x"]
    found = services.ask_advisories(pins(), TODAY)
    assert found.packages == {"a": ("1.0", ["GHSA-x"]), "b-c": ("2.0", [])}
    assert found.problem == ""


@pytest.mark.fault
@pytest.mark.parametrize("canary", [None, []])
def test_service_that_lists_nothing_has_not_been_asked(
    answers: dict[str, list[str] | None], canary: list[str] | None
) -> None:
    """pip-audit exits with 0 and says that there are no vulnerabilities where the service knows no package."""
    answers["pyyaml"] = canary
    found = services.ask_advisories(pins(), TODAY)
    assert "lists no advisory for pyyaml 5.3" in found.problem
    with pytest.raises(UserError, match="not checked: on 2026-11-30, the advisory service could not be asked"):
        check_advisories(found, pins(), TODAY)


@pytest.mark.fault
def test_failed_update_keeps_the_snapshot(
    tmp_path: Path, answers: dict[str, list[str] | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "snapshot.json"
    for name, function in (("read_snapshot", read_snapshot), ("write_snapshot", write_snapshot)):
        monkeypatch.setattr(command_line, name, lambda *values, function=function: function(*values, file))
    monkeypatch.setattr(command_line, "SNAPSHOT", file)
    monkeypatch.setattr(command_line, "read_pins", pins)
    command_line.audit(update=True)
    before = file.read_text()
    answers["pyyaml"] = None
    with pytest.raises(UserError, match="not updated: the advisory service could not be asked"):
        command_line.audit(update=True)
    assert file.read_text() == before
    file.unlink()
    with pytest.raises(UserError, match="not checked: "):
        command_line.audit(update=True)
    assert advisories.read_snapshot(file).problem


def test_missing_tool_is_reported() -> None:
    with pytest.raises(UserError, match=r"no_such_tool failed: .*No module named no_such_tool"):
        services._run([sys.executable, "-m", "no_such_tool"], pins().values())


def test_commands_print_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["supply", "verify", "missing.json"])
    assert command_line.main() == 1
    assert capsys.readouterr().err.startswith("supply: missing.json: found no readable report of pip")
