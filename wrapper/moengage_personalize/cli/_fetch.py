"""fetch: which experiences a visitor gets, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import click

from .. import ExperienceMetadata, Experiences, PersonalizeClient, PersonalizeError
from ._arguments import question, visitor_options
from ._connection import Connection, connected
from ._terminal import escape, is_terminal, table, to_json, write

NOT_SERVED = 3


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@visitor_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--fail-on-missing", is_flag=True, help="Exit with status 3 if a key was not served.")
@connected
def fetch(connection: Connection, keys: Sequence[str], as_json: bool, fail_on_missing: bool, **visitor: Any) -> None:
    """Ask which experiences a visitor gets; no KEY asks for all.

    For a key that was not served it asks the metadata whether there is such a key.
    """
    with connection.client() as client:
        experiences = client.fetch(keys or None, **question(**visitor))
        asked = list(dict.fromkeys([*keys, *experiences]))
        missing = [key for key in asked if key not in experiences]
        why = _explained(client, missing)
    write((_json if as_json else _table if is_terminal() else _text)(experiences, asked, why))
    if missing and fail_on_missing:
        click.get_current_context().exit(NOT_SERVED)


def _explained(client: PersonalizeClient, missing: Sequence[str]) -> dict[str, str]:
    """What the metadata says of keys that were not served; nothing if it cannot be had, for it was not asked for."""
    if not missing:
        return {}
    try:
        known = client.metadata()
    except PersonalizeError:
        return {}
    return {key: _why(key, known) for key in missing}


def _why(key: str, known: Sequence[ExperienceMetadata]) -> str:
    status = next((one.status for one in known if one.key == key), None)
    if status is not None:
        return "active, but not for this visitor" if status == "Active" else status.lower()
    near = get_close_matches(key, [one.key for one in known], 1)
    return f"unknown, did you mean {near[0]}?" if near else "unknown"


def _reason(experiences: Experiences, key: str, why: dict[str, str]) -> str:
    return f"{experiences.reason(key)}: {why[key]}" if key in why else experiences.reason(key)


def _json(experiences: Experiences, keys: Sequence[str], why: dict[str, str]) -> str:
    served = {
        key: {"payload": dict(experience), "experience_context": experience.context.attributes()}
        for key, experience in experiences.items()
    }
    reasons = {key: experiences.reason(key) for key in keys}
    return to_json({"experiences": served, "reasons": reasons, "explained": why}, indent=2)


def _text(experiences: Experiences, keys: Sequence[str], why: dict[str, str]) -> str:
    lines: list[str] = []
    for key in keys:
        lines.append(escape(f"{key}: {_reason(experiences, key, why)}"))
        if key in experiences:
            experience = experiences[key]
            lines += [f"  {escape(name)} = {to_json(value)}" for name, value in experience.items()]
            lines.append(f"  context: {to_json(experience.context.attributes())}")
    return "\n".join(lines) or "no experience was served"


def _table(experiences: Experiences, keys: Sequence[str], why: dict[str, str]) -> str:
    rows: list[tuple[str, str, str, str]] = []
    for key in keys:
        experience = experiences.get(key)
        values: Mapping[str, Any] = {} if experience is None else experience
        context: Mapping[str, Any] = {} if experience is None else experience.context
        chosen = "\n".join(escape(context[name]) for name in ("moe_variation_id", "audience_name") if name in context)
        listed = "\n".join(f"{escape(name)} = {to_json(value)}" for name, value in values.items())
        rows.append((escape(key), _reason(experiences, key, why), listed, chosen))
    return table(("key", "reason", "values", "variation, audience"), rows) if rows else "no experience was served"
