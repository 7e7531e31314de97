"""Pages of the app in Chromium, checked for errors and for requests to other servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse

from playwright.sync_api import Browser, Page, expect

TIMEOUT = 60_000  # ms; the test machine may be busy


@contextmanager
def open_browser_page(
    browser: Browser, *, width: int = 1440, height: int = 900, scheme: str = "light"
) -> Iterator[Page]:
    """Open an empty page. At the end, fail if it showed or logged an error, or sent a request to another server."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Below the path of a page, Streamlit looks for its server in two places and finds it in the second.
    page.on(
        "console",
        lambda message: (
            errors.append(f"{message.text} {message.location}")
            if message.type == "error" and "/_stcore/" not in message.location["url"]
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            errors.append(f"request {request.url}")
            if urlparse(request.url).hostname not in (None, "127.0.0.1")
            else None
        ),
    )
    yield page
    context.close()
    assert errors == [], errors


def wait_for_page(page: Page, title: str) -> None:
    """Wait until the page with this title is complete."""
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert "Traceback" not in page.inner_text("body")


def follow_link(page: Page, title: str) -> None:
    """Open another page by its link in the sidebar."""
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True)
    if not link.is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()
    link.click()
    wait_for_page(page, title)
