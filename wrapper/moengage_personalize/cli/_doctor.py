"""doctor: what is wrong with a set-up, its cause first.

It looks at the settings, then goes the way of a request step by step, and stops where no further step can be made.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import click
import httpx
from attrs import define, field

from .. import ConfigurationError, DataCenter
from ._connection import API_KEY, BASE_URL, DATA_CENTER, WORKSPACE_ID, Connection, Found, connected, missing_settings
from ._probe import Answered, Broken, Probe
from ._terminal import escape, write

UNWELL = 1
CLOCK = 30.0  # seconds; events carry the time of this machine, and a Retry-After may be a date
TILE = "Settings > Account > APIs > Personalize"


@define
class Findings:
    """What was found, in order, and the first thing that is wrong."""

    lines: list[str] = field(factory=list[str])
    cause: Broken | None = None

    def well(self, name: str, text: str) -> None:
        self.lines.append(f"  ok    {name}: {escape(text)}")

    def broken(self, name: str, broken: Broken) -> None:
        self.lines.append(f"  FAIL  {name}: {escape(broken.cause)}")
        self.lines.append(f"        {escape(broken.advice)}")
        self.cause = self.cause or broken

    def report(self) -> str:
        """All of it, the cause in the first line."""
        first = "all is well" if self.cause is None else f"{escape(self.cause.cause)}: {escape(self.cause.advice)}"
        return "\n".join([first, *self.lines])


@click.command()
@connected
def doctor(connection: Connection) -> None:
    """Find what is wrong with the settings, the network, the key or the clock; the first line names the cause."""
    findings = Findings()
    examine(connection, findings)
    write(findings.report())
    if findings.cause is not None:
        click.get_current_context().exit(UNWELL)


def examine(connection: Connection, findings: Findings) -> None:
    """Look at everything that can be looked at."""
    found = connection.settings()
    base_url = _settings(connection, found, findings)
    if base_url is None:
        return
    credentials = f"{found[WORKSPACE_ID].value}:{found[API_KEY].value}".encode()
    headers: dict[str, str | bytes] = {
        "Authorization": f"Basic {b64encode(credentials).decode('ascii')}",
        "MOE-APPKEY": found[WORKSPACE_ID].value.encode(),  # or it would be written in latin-1
        "Accept": "application/json",
    }
    answered = _asked(Probe(base_url, connection.timeout), headers, findings)
    if answered is None:
        return
    _clock(answered, findings)
    try:
        _judge(answered)
    except Broken as error:
        lacks = answered.status == 404 and _has_v1(base_url, connection.timeout, headers)
        missing = Broken("/v1 is missing at the end of the base URL", f"ask {base_url}/v1")
        findings.broken("answer", missing if lacks else error)
        return
    findings.well("key", "accepted")
    _limit(answered, findings)
    try:
        keys = list(_keys(answered.body))
    except (ValueError, TypeError, KeyError, AttributeError):
        advice = "see whether the address is that of the API, or of something before it"
        findings.broken("answer", Broken("the answer is not what the API documents", advice))
        return
    findings.well("keys of the workspace", ", ".join(keys) or "none")


def _settings(connection: Connection, found: dict[str, Found], findings: Findings) -> str | None:
    """The base URL, if there is all that a request needs."""
    for name in (WORKSPACE_ID, API_KEY, DATA_CENTER, BASE_URL):
        if name in found:
            value = found[name].value
            value = "(not shown)" if name == API_KEY or "@" in value else value  # a URL may hold a password
            findings.well(name, f"{value}, from {found[name].source}")
    missing = missing_settings(found)
    if missing:
        advice = "export them, or take them from a snippet of the dashboard: moengage-personalize init"
        findings.broken("settings", Broken(f"missing: {', '.join(missing)}", advice))
        return None
    try:
        with httpx.Client(trust_env=False) as unused:  # the environment's proxies and certificates are probed below
            connection.client(unused).close()
        named = found.get(BASE_URL)
        base_url = DataCenter(found[DATA_CENTER].value).url if named is None else named.value.rstrip("/")
    except ConfigurationError as error:
        findings.broken("settings", Broken(str(error), f"see {WORKSPACE_ID}, {DATA_CENTER} and {BASE_URL}"))
        return None
    findings.well("address", base_url)
    return base_url


def _asked(probe: Probe, headers: dict[str, str | bytes], findings: Findings) -> Answered | None:
    try:
        answered, broken = probe.get("/experiences/metadata", headers), None
    except Broken as error:
        answered, broken = None, error
    for name, text in probe.found:
        findings.well(name, text)
    if broken is not None:
        findings.broken("network", broken)
    return answered


def _judge(answered: Answered) -> None:
    """Raise Broken for an answer that refuses."""
    status, said = answered.status, _words(answered.body)
    if status == 401:
        raise Broken(
            "the key is not accepted (401)",
            f"it must be the key of the Personalize tile ({TILE}), not a general one, as it is now: a regenerated key "
            "ends the old one at once; and the data center must be that of the workspace",
        )
    if status == 403:
        raise Broken(
            "the key may not use Personalize (403)",
            f"it is a key of the workspace without this right: take that of the Personalize tile ({TILE}); or "
            "a gateway refuses this machine",
        )
    if status == 400:
        raise Broken(
            f"the workspace is not known here (400{said})",
            f"see {WORKSPACE_ID}, and the data center: it is the number in the address of the dashboard, "
            "dashboard-NN.moengage.com",
        )
    if status == 404:
        raise Broken(
            f"there is no such API at this address (404{said})", "the base URL ends with /v1; see its host, too"
        )
    if status == 407:
        raise Broken(
            "the proxy wants a user name and a password (407)", "write them in the address: http://user:password@host"
        )
    if status == 429:
        wait = answered.headers.get("retry-after") or answered.headers.get("x-ratelimit-reset")
        when = f"Retry-After or reset says {wait}" if wait else "wait a minute"
        raise Broken(
            "the rate limit of the workspace is used up (429)", f"{when}; see what else asks for this workspace"
        )
    if 300 <= status < 400:
        raise Broken(
            f"the address leads elsewhere ({status})", f"to {answered.headers.get('location', 'nowhere')}: ask there"
        )
    if status >= 500:
        raise Broken(
            f"the API or a gateway before it failed ({status}{said})", "try again; see the status page of MoEngage"
        )
    if status != 200:
        raise Broken(
            f"the answer is not what the API documents ({status}{said})", "see whether the address is that of the API"
        )


def _has_v1(base_url: str, timeout: float, headers: dict[str, str | bytes]) -> bool:
    """Whether the API is below an address that lacks its version."""
    if base_url.endswith("/v1"):
        return False
    try:
        return Probe(f"{base_url}/v1", timeout).get("/experiences/metadata", headers).status != 404
    except Broken:
        return False


def _clock(answered: Answered, findings: Findings) -> None:
    try:
        off = answered.at - parsedate_to_datetime(answered.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        findings.well("clock", "the answer does not say its time")
        return
    if abs(off) <= CLOCK:
        findings.well("clock", "as that of the server")
        return
    cause = f"the clock of this machine is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} that of the server"
    findings.broken("clock", Broken(cause, "set it (NTP): events carry its time"))


def _limit(answered: Answered, findings: Findings) -> None:
    limit, left = (answered.headers.get(f"x-ratelimit-{name}") for name in ("limit", "remaining"))
    findings.well("rate limit", f"{left} of {limit} left" if left and limit else "the answer does not say what is left")


def _keys(body: bytes) -> Iterator[str]:
    listed: Any = json.loads(body)
    for one in listed["metadata"]["experiences"]:
        status = one["status"]
        yield one["experience_key"] if status == "Active" else f"{one['experience_key']} ({status})"


def _words(body: bytes) -> str:
    """What an answer says of itself."""
    try:
        said: Any = json.loads(body)
        words = [said[name] for name in ("title", "description") if isinstance(said.get(name), str)]
    except (ValueError, AttributeError):
        return ""
    return "".join(f": {word[:300]}" for word in words)
