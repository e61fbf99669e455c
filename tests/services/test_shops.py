"""Complete small shop pages on real servers, from a visit to the events that arrive, with a sandbox for the API."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from pathlib import Path

import httpx
import pytest
from web_servers import serving

from moengage_personalize import sandbox

# A worker whose signal comes while it boots does not know of it, and gunicorn waits for it: 30 s, by default.
GUNICORN = "gunicorn --preload --workers=2 --graceful-timeout=5 --bind=127.0.0.1:{port} "
UVICORN = "uvicorn --port={port} "
SERVERS = {
    "fastapi, uvicorn": (UVICORN + "fastapi_shop:app", ["/", "/threaded"]),
    "django, uvicorn": (UVICORN + "django_shop:asgi", ["/", "/async"]),
    "django, gunicorn sync": (GUNICORN + "django_shop:wsgi", ["/", "/async"]),
    "django, gunicorn gthread": (GUNICORN + "--threads=4 django_shop:wsgi", ["/", "/async"]),
    "django, gunicorn gevent": (GUNICORN + "--worker-class=gevent django_shop:wsgi", ["/"]),
    "flask, gunicorn sync": (GUNICORN + "flask_shop:app", ["/"]),
    "flask, gunicorn gthread": (GUNICORN + "--threads=4 flask_shop:app", ["/"]),
    "flask, gunicorn gevent": (GUNICORN + "--worker-class=gevent flask_shop:app", ["/"]),
}
TITLES = {"user_8821": "Free shipping on orders over ₹999", "user_8822": "Members get 10% off today"}


def visit(address: str, path: str, customer: str | None) -> httpx.Response:
    """A page as this visitor sees it, on a connection of its own."""
    cookies = {} if customer is None else {"customer": customer}
    with httpx.Client(verify=False, cookies=cookies, timeout=30) as http:  # no certificates to read for this
        return http.get(address + path)


def title(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return re.findall("<h1>(.*)</h1>", page.text)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_a_visit_from_the_page_to_the_events(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each visitor sees their variation, or defaults; what they saw and clicked arrives, each once."""
    monkeypatch.setenv("CLICK_KEY", secrets.token_hex(32))
    command, paths = SERVERS[name]
    api = sandbox.app()
    with sandbox.serve(api) as url, serving(command, url, Path(__file__).parent) as address:
        api.fail(503, times=100)  # before there are events, which would meet it, too
        for path in paths:
            assert title(visit(address, path, "user_8821")) == "Welcome"
        api.fail(times=0)

        for path in paths:
            assert {customer: title(visit(address, path, customer)) for customer in TITLES} == TITLES
            assert title(visit(address, path, None)) == "Welcome"

        link = re.findall('href="(/click[^"]*)"', visit(address, "/?utm_medium=email", "user_8821").text)[0]
        for _ in range(2):
            answer = visit(address, link, None)
            assert (answer.status_code, answer.headers["location"]) == (303, "/offers")
        assert visit(address, link[:-1], None).status_code == 400

    events = Counter(
        (event["action"].rpartition("_")[2].lower(), event["customer_id"])
        for event in api.events
        if event["attributes"]["experience"].startswith("Homepage Banner")
    )
    pages = len(paths)
    assert events == {("shown", "user_8821"): pages + 1, ("shown", "user_8822"): pages, ("clicked", "user_8821"): 1}
