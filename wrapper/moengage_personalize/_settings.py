"""Who asks, where and how long: checked once, when a client is made, and frozen.

What is wrong is said before anything is sent, and no value that may hold a key is repeated.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import Factory, field, frozen
from msgspec import Struct

from ._arguments import check_seconds, check_text, check_whole, plain_number, plain_text, short_repr, type_name
from ._errors import ConfigurationError

# https://www.moengage.com/docs/api/experiences/fetch-experience: the server of the vendored document.
SERVER = "https://sdk-{dc}.moengage.com/v1"

WORKSPACE_ID = "MOENGAGE_WORKSPACE_ID"
API_KEY = "MOENGAGE_PERSONALIZE_API_KEY"
DATA_CENTER = "MOENGAGE_DATA_CENTER"
BASE_URL = "MOENGAGE_BASE_URL"
# https://www.rfc-editor.org/rfc/rfc1123#section-2.1, and the underscore, which is used all the same.
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


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
        text = plain_text(value) or short_repr(value)
        for data_center in cls:
            if data_center.value == text.zfill(2):
                return data_center
        accepted = f"{', '.join(cls)} (1, '1' and '01' are the same)"
        raise ConfigurationError(f"expected data_center to be one of {accepted}, got {short_repr(value)}")

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


class Settings(Struct, frozen=True):
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
    missing: list[str] = []

    def found(argument: str | None, name: str) -> str | None:
        value = environ.get(name) or None if argument is None else argument
        if value is None:
            missing.append(name)
        return value

    arguments: dict[str, Any] = {
        "workspace_id": found(workspace_id, WORKSPACE_ID),
        "api_key": found(api_key, API_KEY),
        "data_center": data_center,
        "base_url": base_url,
    }
    if data_center is None and base_url is None:
        arguments["data_center"] = environ.get(DATA_CENTER) or None
        arguments["base_url"] = environ.get(BASE_URL) or None
        if arguments["data_center"] is None and arguments["base_url"] is None:
            missing.append(f"{DATA_CENTER} or {BASE_URL}")
    if missing:
        raise ConfigurationError(f"expected {', '.join(missing)} in the environment, got nothing")
    return arguments


def _text(name: str, value: object) -> str:
    text = check_text(name, value, ConfigurationError)
    if text != text.strip() or not text.isprintable():
        raise ConfigurationError(f"expected {name} without control characters or space around it, got one with some")
    return text


def _origin(data_center: DataCenter | str | int | None, base_url: str | None) -> str:
    if (data_center is None) == (base_url is None):
        found = "neither" if data_center is None else "both"
        raise ConfigurationError(f"expected either data_center or base_url, got {found}")
    return _data_center(data_center).url if base_url is None else _base_url(base_url)


def _data_center(value: object) -> DataCenter:
    number = plain_number(value)
    text = plain_text(value) if number is None else short_repr(number)
    return DataCenter(type_name(value) if text is None else text)


def _base_url(value: object) -> str:
    wanted = "expected base_url to be an http(s) URL such as 'http://127.0.0.1:8025/v1'"
    url = plain_text(value)
    if url is None:
        raise ConfigurationError(f"{wanted}, got {type_name(value)}")
    if any(mark in url for mark in "@?#"):  # not repeated: it may hold a key
        raise ConfigurationError(f"{wanted}, got one with a user name, a query or a fragment")
    if "{" in url:
        raise ConfigurationError(f"{wanted}, got one with a placeholder that nobody has filled in: {url!r}")
    if not url.isprintable() or " " in url or not _reachable(url):
        raise ConfigurationError(f"{wanted}, got {url!r}")
    return url.rstrip("/")


def _reachable(url: str) -> bool:
    """Whether there can be a server at this URL: a name that DNS can hold, or an address, and a port."""
    try:
        port, parsed = urlsplit(url).port, httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return False
    host = parsed.raw_host.decode("ascii")
    try:
        ip_address(host)
    except ValueError:
        if len(host) > 253 or not HOST_NAME.fullmatch(host):
            return False
    return parsed.scheme in ("http", "https") and port != 0
