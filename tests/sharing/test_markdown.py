"""Markdown from untrusted text, read back by a Markdown parser."""

from typing import Any

import mistune
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yt8m_core.sharing.markdown import MAX_LENGTH, code, escape, one_line, table

parse = mistune.create_markdown(
    renderer="ast", plugins=["table", "strikethrough", "url", "math", "footnotes", "mark", "insert", "superscript"]
)
# Text with a lot of markup.
texts = st.text(st.one_of(st.sampled_from("\\`*_{}[]()<>#+-.!|~&;:@/$^=\"'\n\r\t \u2028\u202e1aé"), st.characters()))
NASTY = [
    "<script>alert(1)</script>", "</td></table>", "a | b | c", "a\n\n---\nlicense: evil\n---\n",
    "[x](javascript:alert(1))", "![x](http://evil.example/a.png)", "`code`", "``", "\\(x\\)", "$$x$$", "\\", "\\`", "https://evil.example",
    "a<b>c",     "www.evil.example", "&lt;b&gt;", "&#92;", "# h", "<!-- a -->", "\u202egpj", "a\x00b", " ", "", "~~x~~",
    "a" * 1000,
]  # fmt: skip


def text_of(element: Any, kinds: set[str]) -> str:
    """Return the text of a parsed element, and add the kinds of its parts to a set."""
    if isinstance(element, list):
        return "".join(text_of(part, kinds) for part in element)
    kinds.add(element["type"])
    raw = str(element.get("raw", "")).replace("&#92;", "\\")
    return raw + text_of(element.get("children", []), kinds)


def expect_text(markdown: str, text: str, allowed: set[str]) -> None:
    shown = one_line(text) or "–"
    for document in (f"| x | y |\n|---|---|\n| {markdown} | y |", f"# Name: {markdown}", f"- Names: {markdown}, y"):
        kinds: set[str] = set()
        found = text_of(parse(document), kinds)
        assert kinds <= allowed, (document, kinds)
        assert found in (f"xy{shown}y", f"Name: {shown}".strip(), f"Names: {shown}, y"), document


BLOCKS = {
    "text", "table", "table_head", "table_body", "table_row", "table_cell", "heading", "list", "list_item",
    "block_text",
}  # fmt: skip


@given(texts)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    expect_text(escape(text), text, BLOCKS)


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_is_shown_as_it_is(text: str) -> None:
    expect_text(escape(text), text, BLOCKS)
    expect_text(code(text), text, BLOCKS | {"codespan"})


@given(texts)
@example("a`b")
def test_code_is_shown_as_it_is(text: str) -> None:
    expect_text(code(text), text, BLOCKS | {"codespan"})


@given(st.text(), st.integers(1, 300))
def test_line_has_no_breaks_and_is_short(text: str, repeats: int) -> None:
    line = one_line(text * repeats)
    assert len(line) <= MAX_LENGTH
    assert len(line.splitlines()) <= 1
    assert line.isprintable()


def test_table_has_a_line_per_row() -> None:
    assert table(["a"], [[escape("x|y\nz")], ["2"]]) == "| a |\n|---|\n| x\\|y z |\n| 2 |"
