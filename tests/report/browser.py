"""A headless Chromium driven over its debugging pipe: no driver, no extra package, nothing fetched.

The protocol is JSON messages that end in a zero byte; the browser reads them from its descriptor 3 and answers on 4.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONTRAST = """(() => {
    const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (color) => {
        const [r, g, b] = color.match(/[0-9]+/g).map((v) => linear(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const body = getComputedStyle(document.body), lead = getComputedStyle(document.querySelector(".lead"));
    const paper = light(body.backgroundColor);
    const contrast = (c) => (Math.max(light(c), paper) + 0.05) / (Math.min(light(c), paper) + 0.05);
    return [paper, contrast(body.color), contrast(lead.color)];
})()"""
"""Luminance of the page, and contrast of its ink and its softer ink, by the rules of WCAG 2."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--disable-dev-shm-usage",
)

_AS_3_AND_4 = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. `events` collects what the page reported; `call` sends a command and waits for its answer."""

    def __init__(self, send: int, receive: int, patience: float) -> None:
        self._send, self._receive, self._patience = send, receive, patience
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, page: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file or an address at that width (a phone below 600 px) and wait until it has loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        if self.value("location.href") != "about:blank":  # another place on the same page would not load it again
            self._go("about:blank")
        self.events.clear()
        self._go(page if isinstance(page, str) else page.resolve().as_uri())

    def _go(self, url: str) -> None:
        self.value("window.left = true")
        self.call("Page.navigate", url=url)
        end = time.monotonic() + self._patience
        while not self._loaded():
            if time.monotonic() > end:
                raise TimeoutError("the page does not load")
            time.sleep(0.05)

    def _loaded(self) -> bool:
        """Whether another document than the one that was left is there, whole."""
        try:
            return bool(self.value("!window.left && document.readyState === 'complete'"))
        except RuntimeError:  # between two documents there is none to ask
            return False

    def value(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    def pages(self) -> int:
        """Of the print, on A4 or as the page's style says."""
        data = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(data)))

    def problems(self) -> list[str]:
        """Console errors, exceptions and refused loads since the page was opened."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif (method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")) or (
                method == "Log.entryAdded" and params["entry"]["level"] == "error"
            ):
                found.append(json.dumps(params))
        return found

    def requests(self) -> list[str]:
        """Addresses the page asked for since it was opened, itself among them; `data:` is not a request."""
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith("data:")]

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + self._patience
        while b"\0" not in self._buffer:
            if not select.select([self._receive], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            chunk = os.read(self._receive, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser has gone")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def running(executable: str, *, patience: float = 60.0) -> Iterator[Browser]:
    """A browser with a profile of its own, ended when the block ends."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", _AS_3_AND_4, str(commands), str(answers), executable, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        try:
            yield Browser(to_browser, from_browser, patience)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(to_browser)
            os.close(from_browser)
