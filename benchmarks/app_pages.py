"""The pages of the app and the controls that ``benchmarks.app`` measures."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

# What a session visits: pages by their titles, and options or tabs of them.
VISITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Overview", "Attention", "Predictions", "Experiments", "Label", "Label issues"), ()),
    "Imbalance": ("precision",),
    "Correlation": ("All labels", "Label processing"),
    "Compare": ("videos",),
    "Calibration": ("thresholds",),
    "Videos": (),
    "Map": (),
}
LABELS = ("car", "dog", "music", "game", "food", "guitar")
# Name → address, and the title to wait for.
PAGES = {
    "overview": ("", "Overview"),
    "imbalance": ("imbalance", "Imbalance"),
    "imbalance, precision": ("imbalance?look=precision", "Imbalance"),
    "correlation": ("correlation", "Correlation"),
    "correlation, all labels": ("correlation?part=All+labels", "Correlation"),
    "correlation, label processing": ("correlation?part=Label+processing", "Correlation"),
    "videos": ("videos", "Videos"),
    "videos, filtered": ("videos?only=false+negative&order=hardest+first", "Videos"),
    "map": ("map", "Map"),
    "attention": ("attention", "Attention"),
    "predictions": ("predictions", "Predictions"),
    "experiments": ("experiments", "Experiments"),
    "label": ("label", "Label"),
    "label issues": ("label-issues", "Label issues"),
    "compare": ("compare", "Compare"),
    "compare, videos": ("compare?by=videos", "Compare"),
    "calibration": ("calibration", "Calibration"),
    "calibration, thresholds": ("calibration?judge=thresholds", "Calibration"),
}


async def no_preparation() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Move:
    """A move of a control, after a preparation that is not timed, such as typing a name."""

    name: str
    act: Callable[[], Awaitable[Any]]
    prepare: Callable[[], Awaitable[Any]] = no_preparation


def moves(page: Page) -> dict[str, list[Move]]:
    """Return the moves of each page."""

    def choose(text: str) -> Callable[[], Awaitable[Any]]:
        radio, button = (page.get_by_role(role, name=text, exact=True) for role in ("radio", "button"))
        return lambda: radio.or_(button).first.click()

    def slide(name: str) -> Callable[[], Awaitable[Any]]:
        return lambda: page.get_by_role("slider", name=name).first.press("ArrowRight")

    async def type_a_label() -> None:
        await page.get_by_role("combobox", name="Label").first.fill(random.choice(LABELS))
        await page.get_by_role("option").first.wait_for()

    label = Move("label by name", lambda: page.get_by_role("option").first.click(), type_a_label)
    return {
        "imbalance": [Move("cumulative share", choose("cumulative share")), label],
        "correlation": [
            Move("measure", choose("lift")),
            Move("measure", choose("phi")),
            Move("window size", lambda: page.get_by_role("spinbutton", name="Number of labels").press("ArrowUp")),
            label,
        ],
        "correlation, label processing": [Move("β", slide("β")), Move("γ", slide("γ")), Move("α", slide("α"))],
        "label": [label],
        "label issues": [Move("next candidate", lambda: page.keyboard.press("n"))],
        "compare": [Move("difference by frequency", choose("difference by frequency")), label],
        "calibration": [Move("head", choose("head"))],
        "videos": [
            Move("threshold", slide("Threshold")),
            Move("errors", choose("false negative")),
            Move("band", choose("tail")),
            label,
        ],
        "predictions": [
            Move("next video", lambda: page.keyboard.press("n")),
            Move("next video", lambda: page.keyboard.press("n")),
            Move("threshold", slide("Threshold")),
            Move("threshold", slide("Threshold")),
        ],
    }
