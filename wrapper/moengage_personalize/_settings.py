"""Who asks, where and how long: checked once, when a client is made, and frozen.

Law of this module: what is wrong is said before anything is sent, and no value that may hold a key is repeated.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from attrs import Factory, field, frozen

from ._errors import ConfigurationError

# https://www.moengage.com/docs/api/experiences/fetch-experience: the server of the vendored document.
SERVER = "https://sdk-{dc}.moengage.com/v1"

WORKSPACE_ID = "MOENGAGE_WORKSPACE_ID"
API_KEY = "MOENGAGE_PERSONALIZE_API_KEY"
DATA_CENTER = "MOENGAGE_DATA_CENTER"
BASE_URL = "MOENGAGE_BASE_URL"
LONGEST = 30 * 86_400.0  # seconds; not every system can wait for much longer


class DataCenter(StrEnum):
    """The MoEngage data center that a workspace lives in; a workspace cannot move.

    Accepts 1, "1", "01", ... 6 and 101; anything else raises ConfigurationError.
    https://www.moengage.com/docs/api/experiences/fetch-experience (servers, variable dc)
    """

    DC_01 = "01"
    DC_02 = "02"
    DC_03 = "03"
    DC_04 = "04"
    DC_05 = "05"
    DC_06 = "06"
    DC_101 = "101"

    @classmethod
    def _missing_(cls, value: object) -> DataCenter:
        for data_center in cls:
            if data_center.value == str(value).zfill(2):
                return data_center
        accepted = f"{', '.join(cls)} (1, '1' and '01' are the same)"
        raise ConfigurationError(f"expected data_center to be one of {accepted}, got {value!r}")

    @property
    def url(self) -> str:
        """The base URL of the API in this data center."""
        return SERVER.format(dc=self.value)


@frozen
class Credentials:
    """A workspace id and the key of its Personalize tile, as HTTP Basic has them."""

    workspace_id: str
    api_key: str = field(repr=False)
    token: str = field(repr=False, init=False, default=Factory(lambda made: made._token(), takes_self=True))
    """What follows "Basic " (UTF-8: https://www.rfc-editor.org/rfc/rfc7617#section-2.1)."""

    def _token(self) -> str:
        return b64encode(f"{self.workspace_id}:{self.api_key}".encode()).decode("ascii")

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        return f"Basic {self.token}"


@frozen
class Settings:
    """What a client is made with."""

    credentials: Credentials
    base_url: str
    timeout: float
    """Seconds."""
    max_retries: int


def settings(
    *,
    workspace_id: str | None,
    api_key: str | None,
    data_center: DataCenter | str | int | None,
    base_url: str | None,
    timeout: float,
    max_retries: int,
) -> Settings:
    """Check what a client was given, and freeze it; raise ConfigurationError for what cannot work."""
    workspace = _text("workspace_id", workspace_id)
    if ":" in workspace:
        raise ConfigurationError("expected workspace_id without a colon, which Basic auth cannot carry, got one")
    credentials = Credentials(workspace, _text("api_key", api_key))
    return Settings(
        credentials=credentials,
        base_url=_origin(data_center, base_url),
        timeout=check_seconds("timeout", timeout, ConfigurationError),
        max_retries=check_whole("max_retries", max_retries, 0),
    )


def environment(
    environ: Mapping[str, str],
    *,
    workspace_id: str | None,
    api_key: str | None,
    data_center: DataCenter | str | int | None,
    base_url: str | None,
) -> dict[str, Any]:
    """The arguments of `settings` that an environment can give; one that is passed wins over the environment."""
    if data_center is None and base_url is None:
        data_center, base_url = environ.get(DATA_CENTER) or None, environ.get(BASE_URL) or None
        if data_center is None and base_url is None:
            raise ConfigurationError(f"expected {DATA_CENTER} or {BASE_URL} in the environment, got neither")
    found = {"data_center": data_center, "base_url": base_url}
    for argument, given, name in (("workspace_id", workspace_id, WORKSPACE_ID), ("api_key", api_key, API_KEY)):
        found[argument] = environ.get(name) or None if given is None else given
        if found[argument] is None:
            raise ConfigurationError(f"expected {name} in the environment, got nothing")
    return found


def check_seconds(name: str, given: object, error: type[Exception]) -> float:
    """A number of seconds that can pass, or `error`."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= LONGEST:
        raise error(f"expected {name} to be a number of seconds greater than 0, up to 30 days, got {given!r}")
    return float(given)


def check_whole(name: str, given: object, least: int) -> int:
    """A whole number that is large enough, or ConfigurationError."""
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ConfigurationError(f"expected {name} to be a whole number from {least}, got {given!r}")
    return given


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        came = "an empty one" if isinstance(value, str) else f"{type(value).__name__}"
        raise ConfigurationError(f"expected {name} to be a non-empty str, got {came}")
    if value != value.strip() or not value.isprintable():
        raise ConfigurationError(f"expected {name} without control characters or space around it, got one with some")
    return value


def _origin(data_center: DataCenter | str | int | None, base_url: str | None) -> str:
    if (data_center is None) == (base_url is None):
        came = "neither" if data_center is None else "both"
        raise ConfigurationError(f"expected either data_center or base_url, got {came}")
    return DataCenter(str(data_center)).url if base_url is None else _base_url(base_url)


def _base_url(url: object) -> str:
    wanted = "expected base_url to be an http(s) URL such as 'http://127.0.0.1:8025/v1'"
    if not isinstance(url, str):
        raise ConfigurationError(f"{wanted}, got {type(url).__name__}")
    if any(mark in url for mark in "@?#"):  # not repeated: it may hold a key
        raise ConfigurationError(f"{wanted}, got one with a user name, a query or a fragment")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{wanted}, got {url!r}")
    return url.rstrip("/")
