"""Makes the pictures of the report and of the window.

    python examples/screenshots.py runs/report.html

Needs Chromium and its driver (apt-get install chromium chromium-driver) and Selenium (pip install selenium) for the
report; the window is drawn without a display.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import pygame
from selenium import webdriver

from hnn_envs.play.session import Session
from hnn_envs.play.window import Window

PICTURES = Path(__file__).parent / "pictures"
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --disable-dev-shm-usage"
SECTION = (
    "const r = document.querySelectorAll('section')[{}].getBoundingClientRect(); return [r.top + scrollY, r.height]"
)


def photograph_report(page: Path, system: str, section: int, name: str) -> None:
    """One section of the page, 1120 pixels wide."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS.split(), f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or "chromium"
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.set_window_size(1120, 4000)
        browser.get(page.resolve().as_uri())
        browser.find_element("css selector", f"[data-system='{system}']").click()
        time.sleep(1)
        browser.execute_script("stage.seek(130)")
        top, height = browser.execute_script(SECTION.format(section))
        clip = {"x": 0, "y": top, "width": 1105, "height": height, "scale": 0.8}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        (PICTURES / name).write_bytes(base64.b64decode(shot["data"]))
    finally:
        browser.quit()


def photograph_window(name: str) -> None:
    """The window after a push."""
    window = Window(Session("two-body", ("ode", "hnn"), seed=1))
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_UP))
    for frame in range(260):
        if frame == 90:
            pygame.event.post(pygame.event.Event(pygame.KEYUP, key=pygame.K_UP))
        if frame == 200:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_RIGHT))
        window.update()
    pygame.image.save(window.surface, PICTURES / name)
    window.close()


if __name__ == "__main__":
    photograph_window("play.png")
    photograph_report(Path(sys.argv[1]), "two-body", 1, "report.png")
