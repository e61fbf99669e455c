"""The command line: ask for experiences with the environment's settings, or run the sandbox.

Exit status: 0 for an answer, 1 when the API or the network failed, 2 for what was asked wrongly, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from dateutil import parser as dates

from . import ConfigurationError, Experiences, InSession, InvalidRequestError, PersonalizeClient, PersonalizeError

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
PROGRAM = "python -m moengage_personalize"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "sandbox":
            return _sandbox(options)
        return _fetch(options)
    except (ConfigurationError, InvalidRequestError) as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return MISUSED
    except PersonalizeError as error:
        print(f"{PROGRAM}: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Ask MoEngage Personalize, or run its local stand-in.")
    commands = parser.add_subparsers(dest="command", required=True)

    fetch = commands.add_parser(
        "fetch",
        help="ask which experiences a visitor gets",
        description="Ask which experiences a visitor gets. Settings come from MOENGAGE_WORKSPACE_ID, "
        "MOENGAGE_PERSONALIZE_API_KEY, and MOENGAGE_DATA_CENTER or MOENGAGE_BASE_URL.",
    )
    fetch.add_argument("keys", nargs="*", metavar="KEY", help="experience keys; none asks for all there are")
    fetch.add_argument("--customer-id", metavar="ID", help="the visitor's id in MoEngage")
    pairs: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE", "type": _pair}
    fetch.add_argument("--identifier", **pairs, help="another identifier of the visitor: u_em=jane@example.com")
    fetch.add_argument("--attribute", **pairs, help="an in-session attribute: utm_medium=email; may be repeated")
    fetch.add_argument("--at", type=_moment, metavar="TIME", help="when, with its zone: 2026-11-23T14:00+05:30")
    fetch.add_argument("--ip-address", metavar="ADDRESS", help="the visitor's IP address")
    fetch.add_argument("--user-agent", metavar="TEXT", help="the visitor's User-Agent header")
    fetch.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="for the whole call (default: 5)")
    fetch.add_argument("--json", action="store_true", help="print one JSON object")

    sandbox = commands.add_parser(
        "sandbox",
        help="run the local stand-in for the API",
        description='Run the local stand-in for the API. Needs: pip install "moengage-personalize[sandbox]"',
    )
    sandbox.add_argument("--port", type=_port, default=8025, help="0 for any that is free (default: 8025)")
    sandbox.add_argument("--experiences", metavar="FILE", help="a YAML file instead of the built-in examples")
    sandbox.add_argument("--rate-limit", type=_count, metavar="N", help="a minute, before a 429 (default: 10000)")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _moment(text: str) -> datetime:
    try:
        with warnings.catch_warnings(action="ignore", category=dates.UnknownTimezoneWarning):
            moment = dates.parse(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-11-23T14:00+05:30, got {text!r}") from error
    if moment.utcoffset() is None:
        raise argparse.ArgumentTypeError(f"expected a time with its zone, such as 14:00+05:30, got {text!r}")
    return moment


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    port = _count(text)
    if port > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return port


def _fetch(options: argparse.Namespace) -> int:
    with PersonalizeClient.from_env() as client:
        experiences = client.fetch(
            options.keys or None,
            customer_id=options.customer_id,
            user_identifiers=dict(options.identifier),
            in_session=InSession(
                at=options.at,
                ip_address=options.ip_address,
                user_agent=options.user_agent,
                attributes=dict(options.attribute),
            ),
            timeout=options.timeout,
        )
    keys = list(dict.fromkeys([*options.keys, *experiences]))
    print(_as_json(experiences, keys) if options.json else _as_text(experiences, keys))
    return DONE


def _as_json(experiences: Experiences, keys: Iterable[str]) -> str:
    served = {
        key: {"payload": dict(experience), "experience_context": experience.context.attributes()}
        for key, experience in experiences.items()
    }
    reasons = {key: experiences.reason(key) for key in keys}
    return json.dumps({"experiences": served, "reasons": reasons}, ensure_ascii=False, indent=2)


def _as_text(experiences: Experiences, keys: Iterable[str]) -> str:
    lines: list[str] = []
    for key in keys:
        lines.append(f"{key}: {experiences.reason(key)}")
        if key in experiences:
            experience = experiences[key]
            lines += [f"  {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in experience.items()]
            lines.append(f"  context: {experience.context.to_json()}")
    return "\n".join(lines) or "no experience was served"


def _sandbox(options: argparse.Namespace) -> int:
    try:
        from . import sandbox
    except ModuleNotFoundError as error:
        needed = 'pip install "moengage-personalize[sandbox]"'
        raise ConfigurationError(f"expected the extra of the sandbox ({needed}), got no {error.name}") from error
    limit = sandbox.RATE_LIMIT if options.rate_limit is None else options.rate_limit
    application = sandbox.app(options.experiences, rate_limit=limit)
    try:
        listener = sandbox.listen(options.port)
    except OSError as error:
        raise ConfigurationError(
            f"expected a free port, got {options.port}: {os.strerror(error.errno or 0)}"
        ) from error
    with listener:
        print(f"export MOENGAGE_WORKSPACE_ID={sandbox.WORKSPACE_ID}")
        print(f"export MOENGAGE_PERSONALIZE_API_KEY={sandbox.API_KEY}")
        print(f"export MOENGAGE_BASE_URL={sandbox.base_url(listener)}", flush=True)
        sandbox.run(application, listener)
    return DONE


if __name__ == "__main__":
    with suppress(AttributeError):  # which Windows has not
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as a shell user expects of `... | head`
    sys.exit(main())
