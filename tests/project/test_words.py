"""Phrases that must not come back, in the app, the package, the notebooks with their outputs, and the documents."""

import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ("app", "yt8m_core", "nb", "docs", "benchmarks", "supply")
MARKDOWN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "benchmarks/*.md")
# The faults table names tests, whose names are not checked here.
TEST_NAME = re.compile(r"`tests/[\w/]+\.py::\w+`")

PHRASES = {  # pattern: an example that it must find
    r"how it learned": "How it learned",
    r"what the run is made of": "What the run is made of",
    r"in at least so many": "In at least so many videos",
    r"a label to look at": "A label to look at",
    r"a pair in words": "A pair in words",
    r"numbers that the training may move": "Numbers that the training may move.",
    r"what chance began with": "What chance began with.",
    r"does it matter where it looks": "Does it matter where it looks?",
    r"with another sharpness": "With another sharpness",
    r"weight less share": "Weight less share",
    r"what other runs say": "What other runs say",
    r"go with it most": "Labels that go with it most",
    r"a place in the order": "a place in the order",
    r"\bby heart\b": "learns its videos by heart",
    r"\bsure(r|st)\b": "the surer a mistake, the dearer",
    r"videos a second": "Videos a second",
    r"a label vote": "lets several experts a label vote",
    r"cannot (tell|be told)\b": "4 cannot be told from these data",
    r"these data can tell": "no difference that these data can tell",
    r"\b(does|did) not hold\b|\b\d+ held\b": "Of 8 claims 1 held",
    r"put to the test": "8 claims put to the test",
    r"beside the paper": "Ours beside the paper's",
    r"""["'|]\s*the paper's gap""": "| the paper's GAP |",
    r"\btold\b": "Told in a sentence.",
    r"a word on\b": "a word on how it goes",
    r"(what|as it|that) stands there|as it stands\b": "the code that stands there",
    r"speaks? to a person": "The one exception that speaks to a person",
    r"how (far|it) (it is|goes)\b": "How long work says how far it is",
    r"anybody may have written": "JSON that anybody may have written",
    r"""["'|]\s*which is\s*["'|]""": "| difference | which is |",
    r"""["']how many\b""": 'st.slider("How many", 1, 9)',
    r"""["']every label["']""": 'st.subheader("Every label")',
    r"\b95 %|\d % (CI|interval|of)\b": "95 % interval",
    r"\b(normal|optim|quant|organ|initial|vector|summar|general|regular|factor|token|serial|synchron|util|real|"
    r"recogn|minim|maxim|visual|parallel|local|categor|character|emphas|standard|custom|random|bin)is(e|ed|er|ers|es|"
    r"ing|ation|ations)\b": "optimisation",
    r"\banalys(e|ed|ing)\b": "analyse",
    r"colour|behaviour|neighbour|favour|honour": "behaviours",
    r"\bcentre(s|d)?\b": "centre of a class",
    r"\b(label|model|cancel|signal)l(ed|ing)\b": "labelled",
    r"\b(grey|licence|catalogue|artefacts?|whilst|amongst)\b": "grey",
}
IDENTIFIERS = {
    "told", "tell", "tells", "replacing", "alone_in", "inside_runs", "LiesOn", "lies_on", "beside_the_paper", "falling",
    "surest", "surest_without", "observe", "for_training_alone", "let_settle", "forget_the_oldest", "sure_hits",
    "stands",
}  # fmt: skip


def find_phrases(text: str) -> list[str]:
    """Return what the patterns find in a text, with the numbers of the lines."""
    return [
        f"{number}: {match[0]!r}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in PHRASES
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]


def find_identifiers(code: str) -> list[str]:
    """Return the forbidden identifiers in a program, with the numbers of the lines."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [
        f"{token.start[0]}: {token.string}"
        for token in tokens
        if token.type == tokenize.NAME and token.string in IDENTIFIERS
    ]


def texts(root: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield the name of each text of the project, the text, and whether it is Python."""
    for folder in PYTHON:
        for file in sorted((root / folder).rglob("*.py")):
            yield file.relative_to(root).as_posix(), file.read_text(), True
    for pattern in MARKDOWN:
        for file in sorted(root.glob(pattern)):
            yield file.relative_to(root).as_posix(), TEST_NAME.sub("", file.read_text()), False
    for file in sorted((root / "nb").glob("*.ipynb")):
        for cell in nbformat.read(file, 4).cells:
            name = f"nb/{file.name} {cell.id}"
            yield name, cell.source, cell.cell_type == "code"
            for output in cell.get("outputs", []):
                for text in output_texts(output):
                    yield f"{name} output", text, False


def output_texts(output: nbformat.NotebookNode) -> Iterator[str]:
    if "text" in output:
        yield output["text"]
    for kind, data in output.get("data", {}).items():
        if not kind.startswith("image/"):
            yield data if isinstance(data, str) else json.dumps(data)


def find_all(root: Path) -> list[str]:
    return [
        f"{name}:{found}"
        for name, text, is_python in texts(root)
        for found in (*find_phrases(text), *(find_identifiers(text) if is_python else ()))
    ]


def test_forbidden_phrases_do_not_occur() -> None:
    assert len(list(texts(ROOT))) > 250
    found = find_all(ROOT)
    assert not found, f"{len(found)} phrases:\n" + "\n".join(found)


@pytest.mark.parametrize("pattern", PHRASES)
def test_each_pattern_finds_its_example_and_not_plain_text(pattern: str) -> None:
    assert re.search(pattern, PHRASES[pattern], re.IGNORECASE)
    plain = 'Normalize the labels: 95% CI, color, "Number of labels". It realizes this, and the sum of a row is 1.'
    assert find_phrases(plain) == []


def test_planted_phrases_are_found_in_code_documents_and_outputs(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "nb").mkdir()
    (tmp_path / "app" / "page.py").write_text('told = st.header("How it learned")  # replacing\n')
    (tmp_path / "README.md").write_text("Right.\n`tests/a/test_b.py::test_told`\nA colourful text.\n")
    cell = nbformat.v4.new_code_cell("observe(labels)", id="cell-01")
    cell.outputs = [
        nbformat.v4.new_output("stream", text="a 95 % interval"),
        nbformat.v4.new_output("display_data", data={"application/json": {"title": "Videos a second"}}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "nb" / "a.ipynb")
    assert find_all(tmp_path) == [
        "app/page.py:1: 'How it learned'",
        "app/page.py:1: 'told'",
        "app/page.py:1: told",
        "README.md:3: 'colour'",
        "nb/a.ipynb cell-01:1: observe",
        "nb/a.ipynb cell-01 output:1: '95 %'",
        "nb/a.ipynb cell-01 output:1: 'Videos a second'",
    ]
