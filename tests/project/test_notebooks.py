"""The notebooks have their form, their outputs are of what stands there, and the README tells the stored results.

That they run is shown by `make notebooks YT8M_SCALE=smoke`, which `make test` does.
"""

import ast
from pathlib import Path

import nbformat
import pytest

from nb import readme
from nb import stamp as stamps
from nb.__main__ import execute
from nb.stamp import FOLDER, faults, notebooks, stamp
from yt8m_core.ablation import DIALS, read_result, stale
from yt8m_core.ablation.results import results_folder
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES

FILES = pytest.mark.parametrize("file", notebooks(), ids=lambda file: file.stem[:2])
STORED = sorted((FOLDER / "results").glob("*/*.json"))


@FILES
def test_outputs_were_made_of_what_stands_there(file: Path) -> None:
    assert faults(nbformat.read(file, 4)) == []


@pytest.mark.parametrize("file", STORED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_stored_result_is_of_the_experiments_that_stand_there(file: Path) -> None:
    assert file.parent.name in readme.SCALES
    result = read_result(file.stem, file.parent.name)
    assert result is not None
    assert stale(result) == []


@FILES
def test_notebook_asks_a_question_first_and_defines_nothing(file: Path) -> None:
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


def test_every_table_and_dial_is_in_a_notebook() -> None:
    sources = {file.name[:2]: file.read_text() for file in notebooks()}
    assert list(sources) == ["01", "02", "03", "04", "05", "06", "07"]
    assert {table for table in TABLES if f'\\"{table}\\"' in sources[readme.NOTEBOOKS[table]]} == set(TABLES)
    assert all(any(f'\\"{dial}\\"' in source for source in sources.values()) for dial in DIALS)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """A notebook that was executed, and stamped, while no result was stored; those are looked for in ``tmp_path``."""
    monkeypatch.setattr(stamps, "result_file", lambda table, scale: tmp_path / f"{table}.json")
    cells = [
        nbformat.v4.new_markdown_cell("Does it hold?"),
        nbformat.v4.new_code_cell('result = keep(ablate("loss"))\nturn("label_noise")\nstored("loss", "sample")'),
    ]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="It holds.")]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["yt8m"] = stamp(made)
    return made


@pytest.mark.usefixtures("rates_file")
class TestStamp:
    def test_outputs_stand_while_nothing_but_prose_is_another(self, notebook: nbformat.NotebookNode) -> None:
        assert set(notebook.metadata["yt8m"]["experiments"]) == {"videos", "loss", "label_noise"}
        notebook.cells[0].source = "Does it hold at all?"
        assert faults(notebook) == []

    def test_outputs_of_other_code_do_not_stand(self, notebook: nbformat.NotebookNode) -> None:
        notebook.cells[1].source += "\n1"
        assert faults(notebook) == ["Its outputs were made from other code."]

    def test_outputs_of_another_scale_do_not_stand(self, notebook: nbformat.NotebookNode) -> None:
        notebook.metadata["yt8m"]["scale"] = "smoke"
        assert faults(notebook) == ["Its outputs were made at another scale."]

    def test_outputs_of_other_rates_tables_or_stored_results_do_not_stand(
        self,
        notebook: nbformat.NotebookNode,
        rates_file: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        others = ["Its outputs were made from other experiments or data."]
        before = rates_file.read_text()
        rates_file.write_text(before.replace('"0.01": 0.3', '"0.01": 0.9'))
        assert rates_file.read_text() != before
        assert faults(notebook) == others
        rates_file.write_text(before)
        with monkeypatch.context() as patch:
            patch.setitem(TABLES, "loss", TABLES["label_processing"])
            assert faults(notebook) == others
        (tmp_path / "loss.json").write_text("{}")
        assert faults(notebook) == others

    def test_claims_of_all_stored_results_are_of_each(self, notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
        notebook.cells[1].source += '\nledger_of("sample")'
        before = stamp(notebook)["experiments"]
        (tmp_path / "single.json").write_text("{}")  # which the notebook does not name
        assert stamp(notebook)["experiments"].keys() - before.keys() == {"single, sample"}

    def test_outputs_without_a_stamp_and_a_stamp_without_outputs_do_not_stand(
        self, notebook: nbformat.NotebookNode
    ) -> None:
        stamped = notebook.metadata.pop("yt8m")
        assert faults(notebook) == ["Its outputs were not made by `make notebooks`."]
        notebook.cells[1].outputs = []
        assert faults(notebook) == []
        notebook.metadata["yt8m"] = stamped
        assert faults(notebook) == ["It has a stamp and no outputs."]


def test_execution_stores_outputs_and_stamp_without_progress_and_nothing_where_it_fails(tmp_path: Path) -> None:
    file = tmp_path / "n.ipynb"
    source = 'import sys\nprint("done")\nprint("50 %", file=sys.stderr)'
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), file)
    execute(file, store=True)
    made = nbformat.read(file, 4)
    assert [(out.name, out.text) for out in made.cells[0].outputs] == [("stdout", "done\n")]
    assert faults(made) == []
    made.cells[0].source = "1 / 0"
    nbformat.write(made, file)
    before = file.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute(file, store=True)
    assert file.read_bytes() == before


def test_readme_tells_the_stored_results() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.filled(text) == text, "Run `make results`."
    assert results_folder() == FOLDER / "results"


def test_results_of_the_readme_are_those_of_the_files(tmp_path: Path) -> None:
    from tests.ablation.test_report import claims, table
    from yt8m_core.ablation import results
    from yt8m_core.ablation.claims import COLUMNS, HOLDS
    from yt8m_core.ablation.significance import Estimate

    assert readme.section(tmp_path) == readme.NONE
    rows = table(lstm=Estimate(0.1, 0.05, 0.15)).assign(gap=0.5, gap_low=0.4, gap_high=0.6, paper_gap=0.8, data="made")
    verdicts = claims(HOLDS).reindex(columns=list(COLUMNS)).assign(where="nowhere", data="made")
    for name, scale in (("loss", "demo"), ("pooling", "sample")):
        results._write(
            results.Result(name, scale, f"yt8m ablate {name} --scale {scale}", "", {}, rows, verdicts),
            results.result_file(name, scale, tmp_path),
        )
    told = readme.section(tmp_path)
    assert "### Table 1: video pooling: sample of real data" in told
    assert "[notebook 05](nb/05_loss.ipynb), `yt8m ablate loss --scale demo`." in told
    assert "| lstm | 0.800 | 0.500 (0.400 to 0.600) | mean | +0.1000 (+0.0500 to +0.1500) | better |" in told
    assert "| Claim 0. | nowhere | holds | made |" in told
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter"
    once = readme.filled(text, tmp_path)
    assert once == f"before\n{readme.BEGIN}\n\n{told}\n\n{readme.END}\nafter" == readme.filled(once, tmp_path)
    with pytest.raises(UserError, match="no place for the results"):
        readme.filled("nothing", tmp_path)
