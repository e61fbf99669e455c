"""The experiences that the sandbox serves: read from YAML, checked, and matched against a request.

Law of this module: who gets what depends on the request and on nothing else, so that a test can rely on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import frozen
from ruamel.yaml.error import YAMLError

from .._errors import ConfigurationError
from ._schema import checker, load

DEFAULT = Path(__file__).with_name("experiences.yaml")

_TEXT = {"type": "string", "minLength": 1}
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_HOUR = "([01]?[0-9]|2[0-3])"
_HOURS = {"type": ["integer", "string"], "minimum": 0, "maximum": 23, "pattern": f"^{_HOUR}(-{_HOUR})?$"}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _some(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


_VARIABLE = _closed(["value"], value={}, data_type=_TEXT)
_VARIATION = _closed(
    ["id", "payload"],
    id=_TEXT,
    weight={"type": "number", "exclusiveMinimum": 0},
    payload={"type": "object", "additionalProperties": _VARIABLE},
)
_WHEN = _closed(
    [], customer_id=_some(_TEXT), day=_some({"enum": _DAYS}), hour=_some(_HOURS), attributes={"type": "object"}
)
_AUDIENCE = _closed(["id", "name", "variations"], id=_TEXT, name=_TEXT, when=_WHEN, variations=_some(_VARIATION))
_EXPERIENCE = _closed(
    ["key", "name", "audiences"],
    key=_TEXT,
    name=_TEXT,
    campaign=_TEXT,
    status={"enum": ["Active", "Paused", "Scheduled"]},
    audiences=_some(_AUDIENCE),
)
SCHEMA = _closed(["experiences"], experiences={"type": "array", "items": _EXPERIENCE})


@frozen
class Variation:
    id: str
    payload: Mapping[str, Any]
    weight: float = 1.0


@frozen
class When:
    """Rules that must all hold; one that is not given always does."""

    customer_id: Sequence[str] = ()
    day: Sequence[str] = ()
    hour: Sequence[int | str] = ()
    attributes: Mapping[str, Any] = MappingProxyType({})

    def holds(self, request: Mapping[str, Any], customer_id: str) -> bool:
        """Whether a request body meets every rule."""
        return (
            (not self.customer_id or customer_id in self.customer_id)
            and (not self.day or request.get("DAY_OF_THE_WEEK") in self.day)
            and (not self.hour or request.get("TIME_OF_THE_DAY") in set(self._hours()))
            and all(
                name in request and request[name] in (wanted if isinstance(wanted, list) else [wanted])
                for name, wanted in self.attributes.items()
            )
        )

    def _hours(self) -> Iterator[str]:
        for given in self.hour:
            first, _, last = str(given).partition("-")
            hour, end = int(first), int(last or first)
            yield f"{end:02d}"
            while hour != end:  # on past midnight where the range says so: 22-03
                yield f"{hour:02d}"
                hour = (hour + 1) % 24


@frozen
class Audience:
    id: str
    name: str
    variations: list[Variation]
    when: When = When()

    def variation(self, key: str, customer_id: str) -> Variation:
        """The variation of one customer: by weight over all of them, and always the same for each."""
        digest = hashlib.sha256(f"{key}\n{customer_id}".encode(errors="surrogatepass")).digest()
        point = int.from_bytes(digest[:8]) / 2**64 * sum(variation.weight for variation in self.variations)
        for variation in self.variations:
            point -= variation.weight
            if point < 0:
                return variation
        return self.variations[-1]


@frozen
class Experience:
    key: str
    name: str
    audiences: list[Audience]
    status: str = "Active"
    campaign: str = ""

    def serve(self, request: Mapping[str, Any], customer_id: str) -> dict[str, Any] | None:
        """What this request gets, as the API writes it, or None: the first audience that matches decides."""
        audience = next((audience for audience in self.audiences if audience.when.holds(request, customer_id)), None)
        if self.status != "Active" or audience is None:
            return None
        variation = audience.variation(self.key, customer_id)
        campaign = self.campaign or hashlib.sha256(self.key.encode()).hexdigest()[:24]
        context = {
            "cid": f"{campaign}_F_T_WP_AB_{variation.id}_P_0_AU_{audience.id}",
            "experience": self.name,
            "moe_locale_id": "0",
            "moe_variation_id": variation.id,
            "audience_name": audience.name,
            "audience_id": audience.id,
            "type": "Web Personalization",
            "experience_type": "API based Experience",
        }
        return {"payload": variation.payload, "experience_context": context}


def read(path: Path) -> tuple[Experience, ...]:
    """The experiences of a YAML file; raise ConfigurationError that names the place of what is wrong."""
    try:
        given: Any = load(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigurationError(f"expected a readable YAML file of experiences, got {path}: {error}") from error
    misfit = next(checker(SCHEMA)(given), None)
    if misfit is not None:
        raise ConfigurationError(f"expected experiences in {path}, got at {misfit.json_path}: {misfit.message}")
    return tuple(_experience(one) for one in given["experiences"])


def _experience(given: dict[str, Any]) -> Experience:
    audiences: Any = [_audience(one) for one in given["audiences"]]
    return Experience(**(given | {"audiences": audiences}))


def _audience(given: dict[str, Any]) -> Audience:
    variations = [Variation(**one) for one in given["variations"]]
    parts: Any = {"variations": variations, "when": When(**given.get("when", {}))}
    return Audience(**(given | parts))
