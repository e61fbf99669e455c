"""The shop page in headless Chromium: a visitor sees their variation, and their click arrives."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from browsing import browsing, needs_chromium, save_picture, until
from selenium.webdriver.common.by import By
from web_servers import serving

from moengage_personalize import sandbox

COMMAND = "gunicorn --preload --threads=4 --bind=127.0.0.1:{port} flask_shop:app"


@pytest.mark.slow
@needs_chromium
def test_a_person_sees_the_variation_and_clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICK_KEY", secrets.token_hex(32))
    api = sandbox.app()
    with (
        sandbox.serve(api) as url,
        serving(COMMAND, url, Path(__file__).parent) as address,
        browsing(tmp_path / "profile") as browser,
    ):
        browser.get(address)
        assert browser.find_element(By.TAG_NAME, "h1").text == "Welcome"
        browser.add_cookie({"name": "customer", "value": "user_8821"})
        browser.get(address)
        assert browser.find_element(By.TAG_NAME, "h1").text == "Free shipping on orders over ₹999"
        save_picture(browser, "SHOP_PICTURES", tmp_path, "shop")
        browser.find_element(By.LINK_TEXT, "Shop Now").click()
        until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "Our offers")
        assert browser.current_url == f"{address}/offers"
    clicks = [event for event in api.events if event["action"].endswith("_CLICKED")]
    found = [(click["customer_id"], click["attributes"]["moe_variation_id"], click["b_id"]) for click in clicks]
    assert found == [("user_8821", "2", "Banner")]
