"""Load on the app: sessions that upload files, sessions without a browser, and a hostile one."""

import io
import random
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from urllib.parse import quote

import numpy as np
from playwright.async_api import FilePayload, Page
from websockets.exceptions import WebSocketException

from benchmarks.app_pages import PAGES
from tests.support.session import Session, open_session

UPLOADS = 5  # one of so many sessions uploads files
FINISHED = "[data-testid=stApp][data-test-script-state=notRunning]"
LARGE = bytes(19 << 20)


def feature_file(rng: random.Random) -> FilePayload:
    """Return a file with the features of a random video in the streams of YouTube-8M."""
    values, file = np.random.default_rng(rng.randrange(1 << 32)), io.BytesIO()
    frames = rng.randint(30, 300)
    streams = {
        name: values.integers(0, 256, (frames, width), np.uint8) for name, width in (("rgb", 1024), ("audio", 128))
    }
    np.savez(file, allow_pickle=False, **streams)
    return {"name": f"{rng.randrange(1 << 32)}.npz", "mimeType": "application/zip", "buffer": file.getvalue()}


async def upload_files(page: Page, url: str, rng: random.Random) -> float:
    """Open the page with uploaded files, upload some, and return the seconds until their predictions are shown."""
    await page.goto(url)
    uploader = page.get_by_test_id("stFileUploaderDropzoneInput")
    await uploader.wait_for(state="attached")
    await page.locator(FINISHED).wait_for(state="attached")
    started = time.perf_counter()
    await uploader.set_input_files([feature_file(rng) for _ in range(rng.randint(1, 4))])
    await page.locator(".js-plotly-plot .main-svg").first.wait_for()
    await page.locator(FINISHED).wait_for(state="attached")
    return time.perf_counter() - started


def read_pages(address: str, run: str, seed: int, deadline: float, reading: float) -> tuple[list[float], list[str]]:
    """Visit all pages in random order until a deadline, as a browser asks the server for them, and draw nothing.

    Returns:
        The seconds from each request to the end of its script run, and errors.
    """
    rng, seconds, errors = random.Random(seed), list[float](), list[str]()
    time.sleep(rng.uniform(0, reading))
    try:
        with open_session(address) as session:
            while time.monotonic() < deadline:
                for name, (path, _) in rng.sample(list(PAGES.items()), len(PAGES)):
                    if time.monotonic() > deadline:
                        break
                    page, _, query = path.partition("?")
                    started = time.perf_counter()
                    session.run(f"run={quote(run)}&{query}", page)
                    seconds.append(time.perf_counter() - started)
                    errors += [f"{name}: {message}" for message in session.exceptions]
                    session.exceptions.clear()
                    time.sleep(rng.uniform(0.5, 1.5) * reading)
    except (WebSocketException, HTTPException, OSError) as error:
        errors.append(f"session {seed} without a browser: {error!r}")
    return seconds, errors


def send_hostile_request(session: Session, rng: random.Random) -> str:
    """Send what no browser would, and return what happened."""
    kind = rng.choice(("frame", "upload", "upload", "query"))
    if kind == "frame":
        session.connection.send(rng.randbytes(rng.choice((0, 10, 10_000, 1_000_000))))
        return "garbage frame"
    if kind == "upload":
        return f"upload of 19 MiB: status {session.upload(str(rng.random()), LARGE)}"
    keys = ("run", "data", "label", "video", "view", "find", "x")
    session.run("&".join(f"{rng.choice(keys)}={rng.randbytes(9).hex()}" for _ in range(rng.choice((1, 9, 10_000)))))
    return "random query"


def attack(address: str, deadline: float) -> Counter[str]:
    """Attack the server until a deadline, with a new session where the last one was ended, and count what happened."""
    rng, counts = random.Random(0), Counter[str]()
    while time.monotonic() < deadline:
        with suppress(WebSocketException, HTTPException, OSError), open_session(address) as session:
            counts["sessions"] += 1
            while time.monotonic() < deadline:
                counts[send_hostile_request(session, rng)] += 1
                time.sleep(0.2)
    return counts
