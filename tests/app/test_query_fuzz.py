"""Links with values of any type in any number open every page without an exception."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.test_faults import APP, bound_keys
from tests.support.pages import ATTENTION_RUN, MEAN_RUN, PAGES, error_text, open_page, video_id_at

NUM_LINKS = 6  # a page
ODD = (
    "", " ", "0", "-0", "-1", "1e309", "nan", "-inf", "0x10", "1_000", "٣", "½", "9" * 400, "0." + "9" * 400, "1e-400",
    "true", "None", "[]", "{}", "a,b", "\0", "\n", "%00", "\u202e", "💥", "../..", "<b>", "$x$", "{}{0}", "%s",
    "x" * 10_000,
)  # fmt: skip


def texts_of_the_app() -> list[str]:
    """Return short strings of the app's code: options and keys of all controls are among them."""
    nodes = (node for file in APP for node in ast.walk(ast.parse(file.read_text())))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return sorted(text for text in texts if len(text) < 40)


def random_links(seed: int, number: int, own: list[str]) -> Iterator[dict[str, str | list[str]]]:
    """Yield queries with some parameters of the app and some unknown ones; first, huge numbers and nothing."""
    rng, keys, words = random.Random(seed), [*sorted(bound_keys()), "embed", "page", "", "\0"], texts_of_the_app()

    def value() -> str:
        return rng.choice(rng.choice((ODD, words, own, [str(rng.uniform(-9, 99)), str(rng.randrange(-9, 99))])))

    shown: dict[str, str | list[str]] = {"run": ATTENTION_RUN, "data": "smoke/validation"}
    for odd in (["0", "9" * 400], [""]):
        yield {**dict.fromkeys(bound_keys(), odd), **shown}
    for _ in range(number):
        query: dict[str, str | list[str]] = {}
        for key in rng.sample(keys, rng.randint(1, len(keys))):
            count = rng.choice((1, 1, 1, 2, 3, 50))
            query[key] = value() if count == 1 else [value() for _ in range(count)]
        if rng.random() < 0.7:  # so that more than the sidebar is drawn
            query |= shown
        yield query


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("page", PAGES)
def test_no_query_of_any_types_raises_an_exception(demo_home: Path, page: str) -> None:
    own = [ATTENTION_RUN, MEAN_RUN, "smoke/validation", "smoke/train", video_id_at(demo_home, 3)]
    at = open_page(page)
    for query in random_links(PAGES.index(page), NUM_LINKS, own):
        at.query_params.clear()
        for key, values in query.items():
            at.query_params[key] = values
        error_text(at.run())  # fails on an exception
