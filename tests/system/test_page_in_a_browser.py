"""The operator's page in a real browser: signals move, two clicks end the session, and no request leaves it."""

import io
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from commands import Done
from PIL import Image
from sessions import finish, only_folder, rows_in, start, wait_for

from bci.control.mqtt.ports import free_port

if TYPE_CHECKING:
    from benchmarks.browser import Browser

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
CONFIG = f"""
name = "seen"
network = "machine"
[source]
kind = "simulate"
[decoder]
bundle = {json.dumps(str(ROOT / "models" / "bundles" / "alpha"))}
unlike = "keep"
[display]
kind = "headless"
max_png = 0
[control]
broker = "embedded"
[page]
seconds = 4
"""
BANNER = "element.classList.contains('banner')"
TRACE = np.array([0x1F, 0x4E, 0x79])


@dataclass
class Seen:
    """What a person saw, and what came of it."""

    url: str = ""
    banners: dict[str, str] = field(default_factory=dict)
    traces: list[tuple[float, dict[str, list[float]]]] = field(default_factory=list)
    pixels: Any = None
    armed: bool = False
    ran_on: bool = False
    requests: list[str] = field(default_factory=list)
    planted: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    done: Done = field(default_factory=lambda: Done(-1, {}, ""))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks.browser import open_browser, what_is_missing

        if missing := what_is_missing():
            pytest.skip(f"THE PAGE IS NOT TESTED IN A BROWSER: {missing} is missing")
        base = tmp_path_factory.mktemp("seen")
        # The module's tests may be shared out among workers, each with a session of its own.
        (base / "seen.toml").write_text(f"{CONFIG}port = {free_port()}\n")
        process = start("run", base / "seen.toml", "--out", base / "out", "--json")
        try:
            with open_browser() as browser:
                yield _look(browser, base / "out", process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _look(browser: "Browser", out: Path, process: "subprocess.Popen[str]") -> Seen:
    """Open the page of a session, look, and end the session with its button."""
    wait_for(lambda: bool(only_folder(out)), "the session's folder")
    folder = only_folder(out)
    assert folder is not None
    wait_for(lambda: (folder / "page.json").is_file(), "a page")
    seen = Seen(url=json.loads((folder / "page.json").read_text("utf-8"))["url"])
    wait_for(lambda: rows_in(folder / "shown.csv") > 3, "pictures")
    browser.show(seen.url)
    wait_for(lambda: (browser.columns("traces").get("x") or [0.0])[0] < -3.9, "signals over the whole width")
    seen.banners["running"] = browser.text(BANNER)
    for _ in range(4):
        seen.traces.append((time.monotonic(), browser.columns("traces")))
        time.sleep(1.0)
    shot = browser.driver.get_screenshot_as_png()
    seen.complaints = browser.complaints()
    seen.pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
    browser.press("End the session")
    wait_for(lambda: browser.button("Click again to do it") is not None, "an armed button")
    seen.armed = True
    seen.ran_on = process.poll() is None and "stop" not in (folder / "control.csv").read_text("utf-8")
    browser.press("Click again to do it")
    seen.done = finish(process)
    wait_for(lambda: "No connection" in browser.text(BANNER), "a page without its session")
    seen.banners["over"] = browser.text(BANNER)
    seen.requests = browser.requests()
    browser.driver.execute_script("fetch('http://elsewhere.example/').catch(() => 0)")
    wait_for(lambda: len(browser.requests()) > len(seen.requests), "a request of the test's own")
    seen.planted = browser.requests()[len(seen.requests) :]
    return seen


def test_signals_move_across_the_page_as_time_passes(seen: Seen) -> None:
    # A busy machine may be late to draw what one of the looks saw.
    pairs = [_moved(*pair) for pair in itertools.pairwise(seen.traces)]
    assert sum(likeness > 0.9 and abs(moved - passed) < 0.35 for likeness, moved, passed in pairs) >= 2, pairs


def _moved(
    before: tuple[float, dict[str, list[float]]], after: tuple[float, dict[str, list[float]]]
) -> tuple[float, float, float]:
    """Return how alike two looks are where they are most alike, how far one moved until then, and the time between."""
    old, new = _first_channel(before[1]), _first_channel(after[1])
    at, lags = np.arange(-1.8, -0.3, 0.01), np.arange(0.5, 2.0, 0.01)
    then = np.interp(at, *old)
    likeness = [np.corrcoef(then, np.interp(at - lag, *new))[0, 1] for lag in lags]
    best = int(np.argmax(likeness))
    return float(likeness[best]), float(lags[best]), after[0] - before[0]


def _first_channel(columns: dict[str, list[float]]) -> tuple[Any, Any]:
    """Return seconds and heights of the uppermost signal; they end where the first value is missing."""
    x, y = (np.array(columns[name], float) for name in ("x", "y"))
    end = int(np.flatnonzero(np.isnan(x))[0])
    return x[:end], y[:end]


def test_sixteen_channels_are_drawn_where_a_person_sees_them(seen: Seen) -> None:
    assert "All is well" in seen.banners["running"] or "Neutral" in seen.banners["running"]
    like_a_trace = np.abs(seen.pixels.astype(int) - TRACE).max(axis=2) < 40
    rows = np.flatnonzero(like_a_trace[150:640].sum(axis=1) > 8)
    assert like_a_trace.sum() > 5000
    assert np.ptp(rows) > 250


def test_two_clicks_end_the_session_in_order(seen: Seen) -> None:
    assert seen.armed
    assert seen.ran_on, "one click ended it"
    assert (seen.done.status, seen.done.result["status"]) == (0, "done"), seen.done.words
    assert seen.done.result["ended_by"] == "stopped by the operator"
    stops = [row for row in seen.done.table("control") if row["kind"] == "stop"]
    assert [row["verdict"] for row in stops if row["verdict"]] == ["done"]
    assert seen.done.result["samples_lost"] == 0
    assert seen.done.result["restarts"] == {}
    assert "Reload to look again" in seen.banners["over"]


def test_no_request_leaves_the_pages_own_host(seen: Seen) -> None:
    own = urlsplit(seen.url).netloc
    asked = [urlsplit(url) for url in seen.requests if not url.startswith(("data:", "blob:"))]
    assert {url.scheme for url in asked} == {"http", "ws"}, "scripts and a web socket were expected"
    assert {url.netloc for url in asked} == {own}
    # The page may have opened its web socket again meanwhile.
    left = [url for url in seen.planted if urlsplit(url).netloc != own]
    assert left == ["http://elsewhere.example/"], "a request that leaves is seen as one"
    assert seen.complaints == []
