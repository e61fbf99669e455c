"""The fixtures `personalize`, `async_personalize` and `personalize_sandbox` for pytest, which finds them by itself.

A module beside the package, because pytest imports the plugins of all that is installed when it starts: nothing of the
client is imported before a test asks for one of the fixtures, so that other tests do not pay for it, and a measurement
of coverage has begun. Not a module for anything else to import: the classes stand in moengage_personalize.testing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from moengage_personalize.testing import FakeAsyncPersonalize, FakePersonalize, SandboxPersonalize


@pytest.fixture
def personalize() -> Iterator[FakePersonalize]:
    """A real client over a stand-in within the process: no socket, no thread."""
    from moengage_personalize.testing import FakePersonalize

    with closing(FakePersonalize()) as fake:
        yield fake


@pytest.fixture
def async_personalize() -> FakeAsyncPersonalize:
    """As `personalize`, with an AsyncPersonalizeClient; it needs no plugin for async fixtures."""
    from moengage_personalize.testing import FakeAsyncPersonalize

    return FakeAsyncPersonalize()


@pytest.fixture
def personalize_sandbox() -> Iterator[SandboxPersonalize]:
    """As `personalize`, over a socket on 127.0.0.1 and the sandbox in a thread; needs the extra `sandbox`."""
    from moengage_personalize.testing import SandboxPersonalize

    with closing(SandboxPersonalize()) as fake:
        yield fake
