"""The experiences that the sandbox serves, and who gets which.

That depends on the request and on nothing else, so that a test can rely on it.
"""

from __future__ import annotations

import hashlib
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
