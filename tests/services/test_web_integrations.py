"""What the integrations of web frameworks share: their extras, and impressions that cost no page."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib import import_module

import pytest

from moengage_personalize.integrations._visits import Visit
from moengage_personalize.testing import FakePersonalize


def test_without_its_extra_the_import_of_each_says_which() -> None:
    code = """if True:
        import sys
        from importlib import import_module
        for extra in ("fastapi", "django", "flask"):
            sys.modules[extra] = None
            try:
                import_module(f"moengage_personalize.integrations.{extra}")
            except ImportError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        'expected the extra of FastAPI (pip install "moengage-personalize[fastapi]"), got no fastapi',
        'expected the extra of Django (pip install "moengage-personalize[django]"), got no django.template',
        'expected the extra of Flask (pip install "moengage-personalize[flask]"), got no flask',
    ]


@pytest.mark.parametrize("name", ["fastapi", "django", "flask"])
def test_the_door_of_a_module_is_sorted_and_there(name: str) -> None:
    module = import_module(f"moengage_personalize.integrations.{name}")
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, one) for one in module.__all__)


def test_an_impression_that_cannot_be_made_is_logged(
    personalize: FakePersonalize, caplog: pytest.LogCaptureFixture
) -> None:
    personalize.serve("banner", {})
    page = personalize.client.page(customer_id="canary")
    page.experience("banner")
    with caplog.at_level(logging.WARNING):
        Visit(page, ["canary"]).report_shown(personalize.client.reporter())
    assert personalize.events == []
    assert "no impression of banner: expected customer_id to be" in caplog.text
    assert "canary" not in caplog.text + repr(Visit(page, "canary"))
