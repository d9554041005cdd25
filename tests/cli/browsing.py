"""Reports in a real browser: opening them, and what is checked of each."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def opened(browser: Any, path: Path) -> SimpleNamespace:
    """Open a page; return its address, and what the browser logged and requested meanwhile."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    logged = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in logged if message["method"] == "Network.requestWillBeSent"]
    # The browser's own pages, such as that of a new tab, may still be loading.
    requests = [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome:")]
    return SimpleNamespace(
        address=path.as_uri(),
        console=browser.get_log("browser"),
        requests=[url for url in requests if not url.startswith("data:")],
    )


def resize(browser: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def prefer(browser: Any, scheme: str | None) -> None:
    """Prefer light or dark pages, as a system does."""
    features = [] if scheme is None else [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def brightness_by_preference(page: Any) -> dict[str, int]:
    """Return the sum of red, green and blue of the background, for people who prefer light and dark pages."""
    brightness = {}
    for scheme in ("light", "dark"):
        prefer(page, scheme)
        colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))
    prefer(page, None)
    return brightness


def overflowing_widths(page: Any) -> list[int]:
    """Return the widths, of phones and desks, at which a page would have to be moved sideways."""
    overflowing = []
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for width in (320, 390, 768, 1200):
        resize(page, width)
        if page.execute_script("return document.documentElement.scrollWidth") > width:
            overflowing.append(width)
    return overflowing


def lettering_outside(page: Any) -> list[str]:
    """Return the lettering that sticks out of its chart."""
    return page.execute_script(
        "return [...document.querySelectorAll('svg.chart text')].filter(text => {"
        "  const box = text.getBoundingClientRect(), chart = text.ownerSVGElement.getBoundingClientRect();"
        "  return box.left < chart.left - 3 || box.right > chart.right + 3"
        "    || box.top < chart.top - 3 || box.bottom > chart.bottom + 3;"
        "}).map(text => `${text.ownerSVGElement.id}: ${text.textContent}`)"
    )


def stays_text(page: Any) -> bool:
    """Tell whether texts and names with markup have made no elements, and run nothing."""
    return page.execute_script(
        "return window.harmed !== true && !document.querySelector('script, img, b, iframe')"
    )
