"""JSON as RFC 8259 has it: UTF-8, finite numbers, no lone surrogates.

Law of this module: whatever is wrong ends as a ValueError that says why and holds nothing of the text, because the
errors of the standard library keep all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

import msgspec

from ._errors import InvalidRequestError

# Reading as many as fit into 4 MB costs half a second and a hundred times the memory.
TOKENS = 100_000

_strict = msgspec.json.Decoder().decode
_written = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def tokens(text: bytes) -> int:
    """How many values JSON text holds at most, unread: a comma or a bracket each, but none within strings."""
    marks = len(text)
    if marks > TOKENS:
        marks = _marks(text)
    if marks <= TOKENS:
        return marks
    quotes = text.count(b'"')
    if quotes > 4 * TOKENS:  # a name and a text for each value have four
        return quotes // 4
    # By quick steps over the whole, because a regular expression would hold up every other thread for 0.2 s.
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return _marks(b"".join(unescaped.split(b'"')[::2]))


def _marks(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def loads(text: str | bytes) -> Any:
    """Read JSON text; NaN, Infinity and surrogates pass, so that one value cannot cost a whole answer (see `dumps`)."""
    return read(text)[0]


def read(text: str | bytes) -> tuple[Any, bool]:
    """As `loads`; and whether nothing had to pass, so that the value needs no `dumps` to be known as JSON."""
    try:
        return _strict(text), True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # not within, because what is raised next would hold this error, and this the text
    return _lenient(text), False


def _lenient(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
    except UnicodeDecodeError as error:
        reason = f"not {error.encoding} at byte {error.start}"
    except RecursionError:
        reason = "nested too deep"
    except ValueError:
        reason = "a number of too many digits"
    raise ValueError(reason)


def dumps(value: object) -> bytes:
    """Write JSON text, and thereby check that a value is JSON."""
    try:
        return _written(value).encode()
    except UnicodeEncodeError:
        reason = "a lone surrogate"
    except (TypeError, ValueError) as error:  # their words name types, and NaN or Infinity, but no other value
        reason = str(error)
    except RecursionError:
        reason = "nested too deep"
    raise ValueError(reason)


def read_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Read a JSON object that came back to us, strictly; raise InvalidRequestError for anything else."""
    try:
        fields, came = loads(text), "another JSON value"
        dumps(fields)
    except (TypeError, ValueError) as error:
        fields, came = None, str(error)
    if not is_object(fields):
        raise InvalidRequestError(f"expected {what} as a JSON object, got {came}")
    return fields


def written(value: object, what: str) -> bytes:
    """As `dumps`; raise InvalidRequestError for what is not JSON."""
    try:
        return dumps(value)
    except ValueError as error:
        reason = str(error)
    raise InvalidRequestError(f"expected {what} to be JSON, got {reason}")


def culprit(fields: Mapping[str, object]) -> tuple[str, str]:
    """Which of the fields that `dumps` refused together is at fault, and why."""
    reasons = ((name, _reason({name: value})) for name, value in fields.items())
    return next((name, reason) for name, reason in reasons if reason is not None)


def is_json(value: object) -> bool:
    """Whether `dumps` would take it."""
    return _reason(value) is None


def _reason(value: object) -> str | None:
    try:
        dumps(value)
    except ValueError as error:
        return str(error)
    return None


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value that was read is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value that was read is a JSON list."""
    return isinstance(value, list)
