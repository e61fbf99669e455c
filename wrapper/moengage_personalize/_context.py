"""The `experience_context` of one experience, and how it travels through a page and back.

Law of this module: every field stays as it came, unknown ones too, and what comes back from a visitor is not believed
before it is checked.
"""

from __future__ import annotations

import hmac
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from . import _json
from ._errors import InvalidRequestError
from ._redact import redact_traceback

PURPOSE = b"moengage-personalize context 1"  # so that a signature made for anything else is none here
SIGNATURE = 16  # bytes; half of SHA-256, as https://www.rfc-editor.org/rfc/rfc2104#section-5 allows
TOKEN_LENGTH = 8192  # characters; a context is a few hundred bytes
UNPACKED = 65536  # bytes


class Fields(Mapping[str, Any]):
    """A mapping that cannot be changed."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class ExperienceContext(Fields):
    """The `experience_context` of one experience: every field as it came, unknown ones too.

    Report it back unchanged when the experience is seen or clicked; without it the dashboard shows zero.
    https://www.moengage.com/docs/api/experiences/fetch-experience (response, experience_context)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"ExperienceContext({self._fields!r})"

    def attributes(self) -> dict[str, Any]:
        """A copy of the fields, as an event's `attributes` take them."""
        return dict(_json.loads(_json.written(self._fields, "the context")))

    def to_json(self) -> str:
        """The context as JSON text, for a session or a page; `from_json` brings it back unchanged."""
        return _json.written(self._fields, "the context").decode()

    @classmethod
    @redact_traceback
    def from_json(cls, text: str | bytes) -> ExperienceContext:
        """Bring a context back from what `to_json` gave; raise InvalidRequestError for anything but a JSON object."""
        return cls(_json.read_object(text, "a context"))

    @redact_traceback
    def to_token(self, key: str | bytes | None = None) -> str:
        """The context as short text that a link, a data attribute or a cookie takes as it is: letters, digits, - and _.

        Args:
            key: a secret of the service, at least 16 bytes, so that a visitor cannot invent clicks; it signs, it does
                not encrypt. Without one the token is only proof against accidents.

        Raises:
            InvalidRequestError: a key that is too short, or a context longer than a token may be.
        """
        packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        text = _json.written(self._fields, "the context")
        if len(text) > UNPACKED:
            raise InvalidRequestError(f"expected a context of at most {UNPACKED:,} bytes, got {len(text):,}")
        packed = packer.compress(text) + packer.flush()
        token = urlsafe_b64encode(_signature(packed, key) + packed).rstrip(b"=").decode("ascii")
        if len(token) > TOKEN_LENGTH:
            raise InvalidRequestError(f"expected a token of at most {TOKEN_LENGTH:,} characters, got {len(token):,}")
        return token

    @classmethod
    @redact_traceback
    def from_token(cls, token: str, key: str | bytes | None = None) -> ExperienceContext:
        """Bring a context back from what `to_token` gave with the same key.

        Args:
            token: at most 8,192 characters.
            key: the one that it was signed with; None for a token without one.

        Raises:
            InvalidRequestError: a token that was changed, cut, signed with another key, or is none.
        """
        wrong = InvalidRequestError("expected a token that to_token gave with the same key, got another text")
        try:
            if len(token) > TOKEN_LENGTH:
                raise wrong
            signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (TypeError, ValueError):
            raise wrong from None
        packed = signed[SIGNATURE:]
        # Decoding skips what is not of the alphabet, so that many texts would stand for the same bytes.
        canonical = urlsafe_b64encode(signed).rstrip(b"=").decode("ascii") == token
        if not canonical or not hmac.compare_digest(signed[:SIGNATURE], _signature(packed, key)):
            raise wrong
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return cls(_json.read_object(unpacker.decompress(packed, UNPACKED), "a context"))
        except (zlib.error, InvalidRequestError):
            raise wrong from None


def _signature(packed: bytes, key: object) -> bytes:
    secret = b"" if key is None else key.encode() if isinstance(key, str) else key
    if not isinstance(secret, bytes) or (key is not None and len(secret) < SIGNATURE):
        raise InvalidRequestError(f"expected a key of at least {SIGNATURE} bytes, got a shorter one or another type")
    return hmac.digest(secret, PURPOSE + packed, "sha256")[:SIGNATURE]
