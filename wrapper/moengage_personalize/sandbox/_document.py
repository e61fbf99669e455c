"""Holds a request against the API's document, as the API does.

The document is the one that the generated client was generated from, with every correction laid over it; it stands
beside that client and is read here as data, so that no code of the client decides. Where the API is known to accept
more than even the corrected document admits, that is written here.
"""

from __future__ import annotations

import json
from functools import cache, partial
from importlib.resources import files
from typing import Any, cast

from jsonschema import ValidationError

from ._schema import Checker


@cache
def document() -> dict[str, Any]:
    """The corrected document, from beside the generated client."""
    return cast(dict[str, Any], json.loads((files("moengage_personalize_api") / "openapi.json").read_text("utf-8")))


def _schema(operation: str) -> dict[str, Any]:
    # The document is the root of the schema, so that whatever a part of it refers to is found.
    body = f"#/paths/~1experiences~1{operation}/post/requestBody/content/application~1json/schema"
    return {**document(), "$ref": body}


FETCH, EVENTS = Checker(partial(_schema, "fetch")), Checker(partial(_schema, "events"))


def problem(body: object, checker: Checker = FETCH) -> str | None:
    """What the API says of a request that its document does not admit, None if it is admitted."""
    errors = (error for error in checker.misfits(body) if not _tolerated(error))
    error = next(errors, None)
    if error is None:
        return None
    if error.context:  # of several that it may be, the API names the one that its document has
        error = error.context[0]
    field = ".".join(map(str, error.absolute_path)) or "payload"
    if error.validator == "enum":
        values = cast(list[str], error.validator_value)
        start = values.index("Sunday") if "Sunday" in values else 0  # the API counts weekdays from Sunday
        allowed = ", ".join(values[start:] + values[:start])
        return f"{field} - Enum doesnt allow value: {error.instance}, allowed values: [{allowed}]"
    return f"{field} - {error.validator} should be {error.validator_value}"


def _tolerated(error: ValidationError) -> bool:
    # "If more than 25 are provided, the API returns the first 25 experiences."
    return list(error.path) == ["experience_key"] and error.validator == "maxItems"
