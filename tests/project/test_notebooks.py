"""Notebooks: their form, whether outputs are up to date, and the results in README and docs.

`make notebooks YT8M_SCALE=smoke`, which `make test` runs, checks that they execute.
"""

import ast
import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from nb import readme
from nb import stamp as stamps
from nb.__main__ import execute
from nb.stamp import FOLDER, find_problems, make_stamp, notebooks
from yt8m_core.ablation import SWEEPS, correlation_readings, outdated, read_result
from yt8m_core.ablation.results import results_folder
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES

FILES = pytest.mark.parametrize("file", notebooks(), ids=lambda file: file.stem[:2])
READINGS = sorted((FOLDER / "results").glob("*/correlation_readings.json"))
STORED = sorted(set((FOLDER / "results").glob("*/*.json")) - set(READINGS))
SLOTS = ("pooling", "classification", "label processing", "loss")
MARKED_SLOTS = {"02": SLOTS[:1], "03": SLOTS[1:2], "04": SLOTS[2:3], "05": SLOTS[3:], "07": SLOTS, "08": SLOTS[2:]}


@FILES
def test_outputs_are_up_to_date(file: Path) -> None:
    assert find_problems(nbformat.read(file, 4)) == []


@pytest.mark.parametrize("file", STORED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_stored_result_is_up_to_date(file: Path) -> None:
    assert file.parent.name in readme.SCALES
    result = read_result(file.stem, file.parent.name)
    assert result is not None
    assert outdated(result) == []


@pytest.mark.parametrize("file", READINGS, ids=lambda file: file.parent.name)
def test_stored_readings_are_up_to_date(file: Path) -> None:
    assert json.loads(file.read_text())["experiments"] == correlation_readings.digest(file.parent.name)


@FILES
def test_notebook_starts_with_a_question_and_defines_nothing(file: Path) -> None:
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    first = notebook.cells[0]
    assert 8 <= len(notebook.cells) <= 14
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {file.name[:2]} · ")
    assert "?**" in first.source
    ids = [cell.id for cell in notebook.cells]
    assert ids == [f"cell-{number:02}" for number in range(len(ids))]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            nodes = ast.walk(ast.parse(cell.source))
            assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in nodes), cell.source


@FILES
def test_notebook_shows_the_slots_and_marks_its_own(file: Path) -> None:
    (line,) = [line for line in nbformat.read(file, 4).cells[0].source.splitlines() if " → " in line]
    steps = line.split(" → ")
    marked = MARKED_SLOTS.get(file.name[:2], ())
    assert [step for step in steps if step.strip("*") in SLOTS] == [
        f"**{slot}**" if slot in marked else slot for slot in SLOTS
    ]
    assert any(step.startswith("**") for step in steps)


def test_every_table_and_sweep_is_in_a_notebook() -> None:
    sources = {file.name[:2]: file.read_text() for file in notebooks()}
    assert list(sources) == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]
    assert {table for table in TABLES if f'\\"{table}\\"' in sources[readme.NOTEBOOKS[table]]} == set(TABLES)
    assert all(any(f'\\"{sweep}\\"' in source for source in sources.values()) for sweep in SWEEPS)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """Return an executed notebook with a stamp; stored results are read from ``tmp_path``, which is empty."""
    monkeypatch.setattr(stamps, "result_file", lambda table, scale: tmp_path / f"{table}.json")
    cells = [
        nbformat.v4.new_markdown_cell("A question?"),
        nbformat.v4.new_code_cell(
            'result = save_result(ablate("loss"))\nrun_sweep("label_noise")\nstored_result("loss", "sample")'
        ),
    ]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="An output.")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["yt8m"] = make_stamp(notebook)
    return notebook


@pytest.mark.usefixtures("rates_file")
class TestStamp:
    def test_prose_does_not_outdate_outputs(self, notebook: nbformat.NotebookNode) -> None:
        assert set(notebook.metadata["yt8m"]["experiments"]) == {"videos", "loss", "label_noise"}
        notebook.cells[0].source = "Another question?"
        assert find_problems(notebook) == []

    def test_code_outdates_outputs(self, notebook: nbformat.NotebookNode) -> None:
        notebook.cells[1].source += "\n1"
        assert find_problems(notebook) == ["Its outputs were made from other code."]

    def test_scale_outdates_outputs(self, notebook: nbformat.NotebookNode) -> None:
        notebook.metadata["yt8m"]["scale"] = "smoke"
        assert find_problems(notebook) == ["Its outputs were made at another scale."]

    def test_rates_tables_and_stored_results_outdate_outputs(
        self,
        notebook: nbformat.NotebookNode,
        rates_file: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        problems = ["Its outputs were made from other experiments or data."]
        before = rates_file.read_text()
        rates_file.write_text(before.replace('"0.01": 0.3', '"0.01": 0.9'))
        assert rates_file.read_text() != before
        assert find_problems(notebook) == problems
        rates_file.write_text(before)
        with monkeypatch.context() as patch:
            patch.setitem(TABLES, "loss", TABLES["label_processing"])
            assert find_problems(notebook) == problems
        (tmp_path / "loss.json").write_text("{}")
        assert find_problems(notebook) == problems

    def test_all_claims_depends_on_every_stored_result(self, notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
        notebook.cells[1].source += '\nall_claims("sample")'
        before = make_stamp(notebook)["experiments"]
        (tmp_path / "single.json").write_text("{}")  # not named in the notebook
        assert make_stamp(notebook)["experiments"].keys() - before.keys() == {"single, sample"}

    def test_stamp_and_outputs_need_each_other(self, notebook: nbformat.NotebookNode) -> None:
        stamp = notebook.metadata.pop("yt8m")
        assert find_problems(notebook) == ["Its outputs were not made by `make notebooks`."]
        notebook.cells[1].outputs = []
        assert find_problems(notebook) == []
        notebook.metadata["yt8m"] = stamp
        assert find_problems(notebook) == ["It has a stamp and no outputs."]


def test_execution_stores_outputs_without_progress_and_nothing_on_failure(tmp_path: Path) -> None:
    file = tmp_path / "n.ipynb"
    source = 'import sys\nprint("done")\nprint("50 %", file=sys.stderr)'
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), file)
    execute(file, store=True)
    executed = nbformat.read(file, 4)
    assert [(out.name, out.text) for out in executed.cells[0].outputs] == [("stdout", "done\n")]
    assert find_problems(executed) == []
    executed.cells[0].source = "1 / 0"
    nbformat.write(executed, file)
    before = file.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute(file, store=True)
    assert file.read_bytes() == before


def test_readme_and_docs_have_the_stored_results() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.fill_readme(text) == text, "Run `make results`."
    assert readme.RESULTS.read_text(encoding="utf-8") == readme.results_page(), "Run `make results`."
    assert results_folder() == FOLDER / "results"


def test_readme_table_is_compact_and_has_every_row_of_tables_1_to_4() -> None:
    lines = readme.readme_table().splitlines()
    assert len(lines) <= 45
    for number, table in enumerate(readme.NUMBERED, start=1):
        assert TABLES[table].title.startswith(f"Table {number}: ")
        assert all(any(line.startswith(f"| {number} | {row.name} |") for line in lines) for row in TABLES[table].rows)


def test_results_page_and_readme_table_show_the_result_files(tmp_path: Path) -> None:
    from tests.ablation.test_report import claims, table
    from yt8m_core.ablation.band_gains import COLUMNS as BAND_COLUMNS
    from yt8m_core.ablation.claims import COLUMNS, SUPPORTED
    from yt8m_core.ablation.results import Result, result_file, write_result
    from yt8m_core.metrics.bootstrap import Estimate

    assert readme.results_page(tmp_path) == f"{readme.INTRODUCTION}\n\n{readme.EMPTY}\n"
    assert readme.readme_table(tmp_path) == readme.EMPTY
    rows = table(lstm=Estimate(0.1, 0.05, 0.15)).assign(gap=0.5, gap_low=0.4, gap_high=0.6, paper_gap=0.8, data="x")
    verdicts = claims(SUPPORTED).reindex(columns=list(COLUMNS)).assign(source="section 1", evidence=[["a vs. b: 0"]])
    bands = pd.DataFrame([("lstm", "gru", "tail", 9, 0.1, 0.05, 0.15, "better")], columns=list(BAND_COLUMNS))
    for name, scale in (("loss", "demo"), ("loss", "sample"), ("pooling", "sample")):
        result = Result(name, scale, f"yt8m ablate {name} --scale {scale}", "", {}, rows, verdicts, bands)
        write_result(result, result_file(name, scale, tmp_path))
    page = readme.results_page(tmp_path)
    assert "### Table 1: sample of real data" in page
    assert (
        "See [notebook 05](../nb/05_loss.ipynb).\n\n### Table 4: demo world\n\n`yt8m ablate loss --scale demo`" in page
    )
    assert "| lstm | 0.800 | 0.500 [0.400, 0.600] | +0.1000 [+0.0500, +0.1500] | better |" in page
    assert "| Claim 0. | section 1 | supported |" in page
    assert "| lstm | **+0.1000 [+0.0500, +0.1500]** |" in page
    compact = readme.readme_table(tmp_path)
    assert "| 4 | lstm | 0.800 | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] |" in compact
    assert "| 1 | lstm | 0.800 |" in compact
    assert "Sample of real data: 2 claims tested: 2 supported, 0 contradicted, 0 inconclusive." in compact
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter"
    filled = readme.fill_readme(text, tmp_path)
    assert filled == f"before\n{readme.BEGIN}\n\n{compact}\n\n{readme.END}\nafter"
    assert readme.fill_readme(filled, tmp_path) == filled
    with pytest.raises(UserError, match="no markers for the results"):
        readme.fill_readme("nothing", tmp_path)
