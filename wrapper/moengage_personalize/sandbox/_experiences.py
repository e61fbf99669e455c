"""The experiences that the sandbox serves, and who gets which.

That depends on the request and on nothing else, so that a test can rely on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import frozen


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
        return next(self.misses(request, customer_id), None) is None

    def misses(self, request: Mapping[str, Any], customer_id: str) -> Iterator[str]:
        """The rules that a request body does not meet, in words."""
        if self.customer_id and customer_id not in self.customer_id:
            yield f"customer_id is {customer_id!r}, not one of {', '.join(self.customer_id)}"
        day, hour = request.get("DAY_OF_THE_WEEK"), request.get("TIME_OF_THE_DAY")
        if self.day and day not in self.day:
            yield f"day is {day or 'not given'}, not one of {', '.join(self.day)}"
        if self.hour and hour not in set(self._hours()):
            yield f"hour is {hour or 'not given'}, not one of {', '.join(map(str, self.hour))}"
        for name, wanted in self.attributes.items():
            if name not in request:
                yield f"{name} is not given, but wanted: {json.dumps(wanted, ensure_ascii=False)}"
            elif request[name] not in (wanted if isinstance(wanted, list) else [wanted]):
                shown = json.dumps(request[name], ensure_ascii=False)
                yield f"{name} is {shown}, but wanted: {json.dumps(wanted, ensure_ascii=False)}"

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
