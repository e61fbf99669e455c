"""The page of the sandbox in headless Chromium: what a person does with it, seen on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import browsing, needs_chromium, save_picture, until
from sandboxing import AUTH, HEADERS, root, write
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from moengage_personalize import sandbox

pytestmark = [needs_chromium, pytest.mark.slow]

EXPERIENCES = """\
experiences:
  - key: banner
    name: Banner
    audiences:
      - id: E
        name: Email visitors
        when: {attributes: {utm_medium: email}}
        variations: [{id: '1', payload: {Title: {value: From a letter}}}]
      - id: A
        name: Everyone
        variations: [{id: '2', payload: {Title: {value: Hello}}}]
  - key: night
    name: Night
    audiences:
      - id: N
        name: At night
        when: {hour: [22-03], day: [Sunday]}
        variations: [{id: '1', payload: {}}]
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsing(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def app(tmp_path: Path) -> sandbox.Sandbox:
    return sandbox.app(write(tmp_path, EXPERIENCES), reload=True)


@pytest.fixture
def page(chromium: webdriver.Chrome, app: sandbox.Sandbox) -> Iterator[webdriver.Chrome]:
    with sandbox.serve(app) as url:
        chromium.get(root(url))
        until(chromium, lambda: "No failure" in text(chromium, "armed"))
        yield chromium
        untyped: Any = chromium
        logged = [entry["message"] for entry in untyped.get_log("browser")]
        mistakes = [message for message in logged if "Failed to load resource" not in message]  # those are provoked
        chromium.get("about:blank")
    assert mistakes == []


def text(driver: webdriver.Chrome, name: str) -> str:
    return driver.find_element(By.ID, name).text


def fill(driver: webdriver.Chrome, name: str, value: str) -> None:
    field = driver.find_element(By.ID, name)
    field.clear()
    field.send_keys(value)


def click(driver: webdriver.Chrome, selector: str) -> None:
    driver.find_element(By.CSS_SELECTOR, selector).click()


def test_another_attribute_gets_another_variation(page: webdriver.Chrome) -> None:
    until(page, lambda: "variation 2 of Everyone" in text(page, "results"))
    fill(page, "attributes", "utm_medium=email")
    click(page, "#ask")
    until(page, lambda: "variation 1 of Email visitors" in text(page, "results"))
    assert 'Title = "From a letter"' in text(page, "results")
    click(page, "summary")
    assert '"utm_medium": "email"' in text(page, "request")
    assert '"moe_variation_id": "1"' in text(page, "answer")
    assert '--json \'{"identifiers"' in text(page, "curl")
    assert 'InSession(attributes={"utm_medium": "email"})' in text(page, "python")


def test_the_conditions_that_did_not_hold_are_named(page: webdriver.Chrome) -> None:
    Select(page.find_element(By.ID, "day")).select_by_visible_text("Monday")
    Select(page.find_element(By.ID, "hour")).select_by_visible_text("12")
    until(page, lambda: "day is Monday, not one of Sunday" in text(page, "results"))
    assert "hour is 12, not one of 22-03" in text(page, "results")
    fill(page, "keys", "night\nnowhere")
    click(page, "#ask")
    until(page, lambda: "unknown" in text(page, "results"))


def test_a_failure_that_is_armed_is_seen(page: webdriver.Chrome, app: sandbox.Sandbox) -> None:
    fill(page, "fail-status", "503")
    click(page, "#arm")
    until(page, lambda: "The next 1 requests are answered 503." in text(page, "armed"))
    click(page, "#ask")
    until(page, lambda: text(page, "outcome").startswith("503: Sandbox: "))
    assert "failed" in text(page, "results")
    fill(page, "fail-status", "")
    click(page, "#fail-drop")
    fill(page, "fail-times", "9")  # a browser tries a dropped request again by itself
    click(page, "#arm")
    until(page, lambda: "dropped" in text(page, "armed"))
    click(page, "#ask")
    until(page, lambda: text(page, "outcome").startswith("no answer"))
    app.fail(times=0)
    fill(page, "fail-status", "99")
    click(page, "#arm")
    until(page, lambda: "99 is less than the minimum of 400" in text(page, "armed"))


def test_a_rate_limit_that_is_set_is_kept(page: webdriver.Chrome) -> None:
    fill(page, "rate-limit", "0")
    click(page, "#limit button")
    until(page, lambda: "of 0 this minute" in text(page, "usage"))
    click(page, "#ask")
    until(page, lambda: text(page, "outcome").startswith("429"))


def test_an_event_is_seen_as_it_arrives_and_a_duplicate_is_counted(
    page: webdriver.Chrome, app: sandbox.Sandbox
) -> None:
    until(page, lambda: "variation 2" in text(page, "results"))
    click(page, "[aria-label='report banner as clicked']")
    until(page, lambda: text(page, "events-count") == "1 received, 0 duplicates")
    assert text(page, "events").split() == ["clicked", "user_8821", "Banner,", "2", "once"]
    (again,) = [one.body for one in app.requests if one.path == "/v1/experiences/events"]
    url = page.current_url + "v1/experiences/events"
    assert httpx.post(url, json=again, headers=HEADERS, auth=AUTH).status_code == 200
    until(page, lambda: text(page, "events-count") == "1 received, 1 duplicates")
    assert "2 times" in text(page, "events")
    click(page, "#forget")
    until(page, lambda: text(page, "events-count") == "0 received, 0 duplicates")


def test_experiences_are_edited_with_mistakes_at_their_line(page: webdriver.Chrome, app: sandbox.Sandbox) -> None:
    fill(page, "editor", EXPERIENCES.replace("name: Night\n", "nam: Night\n"))
    click(page, "#save")
    until(page, lambda: "'nam' is not a field: did you mean 'name'?" in text(page, "mistakes"))
    assert text(page, "saved") == "not saved"
    page.find_elements(By.CSS_SELECTOR, "#mistakes button")[-1].click()
    assert page.execute_script("return document.activeElement.id") == "editor"
    selected = "return document.activeElement.value.slice(editor.selectionStart, editor.selectionEnd)"
    assert page.execute_script(selected).strip() == "nam: Night"
    fill(page, "editor", EXPERIENCES.replace("key: night", "key: nightly"))
    click(page, "#save")
    until(page, lambda: "nightly" in text(page, "results"))
    assert app.keys == ["banner", "nightly"]
    assert text(page, "mistakes") == ""


def test_a_file_that_changes_is_shown(page: webdriver.Chrome, tmp_path: Path) -> None:
    write(tmp_path, EXPERIENCES.replace("value: Hello", "value: Good morning"))
    until(page, lambda: "Good morning" in text(page, "results"))
    assert "Good morning" in (page.find_element(By.ID, "editor").get_attribute("value") or "")


def test_the_keyboard_reaches_everything(page: webdriver.Chrome) -> None:
    until(page, lambda: "variation 2" in text(page, "results"))
    page.find_element(By.ID, "customer-id").click()
    seen: list[str] = []
    for _ in range(40):
        page.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(page.execute_script("const e = document.activeElement; return e.id || e.textContent || e.tagName"))
    reached = [
        "day",
        "hour",
        "keys",
        "attributes",
        "ask",
        "fail-status",
        "fail-drop",
        "arm",
        "rate-limit",
        "editor",
        "save",
    ]
    assert [name for name in reached if name not in seen] == []
    assert {"shown", "clicked", "Request and answer"} <= set(seen)


def test_everything_has_a_name_for_a_screen_reader(page: webdriver.Chrome) -> None:
    until(page, lambda: page.find_elements(By.TAG_NAME, "meter"))
    for element in page.find_elements(By.CSS_SELECTOR, "input, select, textarea, button, meter, section"):
        assert element.accessible_name, element.get_attribute("outerHTML")
    assert len(page.find_elements(By.CSS_SELECTOR, "[role=status], [role=alert]")) >= 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(scheme: str, page: webdriver.Chrome, tmp_path: Path) -> None:
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    until(page, lambda: "variation 2" in text(page, "results"))
    for selector in ("h1", "#usage", "#results td", "button.plain", "#ask"):
        assert contrast(page, selector) >= 4.5, selector  # WCAG 2.2, 1.4.3
    save_picture(page, "SANDBOX_PICTURES", tmp_path, f"sandbox-{scheme}")


def contrast(page: webdriver.Chrome, selector: str) -> float:
    """The contrast of an element's text with what lies behind it, as WCAG counts it."""
    script = """
        let element = document.querySelector(arguments[0]), text = getComputedStyle(element).color, behind;
        for (; element; element = element.parentElement) {
            behind = getComputedStyle(element).backgroundColor;
            if (!behind.startsWith("rgba(0, 0, 0, 0")) break;
        }
        return [text, behind].map(color => color.match(/[0-9.]+/g).slice(0, 3).map(Number));
    """
    first, second = (luminance(color) for color in page.execute_script(script, selector))
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def luminance(color: list[float]) -> float:
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
