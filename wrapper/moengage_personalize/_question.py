"""What a caller asks in one fetch, checked before anything is made of it.

Law of this module: an error names the argument and the type that came; experience keys are repeated, what tells of the
visitor never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeGuard, cast

from attrs import field, frozen

from ._errors import InvalidRequestError
from ._session import InSession, is_mapping, text

# The API leaves out the rest in silence.
# https://www.moengage.com/docs/api/experiences/fetch-experience (request body, experience_key)
KEYS_PER_REQUEST = 25
NOT_GIVEN = InSession()


@frozen
class Question:
    """One fetch: which keys, None for all, for whom, and on which visit."""

    keys: tuple[str, ...] | None
    customer_id: str | None = field(repr=False)
    user_identifiers: Mapping[str, Any] | str | None = field(repr=False)
    in_session: InSession

    def chunks(self) -> Iterator[tuple[str, ...] | None]:
        """The keys of each request: at most 25; one request without any for all, none at all for no key."""
        if self.keys is None:
            yield None
            return
        rest = iter(self.keys)
        while chunk := tuple(islice(rest, KEYS_PER_REQUEST)):
            yield chunk

    def secrets(self) -> Iterator[str]:
        """What tells of the visitor, and no error text may repeat."""
        yield from _texts([self.customer_id, self.user_identifiers, self.in_session.ip_address])


def question(keys: object, customer_id: object, user_identifiers: object, in_session: object) -> Question:
    """Check what a caller asks; raise InvalidRequestError for what cannot be asked."""
    session = NOT_GIVEN if in_session is None else in_session
    if not isinstance(session, InSession):
        raise InvalidRequestError(f"expected in_session to be an InSession, got {type(session).__name__}")
    if not is_mapping(user_identifiers):
        user_identifiers = text("user_identifiers", user_identifiers, "a mapping or a non-empty str")
    asked = None if keys is None else experience_keys(keys)
    return Question(asked, text("customer_id", customer_id), user_identifiers or None, session)


def experience_keys(keys: object) -> tuple[str, ...]:
    """The experience keys that a caller gives, each once; raise InvalidRequestError for what is none."""
    if isinstance(keys, bytes) or is_mapping(keys) or not is_iterable(keys):
        raise InvalidRequestError(f"expected experience keys as a str or an iterable of str, got {type(keys).__name__}")
    once: dict[str, None] = {}
    for key in [keys] if isinstance(keys, str) else keys:
        if not isinstance(key, str) or not key.strip():
            raise InvalidRequestError(f"expected an experience key to be a non-empty str, got {key!r}")
        once[str.__str__(key)] = None  # not str(key), which of a member of an Enum would be the name
    return tuple(once)


def is_iterable(value: object) -> TypeGuard[Iterable[object]]:
    """Whether a caller gave something to go through, whatever is in it."""
    return isinstance(value, Iterable)


def _texts(value: object) -> Iterator[str]:
    if is_mapping(value):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in cast(Sequence[object], value):
            yield from _texts(inner)
    elif value is not None and value != "":
        yield str(value)
