"""Headless Chromium, where it is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,1600"
)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)


@contextmanager
def browsing(profile: Path) -> Generator[webdriver.Chrome]:
    """Run a browser with this folder as its profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER or ""))
    try:
        yield driver
    finally:
        driver.quit()


def until(driver: webdriver.Chrome, holds: Callable[[], Any]) -> None:
    """Wait until this is true."""
    WebDriverWait(driver, 20, 0.05).until(lambda _: holds())


def save_picture(driver: webdriver.Chrome, variable: str, otherwise: Path, name: str) -> None:
    """Write a picture of the page into the folder that a variable names, where a person wants to look at it."""
    assert driver.save_screenshot(str(Path(os.environ.get(variable, otherwise)) / f"{name}.png"))
