"""A provider for OpenFeature: flag "banner.Title" is a variable of the experience "banner", flag "banner" all of it.

    api.set_provider(PersonalizeProvider(PersonalizeClient.from_env()))
    visit = EvaluationContext("user_8821", {"utm_medium": "email"})
    title = api.get_client().get_string_value("banner.Title", "Free shipping", visit)

The targeting key is the customer id. The attributes `user_identifiers`, `at`, `ip_address` and `user_agent` are those
of a fetch and an InSession, all others are in-session attributes. The flags of one evaluation context share a page for
50 ms: each experience is asked for once, and what tasks ask for in one turn of an event loop is one request.

Needs the extra: pip install "moengage-personalize[openfeature]". https://openfeature.dev/specification/sections/providers
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

try:
    from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata  # pyright: ignore[reportMissingTypeStubs]
    from openfeature.track import TrackingEventDetails  # pyright: ignore[reportMissingTypeStubs]
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[openfeature]"'
    raise ImportError(f"expected the extra of OpenFeature ({needed}), got no {missing.name}") from missing

from .. import AsyncPersonalizeClient, Experience, PersonalizeClient, PersonalizeError, Reporter, events
from .._errors import CircuitOpen, InvalidRequestError
from .._json import read_object
from ._pages import Pages

logger = logging.getLogger("moengage_personalize")
ABSENT: Any = object()
MAKERS: dict[str, Callable[..., events.ExperienceEvent]] = {"shown": events.shown, "clicked": events.clicked}
READERS: dict[type[Any], Callable[[Experience, str], Any]] = {
    bool: lambda found, name: found.boolean(name, ABSENT),
    str: lambda found, name: found.string(name, ABSENT),
    int: lambda found, name: found.integer(name, ABSENT),
    float: lambda found, name: ABSENT if (number := found.number(name, None)) is None else float(number),
    object: lambda found, name: _structure(found, name) if name else dict(found),
}
Details: TypeAlias = FlagResolutionDetails[Any]
Context: TypeAlias = EvaluationContext | None


def _blocking(kind: type[Any]) -> Any:
    """The method that resolves flags of this type."""

    def resolve(self: Any, flag_key: str, default_value: Any, evaluation_context: Context = None) -> Details:
        key, name = _split(flag_key)
        try:
            page = self._page(self._client, None, evaluation_context)
            details: Details = self._details(page, key, name, page.experience(key), kind, default_value)
        except PersonalizeError as error:
            return _failed(default_value, error)
        return details

    return resolve


def _awaited(kind: type[Any]) -> Any:
    """As `_blocking`, awaited; in a thread where there is no client for event loops."""

    async def resolve(self: Any, flag_key: str, default_value: Any, evaluation_context: Context = None) -> Details:
        key, name = _split(flag_key)
        try:
            if self._async_client is None:
                page = self._page(self._client, None, evaluation_context)
                found = await asyncio.to_thread(page.experience, key)
            else:
                page = self._page(self._async_client, asyncio.get_running_loop(), evaluation_context)
                found = await page.experience(key)
            details: Details = self._details(page, key, name, found, kind, default_value)
        except PersonalizeError as error:
            return _failed(default_value, error)
        return details

    return resolve


class PersonalizeProvider(AbstractProvider):
    """Resolves flags from experiences, and reports "shown" and "clicked"; the clients are closed by you.

    Args:
        client: asked by the blocking evaluations.
        async_client: asked by the awaited ones, which without it ask `client` in a thread.
        reporter: takes what is tracked; by default one of `client`, which `shutdown` closes.
    """

    resolve_boolean_details, resolve_boolean_details_async = _blocking(bool), _awaited(bool)
    resolve_string_details, resolve_string_details_async = _blocking(str), _awaited(str)
    resolve_integer_details, resolve_integer_details_async = _blocking(int), _awaited(int)
    resolve_float_details, resolve_float_details_async = _blocking(float), _awaited(float)
    resolve_object_details, resolve_object_details_async = _blocking(object), _awaited(object)

    def __init__(
        self,
        client: PersonalizeClient,
        *,
        async_client: AsyncPersonalizeClient | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        super().__init__()
        self._client, self._async_client, self._given, self._reporter = client, async_client, reporter, reporter
        self._pages, self._is_down = Pages(), False

    def get_metadata(self) -> Metadata:
        """The name of this provider."""
        return Metadata("moengage-personalize")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Open a connection: raise ProviderFatalError where no call can ever succeed, GeneralError in an outage."""
        self._reporter = self._given or self._client.reporter()
        try:
            self._client.warm()
        except PersonalizeError as error:
            self._is_down = True
            raise (GeneralError if error.retryable else ProviderFatalError)(str(error)) from error

    def shutdown(self) -> None:
        """Send what was tracked, and be as before `initialize`."""
        if self._reporter is not None and self._given is None:
            self._reporter.close()
        self._reporter, self._pages, self._is_down = self._given, Pages(), False

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: Context = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Report "shown" or "clicked" in the background, of the `context` that the flag metadata had.

        The details may have `element` and `platform`, too. What no event can be made of is logged.
        """
        given: dict[str, Any] = {} if tracking_event_details is None else tracking_event_details.attributes
        who: Any = None if evaluation_context is None else evaluation_context.targeting_key
        named = {name: given[name] for name in ("element", "platform") if name in given}
        try:
            context = read_object(given.get("context", ""), "the attribute context")
            event = MAKERS[tracking_event_name](context, customer_id=who, **named)
        except (KeyError, InvalidRequestError) as error:
            logger.warning("track: expected shown or clicked, and the context of a flag, got %s", error)
            return
        if self._reporter is not None:
            self._reporter.put(event)

    def _page(self, client: Any, loop: object, context: Context) -> Any:
        known = context or EvaluationContext()
        return self._pages.find(client, loop, known.targeting_key or None, known.attributes)

    def _details(
        self, page: Any, key: str, name: str, found: Experience | None, kind: type[Any], default: Any
    ) -> Details:
        reason = page.reason(key)
        if reason == "failed":
            if isinstance(page.error, CircuitOpen):
                self._tell(is_down=True)
            return _failed(default, page.error)
        self._tell(is_down=False)
        if reason == "malformed":
            return _error(default, ErrorCode.PARSE_ERROR, "expected an experience, got a malformed one")
        if found is None or (name and name not in found):
            return FlagResolutionDetails(default, reason=Reason.DEFAULT)
        value = READERS[kind](found, name) if name or kind is object else ABSENT
        if value is ABSENT:
            came = type(found.get(name, {})).__name__
            return _error(default, ErrorCode.TYPE_MISMATCH, f"expected {kind.__name__}, got {came}")
        plain = {at: one for at, one in found.context.items() if isinstance(one, str | bool | int | float)}
        metadata = {**plain, "context": found.context.to_json()}
        return FlagResolutionDetails(value, None, None, Reason.TARGETING_MATCH, found.to_dict()["variation"], metadata)

    def _tell(self, *, is_down: bool) -> None:
        """Emit an event of the provider when the circuit has opened, and when an answer has come since."""
        if is_down != self._is_down:
            self._is_down = is_down
            emit = self.emit_provider_error if is_down else self.emit_provider_ready
            emit(ProviderEventDetails(error_code=ErrorCode.GENERAL if is_down else None))


def _structure(found: Experience, name: str) -> Any:
    return found.list(name, ABSENT) if isinstance(found.get(name), list) else found.object(name, ABSENT)


def _split(flag_key: str) -> tuple[str, str]:
    """The experience key and the name of the variable, which is empty where the flag is the whole experience."""
    key, dot, name = flag_key.rpartition(".")
    return (key, name) if dot else (flag_key, "")


def _failed(default: Any, error: PersonalizeError) -> Details:
    is_context = isinstance(error, InvalidRequestError)
    return _error(default, ErrorCode.INVALID_CONTEXT if is_context else ErrorCode.GENERAL, str(error))


def _error(default: Any, code: ErrorCode, message: str) -> Details:
    return FlagResolutionDetails(default, code, message, Reason.ERROR)
