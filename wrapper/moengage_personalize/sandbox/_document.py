"""Holds a request against the vendored document, as the API does.

Law of this module: the document decides, not the generated models; where the API is known to accept more than its
document admits, that is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import ValidationError

from ._schema import checker, load

# Beside this module in a wheel, in spec/ in a checkout.
PLACES = (Path(__file__).parent, Path(__file__).parents[3] / "spec")
BODY = "#/paths/~1experiences~1{}/post/requestBody/content/application~1json/schema"
FETCH = BODY.format("fetch")
EVENTS = BODY.format("events")


@cache
def document() -> dict[str, Any]:
    """The vendored document, with the paths that it lacks from the companion."""
    vendored, companion = (
        load(next(place / name for place in PLACES if (place / name).is_file()))
        for name in ("personalize-experience.yaml", "companion.yaml")
    )
    return {**vendored, "paths": {**companion["paths"], **vendored["paths"]}}


def problem(body: object, schema: str = FETCH) -> str | None:
    """What the API says of a request that its document does not admit, None if it is admitted."""
    errors = (error for error in _misfits(schema)(body) if not _tolerated(error))
    error = next(errors, None)
    if error is None:
        return None
    field = ".".join(map(str, error.path)) or "payload"
    if error.validator == "enum":
        values = cast(list[str], error.validator_value)
        start = values.index("Sunday") if "Sunday" in values else 0  # the API counts weekdays from Sunday
        allowed = ", ".join(values[start:] + values[:start])
        return f"{field} - Enum doesnt allow value: {error.instance}, allowed values: [{allowed}]"
    return f"{field} - {error.validator} should be {error.validator_value}"


@cache
def _misfits(schema: str) -> Callable[[object], Iterator[ValidationError]]:
    # The document is the root of the schema, so that whatever a part of it refers to is found.
    return checker({**document(), "$ref": schema})


def _tolerated(error: ValidationError) -> bool:
    place = list(error.path)
    # Declared string, and an object in every published example of it.
    is_identifiers = place == ["identifiers", "user_identifiers"] and isinstance(error.instance, dict)
    # "If more than 25 are provided, the API returns the first 25 experiences."
    return is_identifiers or (place == ["experience_key"] and error.validator == "maxItems")
