"""The experiences that a workspace has, and what is remembered of them.

Law of this module: told the time, no clock of its own; what is known stays known until something newer is.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from attrs import frozen

from . import _json
from ._errors import DeadlineExceeded, InvalidRequestError, MalformedResponse, PersonalizeError
from ._forked import anew_in_child
from ._question import is_iterable

# Case-sensitive; another spelling is no error to the API, it finds nothing.
# https://www.moengage.com/docs/api/experiences/fetch-experience-metadata (query, status)
STATUSES = ("Active", "Paused", "Scheduled")
RETRY_AFTER = 60.0  # seconds


@frozen
class ExperienceMetadata:
    """One server-side experience of the workspace; status is "Active", "Paused", "Scheduled", or what else there is."""

    key: str
    name: str
    status: str


def statuses(given: object) -> tuple[str, ...]:
    """Check the statuses that are asked for; none for all."""
    if given is None:
        return ()
    asked = list(given) if is_iterable(given) and not isinstance(given, str) else [given]
    for status in asked:
        if status not in STATUSES:
            raise InvalidRequestError(f"expected status to be of {', '.join(STATUSES)}, got {status!r}")
    if not asked:
        raise InvalidRequestError("expected at least one status, or None for all, got none")
    return tuple(dict.fromkeys(str(status) for status in asked))


def listed(body: object) -> list[ExperienceMetadata]:
    """The experiences of an answer; an entry that is malformed costs itself alone."""
    metadata = body.get("metadata") if _json.is_object(body) else None
    entries = metadata.get("experiences") if _json.is_object(metadata) else None
    if not _json.is_list(entries):
        raise MalformedResponse("expected a list of experiences, got other JSON", status=200)
    return [found for entry in entries if (found := _one(entry)) is not None]


def _one(entry: object) -> ExperienceMetadata | None:
    given = entry if _json.is_object(entry) else {}
    key, name, status = (given.get(name) for name in ("experience_key", "experience_name", "status"))
    if not isinstance(key, str) or not key:
        return None
    return ExperienceMetadata(key, name if isinstance(name, str) else "", status if isinstance(status, str) else "")


class KnownKeys:
    """The experience keys of the workspace, as they were last heard of; shared by threads."""

    def __init__(self) -> None:
        self.keys: frozenset[str] = frozenset()
        self.heard = False
        """Whether the API has ever said which there are."""
        self._at = self._tried = 0.0
        self._warned: set[str] = set()
        self.anew()
        anew_in_child(self)

    def anew(self) -> None:
        """In a forked child, too."""
        self.asking = Lock()
        """Held by the thread that asks."""
        self._lock = Lock()

    def fresh(self, now: float, max_age: float) -> bool:
        """Whether nobody needs to ask: heard of lately, or asked lately in vain."""
        return self.heard and (now - self._at < max_age or now - self._tried < min(max_age, RETRY_AFTER))

    def learn(self, outcome: list[ExperienceMetadata] | PersonalizeError, now: float) -> None:
        """Remember the keys of an answer; keep the older ones where none came, and raise where there are none."""
        self._tried = now
        if not isinstance(outcome, PersonalizeError):
            self.keys = frozenset(one.key for one in outcome)
            self._at, self.heard = now, True
        elif not self.heard:
            raise outcome

    def found(self, timeout: float) -> frozenset[str]:
        """The keys, or DeadlineExceeded where none were heard of within so many seconds."""
        if not self.heard:
            raise DeadlineExceeded(f"expected the known keys within {timeout:g} s, got none", timeout=timeout)
        return self.keys

    def typos(self, keys: Iterable[str]) -> list[str]:
        """Of these keys those that the workspace does not know, each only the first time."""
        if not self.heard:
            return []
        with self._lock:
            found = [key for key in keys if key not in self.keys and key not in self._warned]
            self._warned.update(found)
        return found
