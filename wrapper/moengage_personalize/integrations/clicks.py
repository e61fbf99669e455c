"""Tokens for links and data attributes, out of which a click becomes an event that nobody can invent.

    signer = ClickSigner([os.environ["CLICK_KEY"]])
    token = signer.sign(banner.context, customer_id="user_8821", element="Shop Now")  # while the page renders
    reporter.put(signer.event(token))  # when a click brings the token back

A click comes from a browser, where anyone may write what they like. So the page carries all that the event needs, and
a key of the service has signed it: the context, the customer, the element, the platform and the uuid of the event. The
uuid is made with the token: a token that comes back twice makes one event twice, and the API counts it once. The time
of the event is that of the click. A token is signed, not encrypted: whoever sees it can read the customer id in it.

Needs the extra: pip install "moengage-personalize[clicks]".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

try:
    from itsdangerous import BadData, URLSafeTimedSerializer
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[clicks]"'
    raise ImportError(f"expected the extra of click tokens ({needed}), got no {missing.name}") from missing

from .. import _json, events
from .._arguments import check_seconds, plain_text, type_name
from .._errors import ConfigurationError, InvalidRequestError
from .._redact import redact_traceback
from ..events import ExperienceEvent, Platform

__all__ = ["ClickSigner"]

SALT = b"moengage_personalize.clicks"  # so that nothing else which the same key has signed is a token
MIN_KEY_BYTES = 32  # as many as SHA-256 has; https://www.rfc-editor.org/rfc/rfc2104#section-3
MIN_KEY_VALUES = 6  # different bytes; fewer are no accident, even among 32 digits
MAX_TOKEN = 8_192  # characters; common servers refuse a longer request line
CLOCK_SKEW = 60.0  # seconds that the host which signed may be ahead of the one that reads


class ClickSigner:
    """Signs what a click is to report, and makes the event of it. Made once a process, shared by threads and tasks.

    Args:
        keys: one key or more, the newest first: it signs, all of them are accepted. To change keys, put the new one in
            front, and take the old one out once `max_age` has passed. A key is str or bytes, at least 32 bytes that
            nobody can guess, such as `secrets.token_hex(32)`.
        max_age: seconds for which a token is accepted; up to 30 days.

    Raises:
        ConfigurationError: no key, a weak one, or a `max_age` that cannot be.
    """

    @redact_traceback
    def __init__(self, keys: Sequence[str | bytes], *, max_age: float = 86_400.0) -> None:
        self._max_age = check_seconds("max_age", max_age, ConfigurationError)
        self._serializer = URLSafeTimedSerializer(
            _checked_keys(keys)[::-1],  # itsdangerous signs with the last
            SALT,
            serializer=_JSON,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def __repr__(self) -> str:
        return f"ClickSigner(max_age={self._max_age:g})"

    @redact_traceback
    def sign(
        self,
        context: Mapping[str, Any],
        *,
        customer_id: str | int | UUID,
        element: str | None = None,
        platform: Platform = "web",
    ) -> str:
        """Make the token of one click: text of letters, digits, "-", "_" and ".", for a link or a data attribute.

        Args:
            context: the experience's `.context`, unchanged.
            customer_id: who is to click, by the id in MoEngage; it can be read in the token.
            element: which part of the experience, such as "Add to Cart".
            platform: "web", "android", "ios" or "tv", in any case.

        Raises:
            InvalidRequestError: what `events.clicked` refuses, or a token of more than 8,192 characters.
        """
        event = events.clicked(context, customer_id=customer_id, element=element, platform=platform)
        fields = [event.uuid, event.platform, event.customer_id, event.element, dict(event.context)]
        return _checked_length(str(self._serializer.dumps(fields)))

    @redact_traceback
    def event(self, token: str) -> ExperienceEvent:
        """Make the event of a click, now; of the same token always with the same uuid, so that it counts once.

        Raises:
            InvalidRequestError: no token of these keys, one that was changed or cut, or one that has expired.
        """
        text = plain_text(token)
        if text is None:
            raise InvalidRequestError(f"expected a token as str, got {type_name(token)}")
        uuid, platform, customer_id, element, context = self._read(_checked_length(text))
        return events.clicked(context, customer_id=customer_id, element=element, platform=platform, uuid=uuid)

    def _read(self, token: str) -> list[Any]:
        found: Any = None
        with suppress(BadData):  # and nothing raised in here, because that error holds what was signed
            found = self._serializer.loads(token, return_timestamp=True) if token.isascii() else None
        if found is None or not _json.is_list(found[0]) or len(found[0]) != 5:
            raise InvalidRequestError("expected a token that one of the keys has signed, got another text")
        age = int(time.time()) - found[1].timestamp()  # in whole seconds, as it was signed
        if not -CLOCK_SKEW <= age <= self._max_age:
            came = f"one of {age:,.0f} s" if age > 0 else "one of the future"
            raise InvalidRequestError(f"expected a token of at most {self._max_age:,.10g} s, got {came}")
        return found[0]


class _JSON:
    """JSON as the rest of this package reads and writes it."""

    @staticmethod
    def dumps(value: object) -> str:
        return _json.dumps(value).decode()

    loads = staticmethod(_json.loads)


def _checked_length(token: str) -> str:
    if len(token) > MAX_TOKEN:
        raise InvalidRequestError(f"expected a token of at most {MAX_TOKEN:,} characters, got {len(token):,}")
    return token


def _checked_keys(keys: Any) -> list[bytes]:
    if not issubclass(type(keys), list | tuple) or not keys:
        raise ConfigurationError(f"expected a list of at least one key, the newest first, got {type_name(keys)}")
    return [_checked_key(key) for key in keys]


def _checked_key(given: object) -> bytes:
    text = plain_text(given)
    key = given if type(given) is bytes else (text or "").encode(errors="replace")
    if len(key) < MIN_KEY_BYTES or len({*key}) < MIN_KEY_VALUES or key in (key + key)[1:-1]:
        wanted = f"expected a key of {MIN_KEY_BYTES} bytes or more that nobody can guess (secrets.token_hex(32))"
        came = type_name(given) if text is None and type(given) is not bytes else "a shorter or simpler one"
        raise ConfigurationError(f"{wanted}, got {came}")
    return key
