from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from faces import Face
from hypothesis import HealthCheck, settings

from moengage_personalize import sandbox

# Every server of the suite is on this machine; a proxy of the environment would be asked for it instead.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

# No times: the first example builds tables of Unicode for seconds, and a machine may have other things to do.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out the tests that are marked slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--quick") and item.get_closest_marker("slow"):
        pytest.skip("slow, left out; `./scripts/test --all` runs them, as CI does")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both clients; where the network is the point, the async one with a second event loop, too."""
    if "face" in metafunc.fixturenames:
        second = [pytest.param("uvloop", marks=pytest.mark.slow)]
        in_transport = metafunc.definition.path.parent.name == "transport"
        metafunc.parametrize("face", ["sync", "async", *(second if in_transport else [])], indirect=True)


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    face = Face(request.param)
    yield face
    face.finish()


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with sandbox.serve() as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKSPACE_ID", "PERSONALIZE_API_KEY", "DATA_CENTER", "BASE_URL"):
        monkeypatch.delenv(f"MOENGAGE_{name}", raising=False)
