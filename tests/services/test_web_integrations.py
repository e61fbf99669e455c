"""What the integrations of web frameworks share: their extras, and impressions that cost no page."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib import import_module

import pytest

from moengage_personalize.integrations._visits import Visit
from moengage_personalize.testing import FakePersonalize


@pytest.mark.parametrize("name", ["FastAPI", "Django", "Flask"])
def test_without_the_extra_the_import_says_which(name: str) -> None:
    extra = name.lower()
    code = f"""if True:
        import sys
        sys.modules["{extra}"] = None
        try:
            import moengage_personalize.integrations.{extra}
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = f'expected the extra of {name} (pip install "moengage-personalize[{extra}]"), got no {extra}'
    assert done.stdout.startswith(said)


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
