"""A headless Chromium driven through chromedriver's own protocol, without a network."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window; its size and colour scheme are chosen when it opens."""

    def __init__(self, home: Path, width: int = 1200, dark: bool = False) -> None:
        self.process = subprocess.Popen(
            [str(DRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "started successfully on port" in line:
                self.base = f"http://127.0.0.1:{int(line.rstrip('. ' + chr(10)).rsplit(' ', 1)[1])}"
                break
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--hide-scrollbars",
                   "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
                   f"--user-data-dir={home}", f"--window-size={width},900"]  # fmt: skip
        if dark:
            options.append("--force-dark-mode")
        wanted = {
            "goog:chromeOptions": {"binary": CHROMIUM, "args": options},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"

    def as_phone(self, width: int) -> None:
        """Lay out the page as a phone of this width does; no window is as narrow as that."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self._call("POST", f"{self.session}/goog/cdp/execute", command)

    def open(self, url: str) -> None:
        self._call("POST", f"{self.session}/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._call("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def find(self, selector: str) -> str:
        found = self._call(
            "POST", f"{self.session}/element", {"using": "css selector", "value": selector}
        )
        return str(found[ELEMENT])

    def point_at(self, selector: str, click: bool = False) -> None:
        self.run(
            f"document.querySelector({json.dumps(selector)})"
            ".scrollIntoView({block: 'center', behavior: 'instant'})"
        )
        time.sleep(0.3)
        there = {
            "type": "pointerMove",
            "duration": 50,
            "origin": {ELEMENT: self.find(selector)},
            "x": 0,
            "y": 0,
        }
        press = (
            [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
            if click
            else []
        )
        pointer = {
            "type": "pointer",
            "id": "mouse",
            "parameters": {"pointerType": "mouse"},
            "actions": [there, *press],
        }
        self._call("POST", f"{self.session}/actions", {"actions": [pointer]})

    def console(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call(
            "POST", f"{self.session}/se/log", {"type": "browser"}
        )
        return found

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))
        return path

    def close(self) -> None:
        try:
            self._call("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]
