"""What the browser receives for the first page: Streamlit's files, compressed, and the content of the page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import open_browser_page
from tests.support.server import served, smoke_environment

MAX_BYTES = 3_000_000


@pytest.mark.browser
def test_first_page_is_below_3_mb(browser: Browser, demo_home: Path) -> None:
    with served(smoke_environment(demo_home)) as address, open_browser_page(browser) as page:
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        received: list[float] = []
        network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        network.on(
            "Network.webSocketFrameReceived", lambda event: received.append(len(event["response"]["payloadData"]))
        )
        page.goto(address)
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        page.wait_for_timeout(1000)
        assert len(received) > 20
        assert sum(received) < MAX_BYTES
