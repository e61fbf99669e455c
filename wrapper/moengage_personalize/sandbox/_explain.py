"""Why a request gets what it gets: what the API never says, and the first question of whoever looks at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ._answer import KEYS_PER_REQUEST
from ._experiences import Audience, Experience

SAMPLE = 1_000  # customers, over whom the shares of variations are counted

Experiences = tuple[Experience, ...]


def explained(experiences: Experiences, request: Mapping[str, Any], customer_id: str) -> list[dict[str, Any]]:
    """For each key that is asked for: whether it is served, by which audience, or why not."""
    known = {experience.key: experience for experience in experiences}
    asked: list[str] = request.get("experience_key") or list(known)
    found: list[dict[str, Any]] = []
    for number, key in enumerate(dict.fromkeys(asked)):
        if number >= KEYS_PER_REQUEST and "experience_key" in request:
            found.append({"key": key, "reason": f"beyond the first {KEYS_PER_REQUEST} keys", "audiences": []})
        elif key not in known:
            found.append({"key": key, "reason": "unknown", "audiences": []})
        else:
            found.append(_one(known[key], request, customer_id))
    return found


def _one(experience: Experience, request: Mapping[str, Any], customer_id: str) -> dict[str, Any]:
    audiences = [
        {"id": one.id, "name": one.name, "misses": list(one.when.misses(request, customer_id))}
        for one in experience.audiences
    ]
    served = experience.serve(request, customer_id)
    if served is not None:
        context = served["experience_context"]
        reason = f"variation {context['moe_variation_id']} of {context['audience_name']}"
    elif experience.status != "Active":
        reason = experience.status.lower()
    else:
        reason = "in none of its audiences"
    return {"key": experience.key, "reason": reason, "served": served is not None, "audiences": audiences}


def overview(experiences: Experiences) -> list[dict[str, Any]]:
    """Every experience with its variations: their weights, and the share that each gets of a thousand customers."""
    return [
        {
            "key": one.key,
            "name": one.name,
            "status": one.status,
            "audiences": [
                {"id": audience.id, "name": audience.name, "variations": _shares(one.key, audience)}
                for audience in one.audiences
            ],
        }
        for one in experiences
    ]


def _shares(key: str, audience: Audience) -> list[dict[str, Any]]:
    got = Counter(audience.variation(key, f"customer-{number}").id for number in range(SAMPLE))
    return [
        {"id": one.id, "weight": one.weight, "share": got[one.id] / SAMPLE, "payload": one.payload}
        for one in audience.variations
    ]
