"""Addresses in a browser: each opens what its page showed, and Back and Forward return to it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import follow_link, open_browser_page, wait_for_page
from tests.support.pages import ATTENTION_RUN, MEAN_RUN
from tests.support.server import served, smoke_environment

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(demo_home: Path) -> Iterator[str]:
    """Serve the app, and return its address."""
    with served(smoke_environment(demo_home)) as address:
        yield address


def select(page: Page, name: str, text: str) -> None:
    """Select an option of a select box by a part of its name."""
    box = page.get_by_role("combobox", name=name).first
    box.fill(text)
    page.get_by_role("option").first.click()


def seen(page: Page) -> tuple[str, dict[str, list[str]], str]:
    """Return the path, the parameters and the text of a page. Fails where a parameter stands twice."""
    address = urlsplit(page.url)
    query = parse_qs(address.query)
    assert all(len(query[key]) == 1 for key in ("run", "data", "label", "video") if key in query), page.url
    return address.path, query, page.get_by_test_id("stMain").inner_text()


@pytest.mark.fault
def test_back_and_forward_open_the_pages_as_they_were_left(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance")
        wait_for_page(page, "Imbalance")
        select(page, "Label", "Music")
        expect(page.get_by_test_id("stMain")).to_contain_text("Music is in")
        page.get_by_role("radio", name="precision").click()
        wait_for_page(page, "Imbalance")
        expect(page).to_have_url(re.compile("look=precision"))
        visited = [seen(page)]
        follow_link(page, "Label")
        expect(page).to_have_url(re.compile("label=Music"))
        visited.append(seen(page))
        page.locator("[data-testid=stMain] a[href*='correlation?']").first.click()
        wait_for_page(page, "Correlation")
        expect(page).to_have_url(re.compile("label=Music"))
        visited.append(seen(page))
        follow_link(page, "Predictions")
        expect(page).to_have_url(re.compile("video="))
        visited.append(seen(page))
        follow_link(page, "Videos")
        page.get_by_role("button", name="tail", exact=True).click()
        expect(page).to_have_url(re.compile("band=tail"))
        wait_for_page(page, "Videos")
        visited.append(seen(page))
        for step, expected in ((page.go_back, visited[-2::-1]), (page.go_forward, visited[1:])):
            for path, query, text in expected:
                step()
                expect(page).to_have_url(re.compile(re.escape(path) + r"(\?|$)"))
                page.wait_for_timeout(300)
                wait_for_page(page, page.locator("h1").inner_text())
                for _ in range(100):  # a busy server begins late
                    if seen(page) == (path, query, text):
                        break
                    page.wait_for_timeout(200)
                assert seen(page) == (path, query, text)


@pytest.mark.fault
def test_label_stays_after_a_reload_and_on_every_page(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance?label=Music+%C2%B7+2")
        wait_for_page(page, "Imbalance")
        page.get_by_role("link", name="Open the page of this label").click()
        wait_for_page(page, "Label")
        assert seen(page)[1]["label"] == ["Music · 2"]
        page.reload()
        wait_for_page(page, "Label")
        for title in ("Videos", "Map", "Correlation", "Predictions"):
            follow_link(page, title)
            expect(page).to_have_url(re.compile("label=Music"))
            expect(page.get_by_test_id("stMain")).not_to_contain_text("is not here")


@pytest.mark.fault
def test_selection_returns_with_the_run_that_has_it(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/compare?run={ATTENTION_RUN}&run_b={MEAN_RUN}")
        wait_for_page(page, "Compare")
        before = seen(page)
        for run in (MEAN_RUN, ATTENTION_RUN):
            select(page, "Run", run)
            expect(page).to_have_url(re.compile(f"run={run}"))
            wait_for_page(page, "Compare")
        assert "is not here" not in seen(page)[2]
        assert seen(page)[1]["run"] == before[1]["run"]


@pytest.mark.fault
@pytest.mark.parametrize(
    "address",
    [
        "videos?ap=0&ap=0.9&only=false+negative&band=tail&band=mid",
        "videos?label=Music+%C2%B7+2&has=missed&threshold=0.3&score=0.01&score=1",
        "attention?see=Does+it+matter&share=40",
        "imbalance?look=precision&band=tail&positives=3",
        "correlation?part=Label+processing&alpha=0.5",
    ],
)
def test_link_keeps_its_address_and_opens_without_a_note(browser: Browser, app: str, address: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/{address}")
        wait_for_page(page, address.partition("?")[0].capitalize())
        wanted = parse_qs(urlsplit(address).query)
        _, query, text = seen(page)
        assert wanted.items() <= query.items()
        assert "is not here" not in text
