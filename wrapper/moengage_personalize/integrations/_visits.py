"""The page of one web request and whose it is, from its beginning to the impressions of what it has shown."""

from __future__ import annotations

import logging
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from .. import AsyncPage, AsyncReporter, ConfigurationError, InvalidRequestError, Page, Reporter, events
from .._arguments import check_seconds, type_name
from .._web import check_patterns

logger = logging.getLogger("moengage_personalize")
P = TypeVar("P", Page, AsyncPage)


@frozen(eq=False)
class Visit(Generic[P]):
    """A page with the customer id that it asks for, which no repr shows: a visit is a variable of frames that fail."""

    page: P
    customer_id: Any = field(repr=False)

    def report_shown(self, reporter: Reporter | AsyncReporter) -> None:
        """Queue an impression of each experience that was served, where the visitor has a customer id.

        The page is rendered by then, so that nothing may fail: what no event can be made of is logged.
        """
        if self.customer_id is None:
            return
        for key, context in self.page.contexts().items():
            try:
                reporter.put(events.shown(context, customer_id=self.customer_id))
            except InvalidRequestError as error:
                logger.warning("no impression of %s: %s", key, error)


def check_options(customer_id: object, query: object, timeout: object) -> tuple[str, ...]:
    """The patterns of `query`, once it and the other two options of a page can work.

    Raises:
        ConfigurationError: an option that cannot work; at the start, and not with the first visitor.
    """
    if not callable(customer_id):
        raise ConfigurationError(f"expected customer_id to be a function, got {type_name(customer_id)}")
    if timeout is not None:
        check_seconds("timeout", timeout, ConfigurationError)
    try:
        return check_patterns(query)
    except InvalidRequestError as error:
        raise ConfigurationError(str(error)) from None


def reporter_of(client: Any) -> Any:
    """The reporter of a client, by its own method, which a client for tests may have replaced."""
    return client.reporter()
