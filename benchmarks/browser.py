"""A Browser is headless Chromium that shows one of our pages: with it tests look and click, and benchmarks draw.

It resolves no name but this machine's own, so a page that needs the network shows that it does, and it writes down
what every page asks for. As a program of its own it shows a page for some seconds, on one core:

::

    python -m benchmarks.browser URL SECONDS [--core CORE] [--size 1280 800] [--picture FILE [--words WORDS]]

With `--picture` it ends by writing what is then in sight, ``docs/pictures/page.png`` for one; with `--words` only once
these are on the page, within a minute. With `--asked` it leaves in a file when it asked for the page, in seconds of the
machine's monotonic clock.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Names that distributions give the program and its driver.
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Returns the first element that `matches`, through the shadow roots that Bokeh nests.
_FIND = """
const matches = new Function("element", "return " + arguments[0]);
const look = root => {
  for (const element of root.querySelectorAll("*")) {
    if (matches(element)) return element;
    const inside = element.shadowRoot ? look(element.shadowRoot) : null;
    if (inside) return inside;
  }
  return null;
};
return look(document);
"""

#: How long the page may take to say what it is to be drawn with, seconds.
_WITHIN_S = 60.0

#: So often a button that is drawn anew is clicked again.
_TRIES = 20


def what_is_missing() -> str:
    """Return what a Browser needs and this machine lacks; empty where it has all."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium (pip install selenium)"
    if _chromium() is None or shutil.which("chromedriver") is None:
        return "Chromium and its driver (Debian: apt-get install chromium chromium-driver)"
    return ""


class Browser:
    """A Browser as `open_browser` yields it.

    Attributes
    ----------
    driver : selenium.webdriver.Chrome
        What Selenium offers.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._entries: list[dict[str, Any]] = []

    def show(self, url: str) -> None:
        """Open a page, and return when it has loaded."""
        self.driver.get(url)

    def find(self, condition: str) -> Any:
        """Return the first element for which an expression of JavaScript about ``element`` holds; None without one."""
        return self.driver.execute_script(_FIND, condition)

    def button(self, label: str) -> Any:
        """Return the button with a label; None where there is none."""
        return self.find(
            f"element.tagName === 'BUTTON' && element.textContent.trim() === {json.dumps(label)}"
        )

    def press(self, label: str) -> None:
        """Click the button with a label; the page may draw it anew between the look and the click, and then again."""
        from selenium.common.exceptions import StaleElementReferenceException

        for _ in range(_TRIES):
            with suppress(StaleElementReferenceException):
                if (found := self.button(label)) is not None:
                    found.click()
                    return
        raise AssertionError(f"the button {label!r} was not there, or drawn anew, at each of {_TRIES} clicks")

    def text(self, condition: str) -> str:
        """Return the words of an element; empty where it is not there."""
        # Found and read in one piece: between two the page may draw it anew.
        found = f"(function() {{ {_FIND} }}).apply(null, arguments)"
        return str(
            self.driver.execute_script(
                f"const found = {found}; return found ? found.innerText : '';", condition
            )
        )

    def columns(self, name: str) -> dict[str, list[float]]:
        """Return what a figure's source of data holds in the browser; empty before it is there."""
        script = """
        const source = window.Bokeh?.documents[0]?.get_model_by_name(arguments[0]);
        if (!source) return {};
        const plain = values => Array.from(values, value => Number.isFinite(value) ? value : null);
        return Object.fromEntries(Object.entries(source.data).map(([key, values]) => [key, plain(values)]));
        """
        found: dict[str, list[float]] = self.driver.execute_script(script, name)
        return found

    def requests(self) -> list[str]:
        """Return the addresses of all that was asked for since it was opened, web sockets included."""
        return [
            str(entry["params"]["request"]["url"] if "request" in entry["params"] else entry["params"]["url"])
            for entry in self._log()
            if entry["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
        ]

    def complaints(self) -> list[str]:
        """Return what its console says went wrong."""
        return [
            str(entry["message"]) for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"
        ]

    def _log(self) -> list[dict[str, Any]]:
        self._entries += [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return self._entries


@contextmanager
def open_browser(size: tuple[int, int] = (1280, 1230), *, log: bool = True) -> Iterator[Browser]:
    """Run a browser of its own, with a window of `size` pixels and nothing kept of earlier ones.

    Without a `log` it has no requests and complaints to tell, and costs no more than a person's.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(_chromium())
    with tempfile.TemporaryDirectory(prefix="bci-browser-", ignore_cleanup_errors=True) as profile:
        for word in (
            *("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run"),
            *("disable-background-networking", "disable-component-update", "disable-sync", "no-proxy-server"),
            "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            f"window-size={size[0]},{size[1]}",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{word}")
        if log:
            options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(
            options=options, service=Service(executable_path=shutil.which("chromedriver"))
        )
        try:
            driver.set_page_load_timeout(60)
            # Its own first page asks for things too, and goes on to until another stands there.
            driver.get("about:blank")
            if log:
                driver.get_log("performance")
            yield Browser(driver)
        finally:
            driver.quit()


def _chromium() -> Path | None:
    return next((Path(found) for name in _PROGRAMS if (found := shutil.which(name))), None)


def main() -> None:
    """Show a page for so many seconds, everything of the browser on one core where one is named (Linux).

    The core is chosen before the browser starts: its processes and their threads inherit it, those that come later too.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--core", type=int)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 1230), help="of the window, pixels")
    parser.add_argument("--picture", type=Path, help="PNG to be written at the end")
    parser.add_argument("--words", help="what the page must say when it is drawn")
    parser.add_argument("--asked", type=Path, help="file for when it asked for the page")
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds
    if asked.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {asked.core})
    with open_browser(tuple(asked.size), log=False) as browser:
        if asked.asked is not None:
            asked.asked.write_text(repr(time.monotonic()), "utf-8")
        browser.show(asked.url)
        while time.monotonic() < end:
            time.sleep(0.1)
        if asked.picture is not None:
            asked.picture.write_bytes(_picture(browser, asked.words))


def _picture(browser: Browser, words: str | None) -> bytes:
    """Return what is in sight, PNG; with words, while the page says them."""

    def says() -> bool:
        return words is None or browser.find(f"element.innerText?.includes({json.dumps(words)})") is not None

    end = time.monotonic() + _WITHIN_S
    while time.monotonic() < end:
        if says():
            drawn = browser.driver.get_screenshot_as_png()
            if says():
                return bytes(drawn)
        time.sleep(0.05)
    raise SystemExit(f"the page did not say {words!r} within {_WITHIN_S:g} s")


if __name__ == "__main__":
    main()
