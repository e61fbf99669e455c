"""Which client is measured with which payload, how many calls at once, plain or TLS."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from attrs import frozen

from . import others, ours
from .canned import MANY, ONE, SPLIT, Payload
from .others import HTTPX, Awaited, Blocking

PLAIN, TLS, FAR = "plain", "TLS", "20 ms away"
FACES = ("sync", "async")
OURS = set(ours.ENGINES)
Wanted = set[str] | None  # None: all there are


@frozen
class Setting:
    """What all clients that are compared have in common."""

    face: str
    """sync or async."""
    payload: Payload
    width: int
    """Threads or tasks that call at once, by one client."""
    link: str = PLAIN

    def __str__(self) -> str:
        at_once = {"sync": "thread", "async": "task"}[self.face] + ("s" if self.width > 1 else "")
        link = "" if self.link == PLAIN else f", {self.link}"
        return f"{self.face}, {self.payload.name}, {self.width} {at_once}{link}"


@frozen
class Case:
    """One client in one setting."""

    client: str
    setting: Setting


def clients() -> dict[str, dict[str, Blocking | Awaited | None]]:
    """Of each face: by name, how it is made; None where something is not installed."""
    blocking = {name: made if find_spec(needs) else None for name, (needs, made) in others.BLOCKING.items()}
    awaited = {name: made if find_spec(needs) else None for name, (needs, made) in others.AWAITED.items()}
    return {"sync": {**blocking, **ours.blocking()}, "async": {**awaited, **ours.awaited()}}


def chosen(quick: bool) -> Iterator[Case]:
    """All cases, or those that the goals need; clients that are not installed too."""
    for setting, wanted in (_quick() if quick else _full()).items():
        for client in clients()[setting.face]:
            if wanted is None or client in wanted:
                yield Case(client, setting)


def _split() -> dict[Setting, Wanted]:
    settings = [Setting(face, payload, 1, link) for face in FACES for payload in (MANY, SPLIT) for link in (PLAIN, FAR)]
    return dict.fromkeys(settings, OURS)


def _full() -> dict[Setting, Wanted]:
    alone = [Setting(face, payload, 1, link) for face in FACES for payload in (ONE, MANY) for link in (PLAIN, TLS)]
    threads = [Setting("sync", ONE, width) for width in (4, 16, 32)]
    tasks = [Setting("async", ONE, width) for width in (16, 64, 256)]
    secured = [Setting(face, ONE, 16, TLS) for face in FACES]
    return {**_split(), **dict.fromkeys([*alone, *threads, *tasks, *secured])}


def _quick() -> dict[Setting, Wanted]:
    split = {setting: {ours.DEFAULT} for setting in _split() if setting.face == "sync"}
    several = {HTTPX, others.GENERATED, *OURS}
    return {
        **split,
        Setting("sync", ONE, 1): None,
        Setting("sync", MANY, 1): several,
        Setting("sync", ONE, 16): {HTTPX, *OURS},
        Setting("async", ONE, 16): several,
        Setting("async", ONE, 64): several | {"aiohttp by hand", "pyreqwest by hand"},
    }
